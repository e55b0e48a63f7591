"""A member of the group is gone, its transaction is still open, and another takes its partitions over."""

from collections import Counter

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from messaging_api.processor import BillingConfig
from testkit.broker import Broker
from testkit.charging import charged, feed
from testkit.loops import BillingPod, billing_pods, turn_until
from testkit.samples import a_billing_config

PARTITIONS = 3


@pytest.fixture
def broker(broker: Broker) -> Broker:
    broker.make_topics({"postpaid": PARTITIONS, "prepaid": PARTITIONS, "marketing": 1, "billing-marketing.dlq": 1})
    return broker


@pytest.fixture
def config(broker: Broker) -> BillingConfig:
    return a_billing_config("marketing", broker.bootstrap, broker.prefix)


def leave_offsets_in_an_open_transaction(broker: Broker, config: BillingConfig) -> Producer:
    """As a member does that dies between the two last calls of a transaction."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": broker.name("dead")})
    producer.init_transactions(10)
    producer.begin_transaction()
    places = [TopicPartition(broker.name("postpaid"), number, 1000) for number in range(PARTITIONS)]
    member = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": config.group_id})
    producer.send_offsets_to_transaction(places, member.consumer_group_metadata(), 10)
    member.close()
    return producer


def charge(broker: Broker, ids: list[str], *pods: BillingPod) -> None:
    turn_until(lambda: set(charged(broker)) >= set(ids), *[pod.step for pod in pods] * 10)


@pytest.mark.parametrize("grows", [False, True])
def test_the_successor_goes_on_where_the_group_is(
    broker: Broker, config: BillingConfig, database_url: str, grows: bool
) -> None:
    """Also when it had these partitions before, and the topic grows while their offsets are hidden."""
    with billing_pods(config, name="stays", database_url=database_url) as (stays,):
        turn_until(lambda: len(stays.reader.assigned) == 2 * PARTITIONS, stays.step)
        with billing_pods(config, name="goes", database_url=database_url) as (goes,):
            turn_until(lambda: len(goes.reader.assigned) == PARTITIONS, goes.step, stays.step)
            ids = feed(broker, 100)
            charge(broker, ids, goes, stays)
        dead = leave_offsets_in_an_open_transaction(broker, config)
        if grows:
            broker.grow("postpaid", 2 * PARTITIONS)
        ids += feed(broker, 50)
        turn_until(lambda: len(stays.reader.assigned) == (3 if grows else 2) * PARTITIONS, stays.step)
        stays.step()
        assert len(stays.reader._astray) >= PARTITIONS, "no offset is hidden"
        dead.abort_transaction(10)  # as Kafka does in its own time
        charge(broker, ids, stays)
    assert charged(broker) == Counter(ids)
