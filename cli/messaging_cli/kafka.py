"""The command line's door to Kafka's offsets, and the settings that all its clients share.

Called by what reads dead letters and by `status`. Promises: every call has a deadline, a few calls however many
partitions there are, and a Kafka that is away is a `CliError`.
"""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from messaging_cli.errors import CliError

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""

_ANSWER_SECONDS = 4.0
_MOVING = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART)
T = TypeVar("T")


def settings(bootstrap: str) -> dict[str, Any]:
    """Deadlines, topics that are never made by accident, and no log lines across a table."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": "mtop",
        "socket.timeout.ms": 4000,
        "reconnect.backoff.max.ms": 1000,
        "allow.auto.create.topics": False,
        "log_level": 2,
    }


def reading(bootstrap: str) -> dict[str, Any]:
    """What is committed, from where one assigns to where it ends now; the end is told with what transactions left."""
    return settings(bootstrap) | {
        "group.id": "mtop",  # asked for by the client; nothing is committed
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",  # where retention has taken the beginning away
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": 20,  # the end of a partition is told by a fetch that found nothing
        "enable.partition.eof": True,
        "queued.max.messages.kbytes": 16_384,
    }


class Offsets:
    """Where the logs of topics begin and end, and where groups are in them."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = AdminClient(settings(bootstrap))

    def partitions(self, topics: Sequence[str]) -> list[Partition]:
        """The partitions of those topics that exist."""
        described = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=_ANSWER_SECONDS)
        found = [self._unless_unknown(described[topic]) for topic in topics]
        return [(topic.name, partition.id) for topic in found if topic for partition in topic.partitions]

    def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset of the oldest record that is kept."""
        return self._list(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset that comes next, whether or not what is before it is committed."""
        return self._list(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def stable_ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset where the first open transaction begins, or the end."""
        return self._list(partitions, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)  # type: ignore[no-untyped-call]

    def committed(self, groups: Iterable[str]) -> dict[str, dict[Partition, int]]:
        """Where each group reads on, in the partitions where it has said so. Kafka takes one group a call."""
        asked = {group: self._ask_group(group) for group in groups}
        return {group: _positions(self._answer(future).topic_partitions or ()) for group, future in asked.items()}

    def _ask_group(self, group: str) -> "Future[ConsumerGroupTopicPartitions]":
        wanted = ConsumerGroupTopicPartitions(group)
        return self._admin.list_consumer_group_offsets([wanted], request_timeout=_ANSWER_SECONDS)[group]

    def _list(
        self,
        partitions: Iterable[Partition],
        at: OffsetSpec,
        isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
    ) -> dict[Partition, int]:
        """A partition that has just been made, or moves to another broker, is asked for again: the client does not."""
        wanted = {TopicPartition(topic, number): at for topic, number in partitions}
        deadline = time.monotonic() + _ANSWER_SECONDS
        while wanted:
            asked = self._admin.list_offsets(wanted, isolation_level=isolation, request_timeout=_ANSWER_SECONDS)
            try:
                return {(place.topic, place.partition): _result(future).offset for place, future in asked.items()}
            except KafkaException as error:
                if error.args[0].code() not in _MOVING or time.monotonic() > deadline:
                    raise failed(self._bootstrap, error) from error
                time.sleep(0.1)
        return {}

    def _unless_unknown(self, future: "Future[T]") -> T | None:
        try:
            return _result(future)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise failed(self._bootstrap, error) from error

    def _answer(self, future: "Future[T]") -> T:
        try:
            return _result(future)
        except KafkaException as error:
            raise failed(self._bootstrap, error) from error


def failed(bootstrap: str, error: KafkaException) -> CliError:
    """What a person is told of an error that the client raised."""
    return CliError(f"Kafka at {bootstrap}: {error.args[0].str()}")


def _result(future: "Future[T]") -> T:
    try:
        return future.result(_ANSWER_SECONDS + 1)
    except TimeoutError as error:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from error


def _positions(places: Iterable[TopicPartition]) -> dict[Partition, int]:
    return {(place.topic, place.partition): place.offset for place in places if place.offset >= 0}
