"""What is wanted against what is there → what to do, each with its reason, and what will not be done. Pure.

`reconcile` calls it; not applying a plan is a dry run. A plan for a world that is as wanted is empty.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import ClassVar

from messaging_api.status import ConditionType, Reason
from messaging_operator.differences import Path, differences, spelled
from messaging_operator.errors import Problem
from messaging_operator.state import (
    APPLIED_HASH,
    NAME_LABEL,
    Desired,
    Manifest,
    ObjectKey,
    Observed,
    TopicState,
    configuration_of,
    is_rolled_out,
    object_key,
)


@dataclass(frozen=True)
class CreateTopic:
    """The topic does not exist."""

    done: ClassVar[str] = "TopicCreated"
    topic: TopicState

    def __str__(self) -> str:
        return f"topic {self.topic.name} with {self.topic.partitions} partitions"


@dataclass(frozen=True)
class GrowPartitions:
    """The topic has fewer partitions than wanted."""

    done: ClassVar[str] = "PartitionsGrown"
    topic: str
    current: int
    wanted: int

    def __str__(self) -> str:
        return f"topic {self.topic}: {self.current} -> {self.wanted} partitions"


@dataclass(frozen=True)
class AlterTopicConfig:
    """Declared settings differ; `changes` holds those and no other."""

    done: ClassVar[str] = "TopicConfigured"
    topic: str
    changes: Mapping[str, str]

    def __str__(self) -> str:
        return f"topic {self.topic}: {', '.join(f'{key}={value}' for key, value in self.changes.items())}"


@dataclass(frozen=True)
class Apply:
    """The object is absent, was declared otherwise before, or lost something that is declared."""

    done: ClassVar[str] = "ObjectApplied"
    manifest: Manifest
    reason: str

    def __str__(self) -> str:
        return f"{object_key(self.manifest)}: {self.reason}"


@dataclass(frozen=True)
class Delete:
    """The object belongs to the topology, is no longer declared, and nobody needs it any more."""

    done: ClassVar[str] = "ObjectDeleted"
    key: ObjectKey
    uid: str

    def __str__(self) -> str:
        return f"{self.key}: no longer declared"


TopicAction = CreateTopic | GrowPartitions | AlterTopicConfig
Action = TopicAction | Apply | Delete


@dataclass(frozen=True)
class Plan:
    """`problems` are what cannot be seen, refusals and accepted differences: known before anything was tried."""

    topics: tuple[TopicAction, ...]
    objects: tuple[Apply | Delete, ...]
    problems: tuple[Problem, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.topics and not self.objects


def plan(desired: Desired, observed: Observed) -> Plan:
    """What can't be seen is not touched: without Kafka there are no topic actions, and everything else goes on."""
    topic_steps: list[TopicAction | Problem] = []
    if isinstance(observed.topics, Problem):
        topic_steps.append(observed.topics)
    else:
        for topic in desired.topics:
            topic_steps += _topic_steps(topic, observed.topics.get(topic.name))
    object_steps = [*_apply_steps(desired, observed), *_deletions(desired, observed)]
    return Plan(
        topics=tuple(step for step in topic_steps if not isinstance(step, Problem)),
        objects=tuple(step for step in object_steps if not isinstance(step, Problem)),
        problems=tuple(step for step in (*topic_steps, *object_steps, *desired.problems) if isinstance(step, Problem)),
    )


def _topic_steps(wanted: TopicState, actual: TopicState | Problem | None) -> Iterator[TopicAction | Problem]:
    match actual:
        case None:
            yield CreateTopic(wanted)
        case Problem():
            yield actual
        case TopicState():
            yield from _topic_differences(wanted, actual)


def _topic_differences(wanted: TopicState, actual: TopicState) -> Iterator[TopicAction | Problem]:
    if actual.partitions < wanted.partitions:
        yield GrowPartitions(wanted.name, actual.partitions, wanted.partitions)
    if actual.partitions > wanted.partitions:
        found = f"topic {wanted.name}: the spec asks for {wanted.partitions} partitions, Kafka has {actual.partitions}"
        yield _topic_problem(Reason.PARTITIONS_AHEAD_OF_SPEC, f"{found} and cannot take any away; correct the spec")
    if actual.replication_factor != wanted.replication_factor:
        found = (
            f"the spec asks for replication factor {wanted.replication_factor}, Kafka has {actual.replication_factor}"
        )
        yield _topic_problem(
            Reason.TOPIC_REFUSED, f"topic {wanted.name}: {found}; reassign replicas or correct the spec"
        )
    if changes := _config_changes(wanted.config, actual.config):
        yield AlterTopicConfig(wanted.name, changes)


def _topic_problem(reason: Reason, message: str) -> Problem:
    return Problem(ConditionType.TOPICS_READY, reason, message)


def _config_changes(wanted: Mapping[str, str], actual: Mapping[str, str]) -> dict[str, str]:
    """Only what is declared: the rest belongs to the broker or to somebody else."""
    return {key: value for key, value in wanted.items() if key not in actual or not _same(value, actual[key])}


def _same(one: str, other: str) -> bool:
    """Kafka answers with its own spelling (`0.50` is `0.5`, `compact, delete` is `compact,delete`, `TRUE` is `true`).

    Comparing letters would write the same value again at every resync.
    """
    return [_meaning(part) for part in one.split(",")] == [_meaning(part) for part in other.split(",")]


def _meaning(value: str) -> str | Decimal:
    try:
        return Decimal(value.strip())
    except InvalidOperation:
        return value.strip().lower()


def _apply_steps(desired: Desired, observed: Observed) -> Iterator[Apply | Problem]:
    for manifest in desired.manifests:
        key = object_key(manifest)
        if foreign := observed.foreign.get(key):
            yield _taken(manifest, foreign)
        elif configuration_of(manifest) in observed.foreign:
            continue  # that is a problem already: its pods must not run what somebody else has written
        elif reason := _difference(manifest, observed.objects.get(key)):
            yield Apply(manifest, reason)


def _taken(manifest: Manifest, foreign: Manifest) -> Problem:
    """What an earlier topology of the same name has left is collected without anybody's help."""
    key, owner = object_key(manifest), _owner_of(foreign)
    if "deletionTimestamp" in foreign["metadata"] or owner == _owner_of(manifest):
        message = f"waiting until {key}, which belonged to {owner}, is collected"
        return Problem(ConditionType.PROCESSORS_READY, Reason.IN_PROGRESS, message)
    message = f"{key} belongs to {owner} and stays as it is; delete or rename one of the two"
    return Problem(ConditionType.PROCESSORS_READY, Reason.WORKLOAD_CONFLICT, message)


def _owner_of(actual: Manifest) -> str:
    owners = [owner for owner in actual["metadata"].get("ownerReferences", ()) if owner.get("controller")]
    return f"{owners[0]['kind']} {owners[0]['name']}" if owners else "somebody else"


def _deletions(desired: Desired, observed: Observed) -> Iterator[Delete]:
    wanted = {object_key(manifest) for manifest in desired.manifests}
    for key, actual in observed.objects.items():
        stays = "deletionTimestamp" in actual["metadata"] or _processor_of(actual) in desired.withheld
        if key not in wanted and not stays and not _is_in_use(actual, wanted, observed):
            yield Delete(key, actual["metadata"]["uid"])


def _processor_of(actual: Manifest) -> str:
    name: str = actual["metadata"].get("labels", {}).get(NAME_LABEL, "")
    return name


def _is_in_use(leftover: Manifest, wanted: Collection[ObjectKey], observed: Observed) -> bool:
    """Until the rollout is complete a pod of the old kind may start again, and must find its configuration."""
    key = ObjectKey("Deployment", _processor_of(leftover))
    if leftover["kind"] != "ConfigMap" or key not in wanted or key not in observed.objects:
        return False
    reader = observed.objects[key]
    return configuration_of(reader) not in wanted or not is_rolled_out(reader, reader["spec"]["replicas"])


def _difference(manifest: Manifest, actual: Manifest | None) -> str:
    if actual is None:
        return "absent"
    annotations = actual["metadata"].get("annotations", {})
    if annotations.get(APPLIED_HASH) != manifest["metadata"]["annotations"][APPLIED_HASH]:
        return "declared otherwise now"
    lost = next(differences(actual, manifest), None)
    return f"changed by hand: {spelled(_field(lost.path))}" if lost else ""


def _field(path: Path) -> Path:
    """A list item is named as a whole: it may be gone, and then nothing within it is to blame."""
    items = [place for place, part in enumerate(path) if isinstance(part, int)]
    return path[: items[0] + 1] if items else path
