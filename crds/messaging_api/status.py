"""What the operator says back: actual values, and one condition per aspect."""

from enum import StrEnum
from typing import Literal

from messaging_api.base import Model


class ConditionType(StrEnum):
    """Ready, Reconciling and Stalled follow kstatus; the others name an aspect."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    TOPICS_READY = "TopicsReady"
    PROCESSORS_READY = "ProcessorsReady"
    DEGRADED = "Degraded"


class Reason(StrEnum):
    """Why a condition is what it is: a closed list, part of the API."""

    RECONCILED = "Reconciled"
    IN_PROGRESS = "InProgress"
    PARTITIONS_AHEAD_OF_SPEC = "PartitionsAheadOfSpec"
    KAFKA_UNREACHABLE = "KafkaUnreachable"
    INVALID_TOPIC_CONFIG = "InvalidTopicConfig"
    TOPIC_REFUSED = "TopicRefused"
    WORKLOAD_CONFLICT = "WorkloadConflict"
    WORKLOAD_REFUSED = "WorkloadRefused"
    ROLLOUT_IN_PROGRESS = "RolloutInProgress"
    DEPENDENCY_UNAVAILABLE = "DependencyUnavailable"
    INVALID_RATES = "InvalidRates"
    """A table of `tariff.ratesFrom`; its processor goes on with the prices that it has."""
    INVALID_SPEC = "InvalidSpec"


class Condition(Model):
    """A Kubernetes condition (KEP-1623)."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: Reason
    message: str = ""
    observed_generation: int
    last_transition_time: str


class TopicStatus(Model):
    """A topic as Kafka has it or had it when it last answered; 0 partitions when none was ever seen."""

    name: str
    partitions: int
    replication_factor: int


class ProcessorStatus(Model):
    """A Deployment as Kubernetes has it, and what its pods say of their dependencies."""

    name: str
    desired: int
    ready: int
    message: str = ""


class TopologyStatus(Model):
    """The status subresource. `topics_ready` and `processors_ready` are the texts of the printer columns: `8/8`."""

    observed_generation: int = 0
    conditions: list[Condition] = []
    topics: list[TopicStatus] = []
    processors: list[ProcessorStatus] = []
    topics_ready: str = ""
    processors_ready: str = ""
