"""Partitions of topics, between our own terms and the client's; reading and writing use it."""

from collections.abc import Iterable, Mapping

from confluent_kafka import TopicPartition

from messaging_processors.runtime.records import Position


def targets(offsets: Mapping[Position, int]) -> list[TopicPartition]:
    """Offsets as the client wants them."""
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]


def partitions_of(positions: Iterable[Position]) -> list[TopicPartition]:
    """As the client wants them."""
    return [TopicPartition(topic, partition) for topic, partition in positions]


def positions_of(partitions: Iterable[TopicPartition]) -> set[Position]:
    """As the client has them."""
    return {(place.topic, place.partition) for place in partitions}
