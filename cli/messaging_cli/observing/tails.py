"""Reads the ends of partitions: offsets alone don't tell how many records are there, for transactions take some, too.

Called by `gathering`.
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from messaging_cli.kafka import Partition, failed, reading
from messaging_cli.observing.snapshot import Tail

_SECONDS = 2.0
_MESSAGES = 500


def read_tails(bootstrap: str, begins: Mapping[Partition, int]) -> dict[Partition, Tail]:
    """What is committed from there on, where Kafka shows it in time. Raises `CliError`."""
    records: dict[Partition, list[int]] = defaultdict(list)
    found: dict[Partition, Tail] = {}
    deadline = time.monotonic() + _SECONDS
    with closing(Consumer(reading(bootstrap))) as consumer:
        consumer.assign([TopicPartition(*at, offset) for at, offset in begins.items()])
        while len(found) < len(begins) and time.monotonic() < deadline:
            for message in consumer.consume(_MESSAGES, 0.02):
                at, offset = _place(message)
                if not _is_end(message, bootstrap):
                    records[at].append(offset)
                elif at not in found:
                    found[at] = Tail(begins[at], offset, tuple(records[at]))
    return found


def _place(message: Message) -> tuple[Partition, int]:
    return (message.topic() or "", message.partition() or 0), message.offset() or 0


def _is_end(message: Message, bootstrap: str) -> bool:
    """Of what is committed in a partition."""
    error = message.error()
    if error and error.code() != KafkaError._PARTITION_EOF:
        raise failed(bootstrap, KafkaException(error))
    return error is not None
