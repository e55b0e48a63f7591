"""Where the publisher writes to, and what its acknowledgements are worth, whatever becomes of requests and answers."""

from collections.abc import Iterator
from concurrent.futures import Future, wait

import pytest

from messaging_cli.local.process import Service
from messaging_processors.runtime import publishing
from messaging_processors.runtime.connection import KAFKA
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.publishing import FateUnknown, NotPublished, Publisher
from messaging_processors.runtime.records import Outgoing
from messaging_processors.runtime.watching import reporting
from testkit.broker import Broker
from testkit.kafka_proxy import Action, Api, Direction, KafkaProxy
from testkit.waiting import eventually

TOPIC = "accepted"
REQUEST, RESPONSE = Direction.REQUEST, Direction.RESPONSE


@pytest.fixture
def broker(proxied_kafka: tuple[Service, KafkaProxy]) -> Broker:
    broker = Broker(proxied_kafka[0].address)
    broker.make_topics({TOPIC: 3})
    return broker


@pytest.fixture
def proxy(proxied_kafka: tuple[Service, KafkaProxy]) -> KafkaProxy:
    return proxied_kafka[1]


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def publisher(broker: Broker, proxy: KafkaProxy, health: Health) -> Iterator[Publisher]:
    publisher = Publisher(proxy.address, [broker.name(TOPIC)], health)
    publisher.probe()
    yield publisher
    publisher.close()


def healthy(publisher: Publisher, health: Health) -> bool:
    reporting(health, KAFKA, publisher.probe)()
    return not health.readiness().away


def publish(publisher: Publisher, broker: Broker, *keys: bytes) -> dict[bytes, Future[None]]:
    fates = {key: handed_over(publisher, Outgoing(broker.name(TOPIC), key, b"{}")) for key in keys}
    wait(fates.values(), 10)
    return fates


def handed_over(publisher: Publisher, record: Outgoing) -> Future[None]:
    """Its fate, also where the publisher refuses it at once: once a cut connection is known."""
    try:
        return publisher.publish(record)
    except NotPublished as error:
        fate: Future[None] = Future()
        fate.set_exception(error)
        return fate


@pytest.mark.parametrize(
    ("direction", "action"),
    [
        (REQUEST, Action.HOLD),
        (REQUEST, Action.HOLD_AND_CUT),
        (REQUEST, Action.DOUBLE),
        (REQUEST, Action.SWALLOW),
        (RESPONSE, Action.SWALLOW),
        (RESPONSE, Action.RESET),
    ],
)
def test_what_is_acknowledged_is_in_the_topic_and_what_is_refused_is_not(
    publisher: Publisher, broker: Broker, proxy: KafkaProxy, health: Health, direction: Direction, action: Action
) -> None:
    rule = proxy.rule(Api.PRODUCE, direction, action, times=2)
    during = publish(publisher, broker, *(b"%d" % number for number in range(12)))
    assert rule.seen
    rule.times = 0
    if action in (Action.HOLD, Action.HOLD_AND_CUT):
        rule.release()
    eventually(lambda: healthy(publisher, health))
    after = publish(publisher, broker, b"afterwards")
    found = {record.key for record in broker.everything(TOPIC)}
    assert {key for key, fate in {**during, **after}.items() if not fate.exception()} - found == set()
    assert not found & {key for key, fate in during.items() if isinstance(fate.exception(), NotPublished)}
    assert b"afterwards" in found


def test_a_producer_that_gets_no_answer_is_given_up_and_another_publishes(
    publisher: Publisher,
    broker: Broker,
    proxied_kafka: tuple[Service, KafkaProxy],
    health: Health,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publishing, "STRANDED_SECONDS", 1)
    publisher.probe()
    proxied_kafka[0].pause()
    try:
        given_up = publisher.publish(Outgoing(broker.name(TOPIC), b"given up", b"{}"))
        assert not healthy(publisher, health)
        failure = given_up.exception(1)
    finally:
        proxied_kafka[0].resume()
    assert isinstance(failure, FateUnknown)
    assert "PURGE" in str(failure)
    eventually(lambda: healthy(publisher, health))
    assert publish(publisher, broker, b"afterwards")[b"afterwards"].exception(0) is None
    assert b"afterwards" in {record.key for record in broker.everything(TOPIC)}


def test_a_key_goes_where_java_producers_put_it(publisher: Publisher, broker: Broker) -> None:
    """Of three partitions, as Kafka's own `Utils.toPositive(Utils.murmur2(key)) % 3` says."""
    wanted = {b"21": 0, b"foobar": 0, b"a-little-bit-long-string": 2, b"account-2": 1, b"account-4": 2, b"account-6": 1}
    publish(publisher, broker, *wanted)
    assert {record.key: record.partition for record in broker.everything(TOPIC)} == wanted
