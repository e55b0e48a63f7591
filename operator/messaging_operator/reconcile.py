"""One round for one topology: desired → observe → plan → apply → status. Called by `worker` in a thread.

Level-triggered: everything is read anew, nothing is remembered between rounds, and a round in a world that is as
declared writes nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog
from pydantic import ValidationError

from messaging_api.processor import Readiness
from messaging_api.status import Reason, TopologyStatus
from messaging_api.topology import TopologySpec
from messaging_operator import metrics
from messaging_operator.apply import Objects, Topics, apply
from messaging_operator.desired.topology import desired
from messaging_operator.errors import ClusterError, Problem, ResourceError
from messaging_operator.plan import Action, plan
from messaging_operator.rates import rate_tables
from messaging_operator.settings import Settings
from messaging_operator.state import (
    NAME_LABEL,
    Desired,
    Manifest,
    ObjectKey,
    Observed,
    Owner,
    PodState,
    TopicStates,
    TopologyKey,
    is_owned,
    object_key,
)
from messaging_operator.status import invalid_status, status, warnings

log = structlog.get_logger(__name__)


class TopicDoor(Topics, Protocol):
    """One Kafka cluster: `clients.kafka.TopicAdmin`."""

    def topics(self, names: Sequence[str]) -> TopicStates | Problem: ...


class ClusterDoor(Objects, Protocol):
    """The API server: `clients.kube.Cluster`."""

    def topology(self, key: TopologyKey) -> Manifest | None: ...
    def children(self, key: TopologyKey) -> Mapping[ObjectKey, Manifest]: ...
    def child(self, namespace: str, key: ObjectKey) -> Manifest | None: ...
    def pods(self, key: TopologyKey) -> Sequence[Manifest]: ...
    def write_status(self, owner: Owner, status: TopologyStatus) -> None: ...
    def write_event(self, owner: Owner, kind: str, reason: str, message: str, now: str) -> None: ...


@dataclass(frozen=True)
class Clients:
    """The outside world."""

    cluster: ClusterDoor
    kafka: Callable[[str], TopicDoor]
    readiness: Callable[[Collection[str]], Mapping[str, Readiness]]


def reconcile(key: TopologyKey, clients: Clients, settings: Settings, now: datetime) -> bool:
    """Whether there is such a topology: a watch may miss that it was deleted.

    Raises `ClusterError` where the API server doesn't answer: then there is nowhere to say anything.
    """
    resource = clients.cluster.topology(key)
    if resource and "deletionTimestamp" not in resource["metadata"]:
        _reconcile(owner_of(key, resource), resource, clients, settings, now)
    return resource is not None  # its objects follow it by their owner references; topics stay


def _reconcile(owner: Owner, resource: Manifest, clients: Clients, settings: Settings, now: datetime) -> None:
    try:
        spec = spec_of(resource)
        tables = rate_tables(spec, partial(clients.cluster.child, owner.key.namespace))
        wanted = desired(owner, spec, settings.images, tables)
    except ResourceError as error:
        invalid = invalid_status(owner, str(error), now)
        _report(owner, invalid, warnings(owner.status, invalid), (), clients.cluster, now)
        return
    topics = clients.kafka(spec.kafka.bootstrap_servers)
    names = [topic.name for topic in wanted.topics]
    observed = observe(owner, wanted, topics.topics(names), clients)
    todo = plan(wanted, observed)
    outcome = apply(todo, owner.key.namespace, topics, clients.cluster)
    if outcome.done:  # a Kafka that didn't answer just now isn't waited for twice
        known = observed.topics if isinstance(observed.topics, Problem) else topics.topics(names)
        observed = observe(owner, wanted, known, clients)
    current = status(owner, wanted, observed, (*todo.problems, *outcome.problems), now)
    _report(owner, current, warnings(owner.status, current, observed.pods), outcome.done, clients.cluster, now)


def owner_of(key: TopologyKey, resource: Manifest) -> Owner:
    """Whose the objects are. `plan` on the command line looks at the world by these three functions, too."""
    metadata = resource["metadata"]
    try:
        said = TopologyStatus.model_validate(resource.get("status", {}))
    except ValidationError:
        said = TopologyStatus()  # written by another version: ours replaces it
    return Owner(key, metadata["uid"], metadata["generation"], said)


def spec_of(resource: Manifest) -> TopologySpec:
    """Raises `ResourceError`, which names every field that is wrong."""
    try:
        return TopologySpec.model_validate(resource["spec"])
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, ('spec', *fault['loc'])))}: {fault['msg']}" for fault in error.errors()]
        raise ResourceError("; ".join(faults)) from error


def observe(owner: Owner, wanted: Desired, topics: TopicStates | Problem, clients: Clients) -> Observed:
    """What is there of what is wanted, and of what was; raises `ClusterError`."""
    objects = _objects(owner, wanted, clients.cluster)
    return Observed(
        topics=topics,
        objects={key: found for key, found in objects.items() if is_owned(found, owner.uid)},
        foreign={key: found for key, found in objects.items() if not is_owned(found, owner.uid)},
        pods=_pods(clients.cluster.pods(owner.key), clients.readiness),
    )


def _objects(owner: Owner, wanted: Desired, cluster: ClusterDoor) -> dict[ObjectKey, Manifest]:
    """By label, which is one call a kind; what is missing then by name: it may be there without the label."""
    labelled = dict(cluster.children(owner.key))
    missing = {object_key(manifest) for manifest in wanted.manifests} - labelled.keys()
    named = {key: cluster.child(owner.key.namespace, key) for key in sorted(missing)}
    return labelled | {key: found for key, found in named.items() if found}


def _pods(
    pods: Iterable[Manifest], readiness: Callable[[Collection[str]], Mapping[str, Readiness]]
) -> tuple[PodState, ...]:
    living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    answers = readiness([address for pod in living if (address := _address(pod))])
    return tuple(
        PodState(
            processor=pod["metadata"]["labels"].get(NAME_LABEL, ""),
            waiting=_waiting(pod),
            away=answers[_address(pod)].away if _address(pod) in answers else {},
        )
        for pod in living
    )


def _address(pod: Manifest) -> str:
    """Where a running pod can be asked, as host:port; one that never ran or has ended has nobody to answer."""
    host = pod.get("status", {}).get("podIP", "")
    if not host or pod["status"].get("phase") != "Running":
        return ""
    ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    return f"[{host}]:{ports['health']}" if ":" in host else f"{host}:{ports['health']}"


def _waiting(pod: Manifest) -> str:
    for container in pod.get("status", {}).get("containerStatuses", ()):
        if waiting := container.get("state", {}).get("waiting"):
            return ": ".join(filter(None, (waiting.get("reason", "Waiting"), waiting.get("message", ""))))
    return ""


def _report(
    owner: Owner,
    current: TopologyStatus,
    warned: Sequence[tuple[Reason, str]],
    done: Sequence[Action],
    cluster: ClusterDoor,
    now: datetime,
) -> None:
    """Status first, as it matters most; events are best effort, because the API server may be short of breath."""
    metrics.record(owner.key, current)
    if current != owner.status:
        cluster.write_status(owner, current)
    events = [("Normal", action.done, str(action)) for action in done]
    events += [("Warning", reason.value, message) for reason, message in warned]
    for kind, reason, message in events:
        log.info(message, namespace=owner.key.namespace, topology=owner.key.name, reason=reason)
        try:
            cluster.write_event(owner, kind, reason, message, now.strftime("%Y-%m-%dT%H:%M:%SZ"))
        except ClusterError as error:
            log.warning("event not written", topology=owner.key.name, reason=reason, error=str(error))
