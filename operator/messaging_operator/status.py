"""What is said back: Observed, Problems and the previous status → the new status, and which warnings it deserves. Pure.

`reconcile` calls it and writes the result only where it differs from what the resource says already.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from messaging_api.status import (
    Condition,
    ConditionType,
    ProcessorStatus,
    Reason,
    TopicStatus,
    TopologyStatus,
)
from messaging_operator.errors import Problem
from messaging_operator.state import (
    Desired,
    Manifest,
    ObjectKey,
    Observed,
    Owner,
    PodState,
    TopicState,
    is_rolled_out,
    object_key,
)

_MESSAGE_LIMIT = 1024
_QUIET = {Reason.RECONCILED, Reason.IN_PROGRESS, Reason.ROLLOUT_IN_PROGRESS}


@dataclass(frozen=True)
class Verdict:
    """What a condition says, before it has a time."""

    status: Literal["True", "False", "Unknown"]
    reason: Reason
    message: str = ""

    @property
    def holds(self) -> bool:
        """Whether the aspect is as declared."""
        return self.status == "True"


Verdicts = dict[ConditionType, Verdict]


def status(
    owner: Owner, desired: Desired, observed: Observed, problems: Sequence[Problem], now: datetime
) -> TopologyStatus:
    """The status of a topology that was reconciled, as well as it could be."""
    topics, processors = _topic_statuses(desired, observed, owner.status), _processor_statuses(desired, observed)
    verdicts = {
        ConditionType.TOPICS_READY: _topics_verdict(desired, observed, problems),
        ConditionType.PROCESSORS_READY: _processors_verdict(desired, observed, problems),
        ConditionType.DEGRADED: _degraded_verdict(observed.pods),
    }
    return TopologyStatus(
        observed_generation=owner.generation,
        conditions=_conditions(owner, _summary(verdicts, problems) | verdicts, now),
        topics=topics,
        processors=processors,
        topics_ready=_topics_column(desired, observed),
        processors_ready=_processors_column(desired, observed),
    )


def invalid_status(owner: Owner, message: str, now: datetime) -> TopologyStatus:
    """The status of a resource that cannot be read as a topology: what it says of topics and processors stays."""
    invalid = Verdict("Unknown", Reason.INVALID_SPEC, message)
    verdicts = {
        ConditionType.READY: Verdict("False", Reason.INVALID_SPEC, message),
        ConditionType.RECONCILING: Verdict("False", Reason.INVALID_SPEC, message),
        ConditionType.STALLED: Verdict("True", Reason.INVALID_SPEC, message),
        ConditionType.TOPICS_READY: invalid,
        ConditionType.PROCESSORS_READY: invalid,
        ConditionType.DEGRADED: invalid,
    }
    conditions = _conditions(owner, verdicts, now)
    return owner.status.model_copy(update={"observed_generation": owner.generation, "conditions": conditions})


def warnings(
    previous: TopologyStatus, current: TopologyStatus, pods: Sequence[PodState] = ()
) -> list[tuple[Reason, str]]:
    """What went wrong since the previous status, once: a warning that is repeated at rest would be a write at rest.

    Why a dependency is away is told here and in no condition: its wording changes at every attempt.
    """
    known = {(condition.reason, condition.message) for condition in previous.conditions}
    said = {(condition.reason, condition.message): None for condition in current.conditions}
    return [
        (reason, _reasons(pods) if reason is Reason.DEPENDENCY_UNAVAILABLE else message)
        for reason, message in said
        if reason not in _QUIET and (reason, message) not in known
    ]


def _reasons(pods: Sequence[PodState]) -> str:
    return _list(f"{pod.processor}: {dependency}: {why}" for pod in pods for dependency, why in pod.away.items())


def _summary(aspects: Verdicts, problems: Sequence[Problem]) -> Verdicts:
    """Ready, Reconciling and Stalled by kstatus: stalled waits for a person, reconciling for time."""
    waiting = next((verdict for verdict in _worst_first(aspects) if not verdict.holds), None)
    ready = waiting or Verdict("True", Reason.RECONCILED, "all as declared")
    stuck = [problem for problem in problems if not (problem.heals or problem.accepted)]
    stalled = Verdict("True", stuck[0].reason, _text(stuck)) if stuck else Verdict("False", Reason.RECONCILED)
    moving = not ready.holds and not stuck
    return {
        ConditionType.READY: ready,
        ConditionType.RECONCILING: Verdict("True", ready.reason, ready.message)
        if moving
        else Verdict("False", Reason.RECONCILED),
        ConditionType.STALLED: stalled,
    }


def _worst_first(aspects: Verdicts) -> list[Verdict]:
    verdicts = [aspects[ConditionType.TOPICS_READY], aspects[ConditionType.PROCESSORS_READY]]
    return sorted(verdicts, key=lambda verdict: ("False", "Unknown", "True").index(verdict.status))


def _topics_verdict(desired: Desired, observed: Observed, problems: Sequence[Problem]) -> Verdict:
    if isinstance(observed.topics, Problem):
        return Verdict("Unknown", observed.topics.reason, observed.topics.message)
    mine = [problem for problem in problems if problem.aspect == ConditionType.TOPICS_READY]
    if blocking := [problem for problem in mine if not problem.accepted]:
        return Verdict("False", blocking[0].reason, _text(blocking))
    if missing := [name for name, wanted in _partitions(desired).items() if _actual(observed, name) < wanted]:
        return Verdict("False", Reason.IN_PROGRESS, f"not there yet: {', '.join(missing)}")
    if mine:
        return Verdict("True", mine[0].reason, _text(mine))
    return Verdict("True", Reason.RECONCILED)


def _processors_verdict(desired: Desired, observed: Observed, problems: Sequence[Problem]) -> Verdict:
    mine = [problem for problem in problems if problem.aspect == ConditionType.PROCESSORS_READY]
    if mine:
        return Verdict("False", mine[0].reason, _text(mine))
    if unfinished := [rollout for rollout in _rollouts(desired, observed) if rollout]:
        return Verdict("False", Reason.ROLLOUT_IN_PROGRESS, _cut("; ".join(unfinished)))
    return Verdict("True", Reason.RECONCILED)


def _degraded_verdict(pods: Sequence[PodState]) -> Verdict:
    if not any(pod.away for pod in pods):
        return Verdict("False", Reason.RECONCILED)
    away = _list(f"{pod.processor}: {complaint}" for pod in pods for complaint in _complaints(pod))
    return Verdict("True", Reason.DEPENDENCY_UNAVAILABLE, away)


def _complaints(pod: PodState) -> list[str]:
    return [f"{dependency} is away" for dependency in pod.away]


def _list(remarks: Iterable[str]) -> str:
    """Each once and in one order, however many pods say it and whichever is asked first."""
    return _cut("; ".join(sorted(set(remarks))))


def _text(problems: Sequence[Problem]) -> str:
    return _cut("; ".join(problem.message for problem in problems))


def _cut(text: str) -> str:
    return text if len(text) <= _MESSAGE_LIMIT else f"{text[: _MESSAGE_LIMIT - 1]}…"


def _partitions(desired: Desired) -> dict[str, int]:
    return {topic.name: topic.partitions for topic in desired.topics}


def _seen(observed: Observed, name: str) -> TopicState | Problem | None:
    return observed.topics if isinstance(observed.topics, Problem) else observed.topics.get(name)


def _actual(observed: Observed, name: str) -> int:
    topic = _seen(observed, name)
    return topic.partitions if isinstance(topic, TopicState) else 0


def _topics_column(desired: Desired, observed: Observed) -> str:
    wanted = _partitions(desired)
    if isinstance(observed.topics, Problem):
        return f"?/{len(wanted)}"
    return f"{sum(_actual(observed, name) >= count for name, count in wanted.items())}/{len(wanted)}"


def _topic_statuses(desired: Desired, observed: Observed, previous: TopologyStatus) -> list[TopicStatus]:
    """Kafka's own figures; the last known ones of what cannot be read."""
    known = {topic.name: topic for topic in previous.topics}
    return [_topic_status(name, _seen(observed, name), known.get(name)) for name in _partitions(desired)]


def _topic_status(name: str, seen: TopicState | Problem | None, known: TopicStatus | None) -> TopicStatus:
    if isinstance(seen, TopicState):
        return TopicStatus(name=name, partitions=seen.partitions, replication_factor=seen.replication_factor)
    if isinstance(seen, Problem) and known:
        return known
    return TopicStatus(name=name, partitions=0, replication_factor=0)


def _deployments(desired: Desired) -> dict[str, Manifest]:
    return {key.name: manifest for manifest in desired.manifests if (key := object_key(manifest)).kind == "Deployment"}


def _deployment(observed: Observed, name: str) -> Manifest:
    return observed.objects.get(ObjectKey("Deployment", name), {})


def _processor_statuses(desired: Desired, observed: Observed) -> list[ProcessorStatus]:
    return [
        ProcessorStatus(
            name=name,
            desired=manifest["spec"]["replicas"],
            ready=_deployment(observed, name).get("status", {}).get("readyReplicas", 0),
            message=_list(_remarks(name, observed.pods)),
        )
        for name, manifest in sorted(_deployments(desired).items())
    ]


def _remarks(name: str, pods: Sequence[PodState]) -> Iterator[str]:
    for pod in pods:
        if pod.processor == name:
            yield from filter(None, [pod.waiting, *_complaints(pod)])


def _processors_column(desired: Desired, observed: Observed) -> str:
    rollouts = _rollouts(desired, observed)
    return f"{rollouts.count('')}/{len(rollouts) + len(desired.withheld)}"


def _rollouts(desired: Desired, observed: Observed) -> list[str]:
    return [
        _rollout(name, manifest["spec"]["replicas"], _deployment(observed, name), observed.pods)
        for name, manifest in sorted(_deployments(desired).items())
    ]


def _rollout(name: str, wanted: int, actual: Manifest, pods: Sequence[PodState]) -> str:
    """How far the rollout of a Deployment is; empty when every pod is new and ready and none is left over."""
    if is_rolled_out(actual, wanted):
        return ""
    counts = actual.get("status", {})
    total, fresh, ready = (counts.get(count, 0) for count in ("replicas", "updatedReplicas", "readyReplicas"))
    left = f", {total - fresh} old ones left" if total > fresh else ""
    why = _list(_remarks(name, pods))
    return f"{name}: {fresh} of {wanted} updated, {ready} ready{left}" + (f" ({why})" if why else "")


def _conditions(owner: Owner, verdicts: Verdicts, now: datetime) -> list[Condition]:
    previous = {condition.type: condition for condition in owner.status.conditions}
    return [_condition(kind, verdicts[kind], previous.get(kind), owner.generation, now) for kind in ConditionType]


def _condition(
    kind: ConditionType, verdict: Verdict, previous: Condition | None, generation: int, now: datetime
) -> Condition:
    same = previous is not None and previous.status == verdict.status
    return Condition(
        type=kind,
        status=verdict.status,
        reason=verdict.reason,
        message=verdict.message,
        observed_generation=generation,
        last_transition_time=previous.last_transition_time
        if previous is not None and same
        else now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
