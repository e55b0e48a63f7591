"""Reads the ends of partitions: offsets alone don't tell how many records are there, for transactions take some, too.

Called by `gathering`.
"""

import time
from collections.abc import Mapping
from contextlib import closing

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from messaging_cli.kafka import Partition, reading
from messaging_cli.observing.snapshot import Tail

_SECONDS = 1.0
_POLL_SECONDS = 0.02
_MESSAGES = 500


def read_tails(bootstrap: str, ranges: Mapping[Partition, tuple[int, int]]) -> dict[Partition, Tail]:
    """What is committed in these ranges of offsets, of the partitions that Kafka shows in time."""
    if not ranges:
        return {}
    found: dict[Partition, list[int]] = {at: [] for at in ranges}
    unread, deadline = set(ranges), time.monotonic() + _SECONDS
    with closing(Consumer(reading(bootstrap))) as consumer:
        consumer.assign([TopicPartition(*at, begin) for at, (begin, _) in ranges.items()])
        while unread and time.monotonic() < deadline:
            for message in consumer.consume(_MESSAGES, _POLL_SECONDS):
                at, offset = (message.topic() or "", message.partition() or 0), message.offset() or 0
                if at not in unread:
                    continue
                if not message.error() and offset < ranges[at][1]:
                    found[at].append(offset)
                if _reached(message, offset) >= ranges[at][1]:
                    unread.remove(at)
    return {at: Tail(end, tuple(found[at])) for at, (_, end) in ranges.items() if at not in unread}


def _reached(message: Message, offset: int) -> int:
    """Where reading goes on; nowhere after an error."""
    error = message.error()
    if error is None:
        return offset + 1
    return offset if error.code() == KafkaError._PARTITION_EOF else 0
