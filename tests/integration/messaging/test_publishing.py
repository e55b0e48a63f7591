"""Where the publisher writes to, and its last resort after a fatal error, when a producer refuses everything."""

from collections.abc import Iterator
from concurrent.futures import Future
from uuid import uuid4

import pytest

from messaging_api.processor import MessagingConfig
from messaging_cli.local.process import Service
from messaging_processors.runtime.connection import KAFKA
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.publishing import Publisher, PublishError
from messaging_processors.runtime.records import Outgoing
from messaging_processors.runtime.watching import reporting
from testkit.librdkafka import break_for_good
from testkit.posting import records
from testkit.waiting import eventually

POSTPAID = "http-postpaid"


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def publisher(messaging_config: MessagingConfig, health: Health) -> Iterator[Publisher]:
    publisher = Publisher(messaging_config.bootstrap_servers, [POSTPAID], health)
    publisher.probe()
    yield publisher
    publisher.close()


def publish(publisher: Publisher) -> tuple[bytes, Future[None]]:
    key = uuid4().bytes
    return key, publisher.publish(Outgoing(POSTPAID, key, b"{}"))


def healthy(publisher: Publisher, health: Health) -> bool:
    reporting(health, KAFKA, publisher.probe)()
    return not health.readiness().away


def test_it_goes_on_with_a_new_producer_and_leaves_no_caller_waiting(
    publisher: Publisher, health: Health, kafka: Service
) -> None:
    kafka.pause()
    try:
        in_flight = [publish(publisher)[1] for _ in range(5)]
        break_for_good(publisher._producer)
        eventually(lambda: all(fate.done() for fate in in_flight))
    finally:
        kafka.resume()
    assert all(isinstance(fate.exception(), PublishError) for fate in in_flight)
    eventually(lambda: healthy(publisher, health))
    key, fate = publish(publisher)
    fate.result(10)
    assert [record.key() for record in records(kafka.address, POSTPAID)].count(key) == 1


def test_a_key_goes_where_java_producers_put_it(publisher: Publisher, kafka: Service) -> None:
    """Of three partitions, as Kafka's own `Utils.toPositive(Utils.murmur2(key)) % 3` says."""
    wanted = {b"21": 0, b"foobar": 0, b"a-little-bit-long-string": 2, b"account-2": 1, b"account-4": 2, b"account-6": 1}
    for key in wanted:
        publisher.publish(Outgoing(POSTPAID, key, b"{}")).result(10)
    found = {record.key(): record.partition() for record in records(kafka.address, POSTPAID)}
    assert {key: found[key] for key in wanted} == wanted
