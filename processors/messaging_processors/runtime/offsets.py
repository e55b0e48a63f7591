"""Where a consumer group is, partition by partition; `kafka` asks before it reads a partition.

The consumer's own way to ask answers for all partitions or for none, and does not tell a transaction that hides an
offset from a Kafka that is away.
"""

from collections.abc import Iterable
from concurrent.futures import TimeoutError as Silence
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from messaging_processors.runtime.connection import KAFKA, LIBRARY_LOG, Connection
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.records import Position

_ANSWER_SECONDS = 1.0


@dataclass(frozen=True)
class Whereabouts:
    """Where the group is: offsets, negative where it has none yet; and where a transaction that is open may move it."""

    offsets: dict[Position, int]
    hidden: frozenset[Position]


class Group:
    """One consumer group. Connects at the first question."""

    def __init__(self, connection: Connection, group_id: str) -> None:
        self._group_id = group_id
        self._admin = AdminClient(connection.settings(), logger=LIBRARY_LOG)

    def whereabouts(self, positions: Iterable[Position]) -> Whereabouts:
        """Where reading has to begin (KIP-447: only what no transaction can change); raises `Away` when Kafka is."""
        self._admin.poll(0)
        places = [TopicPartition(topic, partition) for topic, partition in positions]
        question = ConsumerGroupTopicPartitions(self._group_id, places)
        (answer,) = self._admin.list_consumer_group_offsets(
            [question], require_stable=True, request_timeout=_ANSWER_SECONDS
        ).values()
        try:
            return _sorted_out(answer.result(2 * _ANSWER_SECONDS).topic_partitions)
        except KafkaException as error:
            raise Away(KAFKA, str(error.args[0])) from error
        except Silence as error:
            raise Away(KAFKA, f"no answer in {2 * _ANSWER_SECONDS:g} s") from error


def _sorted_out(places: Iterable[TopicPartition]) -> Whereabouts:
    offsets, hidden = {}, set()
    for place in places:
        if place.error and place.error.code() == KafkaError.UNSTABLE_OFFSET_COMMIT:
            hidden.add((place.topic, place.partition))
        elif place.error:
            raise KafkaException(place.error)
        else:
            offsets[place.topic, place.partition] = place.offset
    return Whereabouts(offsets, frozenset(hidden))
