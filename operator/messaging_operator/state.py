"""The operator's vocabulary: what is declared, what is wanted, what is there. Values only; every module uses it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from messaging_api.base import GROUP
from messaging_api.processor import BillingConfig
from messaging_api.status import TopologyStatus
from messaging_api.tariff import Rate
from messaging_operator.errors import Problem

Manifest = Mapping[str, Any]
"""A Kubernetes object as JSON."""

MANAGER = "messaging-topology-operator"
NAME_LABEL = "app.kubernetes.io/name"
INSTANCE_LABEL = "app.kubernetes.io/instance"
COMPONENT_LABEL = "app.kubernetes.io/component"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
CONFIG_VOLUME = "config"
APPLIED_HASH = f"{GROUP}/applied-hash"


@dataclass(frozen=True, order=True)
class TopologyKey:
    """Where a MessagingTopology lies."""

    namespace: str
    name: str


@dataclass(frozen=True, order=True)
class ObjectKey:
    """An object of a topology, within the topology's namespace."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Owner:
    """The resource behind a topology: whose the objects are, and what its status says so far."""

    key: TopologyKey
    uid: str
    generation: int
    status: TopologyStatus


@dataclass(frozen=True)
class ProcessorImages:
    """What the processors run."""

    gateway: str
    billing: str
    sink: str
    pull_policy: str


@dataclass(frozen=True)
class TopicState:
    """A topic as wanted, `config` holding what is declared, or as Kafka has it, `config` holding what is effective."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


TopicStates = Mapping[str, TopicState | Problem]
"""By name: a topic that does not exist is absent, one that could not be read is the reason why."""


@dataclass(frozen=True)
class PodState:
    """A pod of a processor: why it does not run, and which dependencies it says are away, by name."""

    processor: str
    waiting: str
    away: Mapping[str, str]


@dataclass(frozen=True)
class Unreadable:
    """A table of rates that is not there or wrong; its processor goes on with the prices that it has, if any."""

    problem: Problem
    in_force: BillingConfig | None


RateTables = Mapping[str, tuple[Rate, ...] | Unreadable]
"""By the name of the billing processor: what `tariff.ratesFrom` leads to."""


@dataclass(frozen=True)
class Desired:
    """All that a spec asks for, in the order in which it is made.

    `withheld` processors cannot be configured: what there is of them stays. `problems` say why, and what else is wrong.
    """

    topics: tuple[TopicState, ...]
    manifests: tuple[Manifest, ...]
    withheld: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Observed:
    """What is there. `topics` is a Problem where Kafka as a whole could not be asked.

    `objects` belong to the topology, `foreign` ones only bear a name that it needs.
    """

    topics: TopicStates | Problem
    objects: Mapping[ObjectKey, Manifest]
    foreign: Mapping[ObjectKey, Manifest]
    pods: tuple[PodState, ...]


def object_key(manifest: Manifest) -> ObjectKey:
    """The kind and name of a manifest."""
    return ObjectKey(manifest["kind"], manifest["metadata"]["name"])


def configuration_of(workload: Manifest) -> ObjectKey:
    """The ConfigMap that the pods of a Deployment read; a nameless one for what has no pods."""
    volumes = workload.get("spec", {}).get("template", {}).get("spec", {}).get("volumes", ())
    mounted = (volume["configMap"]["name"] for volume in volumes if volume["name"] == CONFIG_VOLUME)
    return ObjectKey("ConfigMap", next(mounted, ""))


def is_rolled_out(deployment: Manifest, replicas: int) -> bool:
    """Whether Kubernetes has seen what was declared, every pod is new and ready, and none is left over."""
    counts = deployment.get("status", {})
    seen = counts.get("observedGeneration", 0) >= deployment.get("metadata", {}).get("generation", 1)
    return seen and all(counts.get(name, 0) == replicas for name in ("replicas", "updatedReplicas", "readyReplicas"))


def is_owned(manifest: Manifest, uid: str) -> bool:
    """Whether the resource with this uid controls the object. A label proves nothing: labels are copied along."""
    references = manifest["metadata"].get("ownerReferences", ())
    return any(reference.get("controller") and reference["uid"] == uid for reference in references)
