"""Kafka from the outside, for tests of processors: make topics, put records in, read everything that is there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from testkit.waiting import must_answer

_HIDDEN_SECONDS = 1.0
Headers = Sequence[tuple[str, str | bytes | None]]


@dataclass(frozen=True)
class Seen:
    """A record that somebody wrote."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    def header(self, name: str) -> str:
        return dict(self.headers)[name].decode()  # type: ignore[union-attr]


def admin_client(bootstrap: str) -> AdminClient:
    """Soon asks again who the controller is.

    A broker that was silent for longer than its session is fenced until its next heartbeat, and then names no
    controller. A client that has asked just then (librdkafka 2.16) looks again after five minutes.
    """
    return AdminClient({"bootstrap.servers": bootstrap, "topic.metadata.refresh.interval.ms": 1000})


class Broker:
    """One Kafka and the topics of one test; the broker is shared, so every name gets a prefix of its own."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.prefix = f"t{uuid4().hex[:8]}."
        self._undelivered: list[str] = []
        # Idempotent, or a request that is repeated, as on a new topic, could overtake others of its partition.
        settings = {"linger.ms": 5, "message.max.bytes": 4_000_000, "enable.idempotence": True, "log_level": 2}
        self._producer = Producer({"bootstrap.servers": bootstrap, **settings})

    def name(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def make_topics(self, partitions: Mapping[str, int], config: Mapping[str, str] | None = None) -> None:
        admin = admin_client(self.bootstrap)
        wanted = [NewTopic(self.name(name), count, 1, config=dict(config or {})) for name, count in partitions.items()]
        for made in admin.create_topics(wanted).values():
            made.result(30)

    def remove_topics(self) -> None:
        """All that have its prefix: what a killed broker has to look through when it starts again."""
        mine = [topic for topic in self._producer.list_topics(timeout=10).topics if topic.startswith(self.prefix)]
        admin = admin_client(self.bootstrap)
        for removed in admin.delete_topics(mine).values() if mine else ():
            removed.result(30)

    def grow(self, topic: str, partitions: int) -> None:
        admin = admin_client(self.bootstrap)
        for grown in admin.create_partitions([NewPartitions(self.name(topic), partitions)]).values():
            grown.result(30)

    def configure(self, topic: str, config: Mapping[str, str]) -> None:
        """Changes settings of a topic that exists."""
        changes = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, self.name(topic), incremental_configs=changes)
        admin = admin_client(self.bootstrap)
        for changed in admin.incremental_alter_configs([resource]).values():
            changed.result(30)

    def put(
        self, topic: str, value: bytes | None, headers: Headers = (), key: bytes | None = None, partition: int = -1
    ) -> None:
        """Queues one record; `flush` when all are queued."""
        self._producer.produce(
            self.name(topic), value, key, partition, headers=list(headers), on_delivery=self._delivered
        )
        self._producer.poll(0)

    def flush(self) -> None:
        assert self._producer.flush(30) == 0
        assert not self._undelivered

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        self._undelivered += [str(error)] if error else []

    def everything(self, topic: str, isolation: str = "read_committed") -> list[Seen]:
        """All records of a topic, partition by partition; transactions that are still open end what is visible."""
        consumer = self._consumer(isolation)
        # By number: a client that is told the beginning only looks for it half a second later.
        partitions = [TopicPartition(self.name(topic), number, 0) for number in self._partitions(topic)]
        consumer.assign(partitions)
        seen: list[Seen] = []
        ended: set[int | None] = set()
        while len(ended) < len(partitions):
            for message in consumer.consume(500, 0.1):
                ended |= _end(message)
                seen += [_seen(message)] if not message.error() else []
        consumer.close()
        return seen

    def transaction_is_open(self, topic: str) -> bool:
        """Whether some record of the topic is neither committed nor aborted; others may write to it meanwhile."""
        written, readable = (self.ends(topic, isolation) for isolation in ("read_uncommitted", "read_committed"))
        return any(end > seen for end, seen in zip(written, readable, strict=True))

    def offsets_are_hidden(self, group: str, topics: Iterable[str]) -> bool:
        """Whether the group's offsets are in a transaction that has not ended."""
        consumer = self._consumer("read_committed", group)
        places = [TopicPartition(self.name(topic), number) for topic in topics for number in self._partitions(topic)]
        try:
            return any(place.error for place in consumer.committed(places, _HIDDEN_SECONDS))
        except KafkaException:
            return True
        finally:
            consumer.close()

    def done(self, group: str, topics: Iterable[str]) -> int:
        """How many records the group has behind it, of topics that nobody writes to in transactions."""
        return sum(offset for offset in self.committed(group, topics).values() if offset > 0)

    def total(self, topics: Iterable[str]) -> int:
        """How many records there are in topics that nobody writes to in transactions."""
        return sum(sum(self.ends(topic)) for topic in topics)

    @must_answer(KafkaException)
    def committed(
        self, group: str, topics: Iterable[str], isolation: str = "read_committed"
    ) -> dict[tuple[str, int], int]:
        """What the group has done, by topic (its full name) and partition."""
        consumer = self._consumer(isolation, group)
        places = [TopicPartition(self.name(topic), number) for topic in topics for number in self._partitions(topic)]
        offsets = {(place.topic, place.partition): place.offset for place in consumer.committed(places, 10)}
        consumer.close()
        return offsets

    def reset(self, group: str, topics: Iterable[str]) -> None:
        """Puts an empty group back to the beginning."""
        consumer = self._consumer("read_committed", group)
        places = [TopicPartition(self.name(topic), number, 0) for topic in topics for number in self._partitions(topic)]
        consumer.commit(offsets=places, asynchronous=False)
        consumer.close()

    @must_answer(KafkaException)
    def ends(self, topic: str, isolation: str = "read_committed") -> list[int]:
        """Where each partition ends for such a reader, transactions' markers included."""
        consumer = self._consumer(isolation)
        ends = [
            consumer.get_watermark_offsets(TopicPartition(self.name(topic), number), 5)[1]
            for number in self._partitions(topic)
        ]
        consumer.close()
        return ends

    def _partitions(self, topic: str) -> list[int]:
        found = self._producer.list_topics(self.name(topic), 10).topics[self.name(topic)]
        return sorted(found.partitions)

    def _consumer(self, isolation: str, group: str = "") -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": group or self.name("reader"),
                "isolation.level": isolation,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",  # where retention has taken the beginning away
                "fetch.wait.max.ms": 20,  # the end of a partition is told by a fetch that found nothing
                "enable.partition.eof": True,
            }
        )


def _end(message: Message) -> set[int | None]:
    error = message.error()
    if error and error.code() != KafkaError._PARTITION_EOF:
        raise AssertionError(str(error))
    return {message.partition()} if error else set()


def _seen(message: Message) -> Seen:
    return Seen(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.key(),
        message.value(),
        tuple(message.headers() or ()),  # type: ignore[arg-type]
    )
