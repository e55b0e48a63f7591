"""Partitions, records and errors, between our own terms and the client's; reading and writing use it."""

from collections.abc import Iterable, Mapping
from operator import methodcaller
from typing import cast

from confluent_kafka import KafkaError, Message, TopicPartition

from messaging_processors.runtime.records import UNREADABLE_HEADERS, Headers, Position, Record

_GROUP_CHANGED = (KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS)
_ask_headers = methodcaller("headers")


def targets(offsets: Mapping[Position, int]) -> list[TopicPartition]:
    """Offsets as the client wants them."""
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]


def partitions_of(positions: Iterable[Position]) -> list[TopicPartition]:
    """As the client wants them."""
    return [TopicPartition(topic, partition) for topic, partition in positions]


def positions_of(partitions: Iterable[TopicPartition]) -> set[Position]:
    """As the client has them."""
    return {(place.topic, place.partition) for place in partitions}


def record_of(message: Message) -> Record:
    """As it was read."""
    _, timestamp = message.timestamp()
    return Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=message.key(),
        value=message.value(),
        headers=_headers(message),
        timestamp_ms=timestamp,
    )


def _headers(message: Message) -> Headers:
    """Where the name of one is no UTF-8 the client cannot hand out any.

    It then returns with an error set, which the interpreter may overlook in a plain call and raise anywhere later;
    `methodcaller` always looks.
    """
    try:
        return cast(Headers, tuple(_ask_headers(message) or ()))
    except SystemError:
        return UNREADABLE_HEADERS


def group_changed(error: KafkaError) -> bool:
    """True when the group went on without us: somebody else reads on, and Kafka itself is well."""
    return error.code() in _GROUP_CHANGED
