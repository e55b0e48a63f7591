"""Requests of a transaction that reach Kafka late, in the next one: they neither end it nor move its offsets."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Consumer, KafkaError

from messaging_cli.local.process import Service
from messaging_processors.runtime.connection import Connection
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.records import Outgoing
from messaging_processors.runtime.writing import NotCommitted, TransactionalWriter
from testkit.broker import Broker
from testkit.kafka_proxy import Action, Api, Direction, KafkaProxy, Rule
from testkit.waiting import eventually, must_answer

REFUSED = (KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED)


class World:
    """A writer whose requests go through the proxy, and the topic and the group that it writes for."""

    def __init__(self, kafka: Service, proxy: KafkaProxy) -> None:
        self.proxy = proxy
        self.broker = Broker(kafka.address)
        self.broker.make_topics({"in": 1, "out": 1})
        self._group = self.broker.name("group")
        self.broker.reset(self._group, ["in"])  # as of members of a group: its coordinator is there before them
        self.writer = TransactionalWriter(Connection(proxy.address, Health()), self.broker.name("writer"))
        eventually(must_answer(NotCommitted)(self.writer.prepare))  # the first of all waits for Kafka's own topic
        self._member = Consumer({"bootstrap.servers": kafka.address, "group.id": self._group})

    def write(self, value: bytes, offset: int) -> None:
        self.writer.prepare()
        record = Outgoing(self.broker.name("out"), b"key", value)
        offsets = {(self.broker.name("in"), 0): offset}
        self.writer.write([record], offsets, self._member.consumer_group_metadata())

    def written(self) -> list[bytes | None]:
        return [record.value for record in self.broker.everything("out")]

    def offset(self) -> int:
        (offset,) = self.broker.committed(self._group, ["in"]).values()
        return offset

    def close(self) -> None:
        self.writer.close()
        self._member.close()


@pytest.fixture
def world(proxied_kafka: tuple[Service, KafkaProxy]) -> Iterator[World]:
    world = World(*proxied_kafka)
    yield world
    world.close()


def arrives_in_the_next_transaction(world: World, late: Rule) -> Rule:
    """Lets the late request go while another transaction is open; has seen Kafka's answer to it.

    The producer that was given up may still repeat the end of its own; the transaction to be kept open is another's.
    """
    answer = world.proxy.answer_to(late)
    given_up = {frame.ending_producer for frame in late.seen if frame.api == Api.END_TXN}
    end = world.proxy.rule(
        Api.END_TXN, Direction.REQUEST, Action.HOLD, when=lambda frame: frame.ending_producer not in given_up
    )
    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(world.write, b"second", 20)
        eventually(lambda: end.seen)
        late.release()
        eventually(lambda: answer.seen)
        assert b"second" not in world.written(), "the late request has ended the open transaction"
        end.release()
        writing.result(30)
    return answer


def test_a_commit_that_was_given_up_ends_no_later_transaction(world: World) -> None:
    """Its own transaction it may have ended: the client asks again by itself, and whether in time nobody knows."""
    late = world.proxy.rule(Api.END_TXN, Direction.REQUEST, Action.HOLD)
    with pytest.raises(NotCommitted):
        world.write(b"first", 10)
    (answer,) = arrives_in_the_next_transaction(world, late).seen
    assert answer.end_of_transaction_error() in REFUSED
    assert world.written() in ([b"second"], [b"first", b"second"])
    assert world.offset() == 20


@pytest.mark.parametrize("api", [Api.END_TXN, Api.TXN_OFFSET_COMMIT])
def test_what_the_client_silently_repeats_does_nothing_in_a_later_transaction(world: World, api: Api) -> None:
    """Its connection is lost, it asks again on another and says that all went well; then the first one arrives."""
    late = world.proxy.rule(api, Direction.REQUEST, Action.HOLD_AND_CUT)
    world.write(b"first", 10)
    assert len(late.seen) == 1
    arrives_in_the_next_transaction(world, late)
    assert (world.written(), world.offset()) == ([b"first", b"second"], 20)


def test_an_answer_to_a_commit_that_is_lost_is_asked_for_again(world: World) -> None:
    lost = world.proxy.rule(Api.END_TXN, Direction.RESPONSE, Action.CUT)
    world.write(b"first", 10)
    world.write(b"second", 20)
    assert len(lost.seen) == 1
    assert (world.written(), world.offset()) == ([b"first", b"second"], 20)


def test_a_connection_that_is_lost_between_two_transactions_makes_the_last_one_doubtful(world: World) -> None:
    world.write(b"first", 10)
    assert not world.writer.prepare()
    ours = world.broker.name("out").encode()  # others may still ask by the same proxy
    lost = world.proxy.rule(Api.METADATA, Direction.REQUEST, Action.CUT, when=lambda frame: ours in frame.payload)
    eventually(lambda: lost.seen)
    eventually(world.writer.prepare)
    assert not world.writer.prepare()
