"""What the end-to-end tests are told by Kafka's own tools, on topics with committed, aborted and open transactions."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer

from messaging_cli.local.services import kafka_tool
from testkit.broker import Broker
from testkit.topics import Topics


@pytest.fixture
def topics(kafka_bootstrap: str) -> Topics:
    return Topics(kafka_tool, kafka_bootstrap)


@pytest.fixture
def broker(broker: Broker) -> Broker:
    broker.make_topics({"marketing": 3, "empty": 3})
    return broker


@contextmanager
def transaction(broker: Broker, ids: list[str]) -> Iterator[Producer]:
    """Open for the block, in the broker's log; of the transactional id that the broker's prefix is."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": broker.prefix})
    producer.init_transactions(30)
    producer.begin_transaction()
    for number, message_id in enumerate(ids):
        producer.produce(broker.name("marketing"), f'{{"id": "{message_id}"}}', partition=number % 3)
    assert producer.flush(10) == 0
    yield producer


def test_a_topic_is_read_to_its_end_and_no_further(broker: Broker, topics: Topics) -> None:
    with transaction(broker, ["a", "b", "c", "c"]) as producer:
        producer.commit_transaction()
    with transaction(broker, ["a", "d"]) as producer:
        producer.abort_transaction()
    assert topics.ids(broker.name("marketing")) == {"a": 1, "b": 1, "c": 2}
    assert topics.lines(broker.name("empty")) == []


def test_the_state_of_a_transaction_is_told(broker: Broker, topics: Topics) -> None:
    with transaction(broker, ["a"]) as producer:
        assert topics.transaction_state(broker.prefix) == "Ongoing"
        assert not topics.is_settled(broker.name("marketing"))
        producer.abort_transaction()
    assert topics.transaction_state(broker.prefix) == "CompleteAbort"
    assert topics.is_settled(broker.name("marketing"))


def test_an_id_that_is_not_known_yet_may_be_asked_for_again(topics: Topics) -> None:
    with pytest.raises(AssertionError, match="could not be found"):
        topics.transaction_state("nobody")
