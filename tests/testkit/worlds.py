"""Kafka and an API server in memory, for tests of whole reconciles. They record every write."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from messaging_api.processor import HEALTH_PORT, Readiness
from messaging_api.status import ConditionType, Reason, TopologyStatus
from messaging_operator.errors import ClusterError, Problem
from messaging_operator.plan import AlterTopicConfig, CreateTopic, GrowPartitions
from messaging_operator.reconcile import Clients
from messaging_operator.state import Manifest, ObjectKey, Owner, TopicState, TopicStates, TopologyKey, object_key
from testkit.topologies import KEY, example, in_kubernetes

UNREACHABLE = Problem(ConditionType.TOPICS_READY, Reason.KAFKA_UNREACHABLE, "Kafka at kafka:9092 does not answer")

UNREADABLE = Problem(ConditionType.TOPICS_READY, Reason.TOPIC_REFUSED, "topic postpaid cannot be read: not authorized")


@dataclass
class FakeKafka:
    """Topics by name; `down` answers nothing, `refused` topics are refused, `unreadable` ones cannot be described."""

    existing: dict[str, TopicState] = field(default_factory=dict)
    refused: dict[str, Problem] = field(default_factory=dict)
    unreadable: dict[str, Problem] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    down: bool = False

    def topics(self, names: Sequence[str]) -> TopicStates | Problem:
        seen: TopicStates = {**self.existing, **self.unreadable}
        return UNREACHABLE if self.down else {name: seen[name] for name in names if name in seen}

    def create(self, actions: Sequence[CreateTopic]) -> list[Problem | None]:
        return [self._write(action.topic.name, action.topic) for action in actions]

    def grow(self, actions: Sequence[GrowPartitions]) -> list[Problem | None]:
        return [
            self._write(action.topic, replace(self.existing[action.topic], partitions=action.wanted))
            for action in actions
        ]

    def configure(self, actions: Sequence[AlterTopicConfig]) -> list[Problem | None]:
        return [self._write(action.topic, self._configured(action)) for action in actions]

    def _configured(self, action: AlterTopicConfig) -> TopicState:
        topic = self.existing[action.topic]
        return replace(topic, config={**topic.config, **action.changes})

    def _write(self, name: str, topic: TopicState) -> Problem | None:
        self.writes.append(name)
        if name not in self.refused:
            self.existing[name] = topic
        return self.refused.get(name)


@dataclass
class FakeCluster:
    """One topology and its objects; a Deployment that is applied is rolled out at once."""

    resource: dict[str, Any]
    objects: dict[ObjectKey, Manifest] = field(default_factory=dict)
    running: list[Manifest] = field(default_factory=list)
    refused: dict[ObjectKey, ClusterError] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)

    def topology(self, key: TopologyKey) -> Manifest | None:
        return self.resource if key == KEY else None

    def children(self, key: TopologyKey) -> Mapping[ObjectKey, Manifest]:
        return {name: found for name, found in self.objects.items() if found["metadata"].get("labels")}

    def child(self, namespace: str, key: ObjectKey) -> Manifest | None:
        return self.objects.get(key)

    def pods(self, key: TopologyKey) -> Sequence[Manifest]:
        return self.running

    def apply(self, namespace: str, manifest: Manifest) -> None:
        key = object_key(manifest)
        self.writes.append(f"apply {key}")
        if key in self.refused:
            raise self.refused[key]
        self.objects[key] = in_kubernetes(manifest)

    def delete(self, namespace: str, key: ObjectKey, uid: str) -> None:
        self.writes.append(f"delete {key}")
        del self.objects[key]

    def write_status(self, owner: Owner, status: TopologyStatus) -> None:
        self.writes.append("status")
        self.resource["status"] = status.model_dump(mode="json")

    def write_event(self, owner: Owner, kind: str, reason: str, message: str, now: str) -> None:
        self.writes.append("event")
        self.events.append((kind, reason, message))

    @property
    def status(self) -> TopologyStatus:
        return TopologyStatus.model_validate(self.resource["status"])

    def condition(self, kind: ConditionType) -> tuple[str, Reason, str]:
        found = next(condition for condition in self.status.conditions if condition.type == kind)
        return found.status, found.reason, found.message


@dataclass
class World:
    """Everything outside of the operator, and the clients that lead there."""

    cluster: FakeCluster
    kafka: FakeKafka
    answers: dict[str, Readiness] = field(default_factory=dict)

    @property
    def clients(self) -> Clients:
        return Clients(self.cluster, lambda _: self.kafka, self._ask)

    def _ask(self, addresses: Collection[str]) -> Mapping[str, Readiness]:
        return {address: self.answers[address] for address in addresses if address in self.answers}

    def forget_writes(self) -> None:
        for writes in (self.cluster.writes, self.cluster.events, self.kafka.writes):
            writes.clear()


def a_world(spec: dict[str, Any] | None = None) -> World:
    """A topology that was just created, and nothing else."""
    metadata = {"name": KEY.name, "namespace": KEY.namespace, "uid": "uid-of-the-topology", "generation": 1}
    return World(FakeCluster({"metadata": metadata, "spec": spec or example()}), FakeKafka())


def a_pod(processor: str, address: str, phase: str = "Running") -> Manifest:
    labels = {"app.kubernetes.io/name": processor}
    ports = [{"name": "health", "containerPort": HEALTH_PORT}]
    spec = {"containers": [{"name": "processor", "ports": ports}]}
    return {"metadata": {"labels": labels}, "spec": spec, "status": {"phase": phase, "podIP": address}}
