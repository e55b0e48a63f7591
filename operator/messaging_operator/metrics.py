"""The operator's own figures, at /metrics. `worker` counts the rounds, `reconcile` says what they found."""

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from messaging_api.status import TopologyStatus
from messaging_operator.state import TopologyKey

_TOPOLOGY = ("namespace", "topology")
_ROUNDS = Counter("messaging_operator_reconciles", "Reconciles by result", (*_TOPOLOGY, "result"))
_SECONDS = Histogram("messaging_operator_reconcile_seconds", "How long a reconcile takes")
_SUCCESS = Gauge("messaging_operator_last_success_timestamp_seconds", "End of the last reconcile", _TOPOLOGY)
_CONDITIONS = Gauge("messaging_operator_condition", "1 where a condition is True", (*_TOPOLOGY, "condition"))
_PARTITIONS = Gauge("messaging_operator_topic_partitions", "Partitions that Kafka has", (*_TOPOLOGY, "topic"))


def serve(port: int) -> None:
    """From a thread of its own, until the process ends."""
    start_http_server(port)


def count(key: TopologyKey, seconds: float, succeeded: bool) -> None:
    """A round has ended."""
    _ROUNDS.labels(key.namespace, key.name, "success" if succeeded else "error").inc()
    _SECONDS.observe(seconds)
    if succeeded:
        _SUCCESS.labels(key.namespace, key.name).set_to_current_time()


def record(key: TopologyKey, status: TopologyStatus) -> None:
    """What a round has found."""
    _forget_found(key)
    for condition in status.conditions:
        _CONDITIONS.labels(key.namespace, key.name, condition.type.value).set(condition.status == "True")
    for topic in status.topics:
        _PARTITIONS.labels(key.namespace, key.name, topic.name).set(topic.partitions)


def forget(key: TopologyKey) -> None:
    """The topology is gone."""
    _forget_found(key)
    for metric in (_ROUNDS, _SUCCESS):
        metric.remove_by_labels({"namespace": key.namespace, "topology": key.name})


def _forget_found(key: TopologyKey) -> None:
    for metric in (_CONDITIONS, _PARTITIONS):
        metric.remove_by_labels({"namespace": key.namespace, "topology": key.name})
