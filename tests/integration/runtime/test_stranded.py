"""Producers that may never connect again are not used again."""

from unittest.mock import Mock

import pytest
from confluent_kafka import Producer

from messaging_cli.local.process import Service
from messaging_cli.local.services import free_port
from messaging_processors.runtime import writing
from messaging_processors.runtime.connection import Connection
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.records import Outgoing
from messaging_processors.runtime.writing import DeadLetterWriter, NotCommitted, TransactionalWriter
from testkit.broker import Broker
from testkit.kafka_proxy import Api, Direction, KafkaProxy


def test_a_dead_letter_that_was_not_written_is_tried_again_by_another_producer(
    proxied_kafka: tuple[Service, KafkaProxy],
) -> None:
    kafka, proxy = proxied_kafka
    broker = Broker(kafka.address)
    broker.make_topics({"dlq": 1}, {"max.message.bytes": "1000"})
    writer = DeadLetterWriter(Connection(proxy.address, Health()))
    requests = proxy.rule(Api.PRODUCE, Direction.REQUEST, times=2)
    written: list[str] = []
    with pytest.raises(Away):
        writer.write([(Outgoing(broker.name("dlq"), None, b"x" * 5000), lambda: written.append("too large"))])
    writer.write([(Outgoing(broker.name("dlq"), None, b"y"), lambda: written.append("small"))])
    assert written == ["small"]
    first, second = (request.connection for request in requests.seen)
    assert first != second


@pytest.mark.parametrize(("seconds", "producers"), [(0, 2), (60, 1)], ids=["for long", "not for long"])
def test_a_transactional_producer_that_finds_no_broker_is_given_up(
    seconds: int, producers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Mock(wraps=Producer)
    monkeypatch.setattr(writing, "Producer", made)
    monkeypatch.setattr(writing, "STRANDED_SECONDS", seconds)
    writer = TransactionalWriter(Connection(f"127.0.0.1:{free_port()}", Health()), "nobody")
    for _ in range(2):
        with pytest.raises(NotCommitted):
            writer.prepare()
    writer.close()
    assert made.call_count == producers
