"""The reader of a group on a real Kafka: what is paused, rewound or lost is read again, from the right place, once."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupState, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from structlog.typing import EventDict

from messaging_cli.local.process import Service
from messaging_processors.runtime import asking, connection, kafka, stalls
from messaging_processors.runtime.asking import Questions
from messaging_processors.runtime.connection import Connection
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.kafka import Reader
from messaging_processors.runtime.patience import SECONDS, Trouble
from messaging_processors.runtime.records import Position, Record
from messaging_processors.runtime.stable_offsets import LATE_SECONDS
from messaging_processors.runtime.writing import TRANSACTION_MS, NotCommitted, TransactionalWriter
from testkit.broker import Broker
from testkit.clocks import Clock
from testkit.loops import turn_until
from testkit.waiting import eventually

KAFKAS_SECONDS = 25.0
"""At the most: a transaction may be open for ten, Kafka looks for such ones every ten, and five to see that it did."""


@pytest.fixture
def broker(broker: Broker) -> Broker:
    broker.make_topics({"input": 2})
    return broker


@contextmanager
def a_reader(broker: Broker) -> Iterator[Reader]:
    reader = Reader(Connection(broker.bootstrap, Health()), broker.name("group"), [broker.name("input")])
    try:
        yield reader
    finally:
        reader.close()


def put(broker: Broker, values: range) -> set[bytes]:
    """One record a value, on both partitions in turn; the values."""
    for value in values:
        broker.put("input", b"%d" % value, partition=value % 2)
    broker.flush()
    return values_of(values)


def values_of(values: range) -> set[bytes]:
    return {b"%d" % value for value in values}


def reading(reader: Reader, into: list[Record]) -> Callable[[], None]:
    return lambda: into.extend(reader.read(500, 0.1).records)


def values(records: list[Record]) -> list[bytes]:
    return sorted(record.value or b"" for record in records)


def read(reader: Reader, wanted: set[bytes]) -> None:
    """Reads exactly `wanted`, each once, and then nothing more."""
    found: list[Record] = []
    turn_until(lambda: len(found) >= len(wanted), reading(reader, found))
    for _ in range(5):
        reading(reader, found)()
    assert values(found) == sorted(wanted)


def test_a_rewound_partition_is_read_from_where_the_group_is(broker: Broker) -> None:
    first = put(broker, range(10))
    with a_reader(broker) as reader:
        read(reader, first)
        reader.rewind(reader.assigned)
        read(reader, first)
        reader.commit({(broker.name("input"), 0): 5, (broker.name("input"), 1): 5})
        second = put(broker, range(10, 20))
        read(reader, second)
        reader.rewind(reader.assigned)
        read(reader, second)


def test_a_member_that_joins_before_it_is_asked_anything_reads_all_the_same(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the client's own threads may be faster than ours."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})

    def is_stable() -> bool:
        (described,) = admin.describe_consumer_groups([broker.name("group")]).values()
        return bool(described.result(5).state is ConsumerGroupState.STABLE)

    class JoinedAtOnce(Consumer):
        def subscribe(self, *topics: Any, **callbacks: Any) -> None:  # noqa: ANN401  as the client has them
            super().subscribe(*topics, **callbacks)
            eventually(is_stable)

    monkeypatch.setattr(kafka, "Consumer", JoinedAtOnce)
    with a_reader(broker) as reader:
        read(reader, put(broker, range(10)))


def test_a_held_reader_reads_nothing_and_then_goes_on_where_it_was(broker: Broker) -> None:
    first = put(broker, range(10))
    with a_reader(broker) as reader:
        read(reader, first)
        reader.hold()
        second = put(broker, range(10, 20))
        for _ in range(5):
            reader.idle(0.1)
        reader.release()
        read(reader, second)


def test_a_reader_that_is_held_again_and_again_orders_each_pause_once(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered: list[TopicPartition] = []

    class Noting(Consumer):
        def pause(self, partitions: list[TopicPartition]) -> None:
            ordered.extend(partitions)
            super().pause(partitions)

    monkeypatch.setattr(kafka, "Consumer", Noting)
    with a_reader(broker) as reader:
        read(reader, put(broker, range(10)))
        mine = reader.assigned
        ordered.clear()
        for _ in range(3):
            reader.hold()
            reader.idle(0.1)
        assert sorted((place.topic, place.partition) for place in ordered) == sorted(mine)


def test_a_partition_that_was_lost_while_held_is_read_when_it_is_back(broker: Broker) -> None:
    """The client remembers the pause of a partition that it lost."""
    put(broker, range(10))
    with a_reader(broker) as reader:
        found: list[Record] = []
        turn_until(lambda: len(found) == 10, reading(reader, found))
        reader.hold()
        with a_reader(broker) as other:
            turn_until(lambda: other.assigned, lambda: reader.idle(0.1), lambda: other.idle(0.1))
            lost = reader.lost()
            assert len(lost) == 1
        reader.release()
        expected = {record.value or b"" for record in found if record.position in lost}
        read(reader, expected)


def test_a_reader_that_joins_while_it_is_held_waits_to_be_released(broker: Broker) -> None:
    first = put(broker, range(10))
    with a_reader(broker) as reader:
        reader.hold()
        turn_until(lambda: len(reader.assigned) == 2, lambda: reader.idle(0.1))
        for _ in range(5):
            reader.idle(0.1)
        reader.release()
        read(reader, first)


def test_what_is_committed_is_noted_before_the_reader_leaves(broker: Broker) -> None:
    first = put(broker, range(10))
    with a_reader(broker) as reader:
        read(reader, first)
        reader.commit({(broker.name("input"), 0): 5, (broker.name("input"), 1): 3})
    assert set(broker.committed(broker.name("group"), ["input"]).values()) == {5, 3}


def test_a_reader_whose_client_is_given_up_reads_on_from_where_the_group_is(
    broker: Broker, kafka: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds are less than a session: nobody but the reader itself can say that its partitions are lost."""
    monkeypatch.setattr(connection, "STRANDED_SECONDS", 2)
    first = put(broker, range(10))
    with a_reader(broker) as reader:
        read(reader, first)
        mine = reader.assigned
        reader.commit(dict.fromkeys(mine, 5))
        turn_until(lambda: broker.done(broker.name("group"), ["input"]) == 10, lambda: reader.idle(0.1))
        kafka.kill()
        try:
            with capture_logs() as logs:
                turn_until(lambda: reader.assigned == set(), lambda: reader.idle(0.1))
        finally:
            kafka.start()
        assert given_up(logs) == ["no broker was connected for long, another client tries"]
        assert reader.lost() == mine
        read(reader, put(broker, range(10, 20)))
        assert reader.assigned == mine


def clients_given_up() -> float:
    return REGISTRY.get_sample_value("messaging_kafka_clients_given_up_total") or 0.0


def given_up(logs: list[EventDict]) -> list[str]:
    """What was said of clients that were."""
    return [line["event"] for line in logs if "another client" in line["event"]]


def never_resumed(reader: Reader, position: Position) -> str:
    reader._consumer.pause([TopicPartition(*position)])
    return f"{position[0]}[{position[1]}] was not read for long, though Kafka has more of it"


def never_started(reader: Reader, position: Position) -> str:
    reader._consumer.incremental_unassign([TopicPartition(*position)])
    reader.rewind(reader.assigned)
    return "partitions could not be rewound for long"


@pytest.mark.parametrize("thrown_away", [never_resumed, never_started])
def test_a_client_that_has_stopped_reading_a_partition_is_given_up_for_another(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, thrown_away: Callable[[Reader, Position], str]
) -> None:
    """As if it had thrown that order away; the other partition is read all the while."""
    monkeypatch.setattr(stalls, "STALL_SECONDS", 4.0)
    monkeypatch.setitem(SECONDS, Trouble.UNMOVED, 8.0)
    topic = broker.name("input")
    with a_reader(broker) as reader, capture_logs() as logs:
        read(reader, put(broker, range(10)))
        reader.commit(dict.fromkeys(reader.assigned, 5))
        turn_until(lambda: broker.done(broker.name("group"), ["input"]) == 10, lambda: reader.idle(0.1))
        why = f"{thrown_away(reader, (topic, 1))}, another client tries"
        more = put(broker, range(10, 20))
        found: list[Record] = []
        turn_until(lambda: len(found) >= 5, reading(reader, found))
        assert given_up(logs) == []
        turn_until(lambda: {record.value for record in found} == more, reading(reader, found))
    assert given_up(logs) == [why]


def test_a_client_that_hears_nothing_of_the_group_is_given_up_for_another(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SECONDS, Trouble.UNSETTLED, 8.0)
    with a_reader(broker) as reader, capture_logs() as logs:
        read(reader, put(broker, range(10)))
        mine = reader.assigned
        reader._consumer.unsubscribe()
        turn_until(lambda: reader.assigned == set(), reading(reader, []))
        turn_until(lambda: reader.assigned == mine, reading(reader, []))
    assert given_up(logs) == ["the group has told it nothing for long, another client tries"]


def test_so_is_one_that_was_told_that_another_has_everything(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a new pod is, while the old one still reads."""
    monkeypatch.setitem(SECONDS, Trouble.UNSETTLED, 8.0)
    broker.make_topics({"narrow": 1})

    def joined() -> Reader:
        return Reader(Connection(broker.bootstrap, Health()), broker.name("group"), [broker.name("narrow")])

    with closing(joined()) as old, closing(joined()) as new, capture_logs() as logs:
        both = reading(old, []), reading(new, [])
        turn_until(lambda: old.assigned or new.assigned, *both)
        idle = new if old.assigned else old
        turn_until(lambda: idle._told.get("join_state") == "steady", *both)
        idle._consumer.unsubscribe()
        turn_until(lambda: given_up(logs), *both)


def test_questions_are_asked_by_another_client_where_one_gets_no_answers(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_UNANSWERED", 2)
    group = {"group.id": broker.name("group")}
    questions = Questions(group | {"bootstrap.servers": broker.bootstrap})
    questions._client = Consumer(group | {"bootstrap.servers": "127.0.0.1:1"})
    with closing(questions):
        turn_until(lambda: questions.end((broker.name("input"), 0)) == 0)
        questions._client = Consumer(group | {"bootstrap.servers": "127.0.0.1:1"})
        for _ in range(3):
            with pytest.raises(Away):
                questions.committed([(broker.name("input"), 0)])
        turn_until(lambda: questions.end((broker.name("input"), 0)) == 0)


def test_a_client_that_closes_has_nothing_to_tell_of_its_group(broker: Broker) -> None:
    with a_reader(broker) as reader:
        reader._look({"time": 0, "ts": 0, "brokers": {}, "topics": {}})
        read(reader, put(broker, range(10)))


def test_a_client_whose_offsets_the_group_never_takes_is_given_up_for_another(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SECONDS, Trouble.REFUSED, 1.0)
    refusal, before = KafkaError(KafkaError.ILLEGAL_GENERATION), clients_given_up()
    with a_reader(broker) as reader, capture_logs() as logs:
        read(reader, put(broker, range(10)))
        turn_until(lambda: given_up(logs), lambda: reader._noted(refusal, []), reading(reader, []))
        read(reader, values_of(range(10)))
    assert given_up(logs) == ["the group has taken no offsets of it for long, another client tries"]
    assert clients_given_up() == before + 1


def test_a_client_that_has_nothing_to_read_or_is_held_is_kept(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalls, "STALL_SECONDS", 1.0)
    with a_reader(broker) as reader, capture_logs() as logs:
        read(reader, put(broker, range(10)))
        for _ in range(30):
            assert not reader.read(500, 0.1).records
        assert given_up(logs) == []
        reader.hold()
        for _ in range(60):
            reader.idle(0.1)
            assert not reader._stalls.find(lambda _: 100)


def test_kafka_is_soon_back_for_a_pod_that_has_nothing_to_do(broker: Broker) -> None:
    """Sooner than what failed would have been tried again, if there were anything to try."""
    clock = Clock()
    connection = Connection(broker.bootstrap, Health(), clock)
    reader = Reader(connection, broker.name("group"), [broker.name("input")])
    writer = TransactionalWriter(connection, broker.name("writer"))
    try:
        for prepare in (lambda: read(reader, put(broker, range(10))), writer.prepare):
            connection.failed("transaction not committed")
            prepare()
            clock.now += 10
            turn_until(lambda: not connection.is_away(), reading(reader, []))
    finally:
        writer.close()
        reader.close()


def test_what_cannot_be_released_is_named(broker: Broker) -> None:
    writer = TransactionalWriter(Connection(broker.bootstrap, Health()), broker.name("writer"))
    member = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": broker.name("group")})
    named = re.escape(f"{broker.name('writer')}: transaction not released: ") + ".*nowhere: "
    with pytest.raises(NotCommitted, match=named):
        writer.release(member.consumer_group_metadata(), [broker.name("input"), "nowhere"])
    member.close()


def begin(broker: Broker, timeout_ms: int) -> Producer:
    """A transaction of somebody else's, with one record on the first partition."""
    name = broker.name("dangling")
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap, "transactional.id": name, "transaction.timeout.ms": timeout_ms}
    )
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(broker.name("input"), b"uncommitted", partition=0)
    producer.flush(10)
    return producer


def blocked() -> float | None:
    return REGISTRY.get_sample_value("messaging_last_stable_offset_lag")


def late() -> float:
    return REGISTRY.get_sample_value("messaging_late_transaction_seconds_total") or 0.0


def test_what_an_open_transaction_keeps_from_being_read_is_counted(broker: Broker) -> None:
    first = put(broker, range(10))
    with a_reader(broker) as reader:
        read(reader, first)
        dangling = begin(broker, timeout_ms=60_000)
        put(broker, range(10, 20))
        found: list[Record] = []
        turn_until(lambda: (blocked(), len(found)) == (6, 5), reading(reader, found))
        reader.hold()
        turn_until(lambda: blocked() == 0, lambda: reader.idle(0.1))
        reader.release()
        turn_until(lambda: (blocked(), len(found)) == (6, 5), reading(reader, found))
        dangling.commit_transaction(10)
        turn_until(lambda: (blocked(), len(found)) == (0, 11), reading(reader, found))


def test_a_transaction_that_nobody_ends_is_late_before_kafka_ends_it(broker: Broker) -> None:
    before = late()
    with a_reader(broker) as reader:
        read(reader, put(broker, range(10)))
        begin(broker, TRANSACTION_MS)
        put(broker, range(10, 20))
        found: list[Record] = []
        turn_until(lambda: len(found) == 10, reading(reader, found), within=KAFKAS_SECONDS)
    assert 0 < late() - before <= KAFKAS_SECONDS - LATE_SECONDS
