"""Kafka decides on a transaction, and never writes the markers to a partition that has no leader at that moment.

It takes the partition for a deleted one (4.3.1, TransactionMarkerChannelManager). One broker that is killed and comes
back can do so; here it is two, of which the one with the groups' offsets is away.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from messaging_cli.local import services
from messaging_cli.local.process import Service
from testkit.accounts import Accounts
from testkit.broker import Broker
from testkit.charging import INPUTS, charged, feed
from testkit.loops import billing_pods, turn_until
from testkit.samples import a_billing_config
from testkit.waiting import eventually

NEVER = "likely deleted already and hence can be skipped"
TRANSACTIONS, OFFSETS = "__transaction_state", "__consumer_offsets"
PARTITIONS = 5
NOBODY = -1


@contextmanager
def second_broker(first: Service, folder: Path) -> Iterator[Service]:
    """Of the cluster that the first one controls."""
    address = f"127.0.0.1:{services.free_port()}"
    own = {
        "node.id": "2",
        "process.roles": "broker",
        "listeners": f"CLIENT://{address}",
        "advertised.listeners": f"CLIENT://{address}",
        "log.dirs": str(folder / "data"),
    }
    lines = (first.folder / "kafka.properties").read_text().splitlines()
    properties = folder / "kafka.properties"
    settings = dict(line.split("=", 1) for line in lines) | own
    properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    services.format_log(properties)
    command = services.java("kafka.Kafka", properties)
    with services.running(Service("kafka", address, command, folder, "Kafka Server started")) as service:
        yield service


def place(kafka: Service, brokers: dict[str, int]) -> None:
    """Topics that each have one broker."""
    admin = AdminClient({"bootstrap.servers": kafka.address})
    topics = [NewTopic(topic, PARTITIONS, replica_assignment=[[at]] * PARTITIONS) for topic, at in brokers.items()]
    for made in admin.create_topics(topics).values():
        made.result(10)


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[tuple[Service, Service]]:
    """The transactions' coordinator, and the groups'."""
    with ExitStack() as stack:
        first = stack.enter_context(services.kafka(tmp_path / "1"))
        (tmp_path / "2").mkdir()
        second = stack.enter_context(second_broker(first, tmp_path / "2"))
        place(first, {TRANSACTIONS: 1, OFFSETS: 2})
        yield first, second


def lose_markers(kafka: tuple[Service, Service], broker: Broker, name: str, group: str) -> None:
    """Of a transaction over offsets of the group and over the domain's topic, which is committed."""
    first, second = kafka
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": name})
    producer.init_transactions(10)
    producer.begin_transaction()
    for partition in range(PARTITIONS):
        producer.produce(broker.name("marketing"), b"lost", partition=partition)
    member = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    place = TopicPartition(broker.name("postpaid"), 0, 1000)
    producer.send_offsets_to_transaction([place], member.consumer_group_metadata(), 10)
    member.close()
    assert producer.flush(10) == 0
    second.kill()
    eventually(lambda: set(leaders(producer)) == {NOBODY})
    producer.commit_transaction(10)
    eventually(lambda: NEVER in first.log.read_text())
    second.start()


def leaders(producer: Producer) -> list[int]:
    """Of the partitions with the groups' offsets."""
    return [partition.leader for partition in producer.list_topics(OFFSETS, 10).topics[OFFSETS].partitions.values()]


@pytest.mark.parametrize("name", ["pod-0", "pod-1"])
def test_offsets_are_not_hidden_for_ever(brokers: tuple[Service, Service], database_url: str, name: str) -> None:
    """From the pod whose transaction it was, and from one that takes over."""
    broker = Broker(brokers[0].address)
    broker.make_topics({"postpaid": 2, "prepaid": 2, "billing-marketing.dlq": 1})
    place(brokers[0], {broker.name("marketing"): 2})
    config = a_billing_config("marketing", broker.bootstrap, broker.prefix)
    group = config.group_id
    ids = feed(broker, 100)
    with billing_pods(config, database_url=database_url) as (pod,):
        turn_until(lambda: broker.done(group, INPUTS) == len(ids), pod.step)
    lose_markers(brokers, broker, f"{group}.pod-0", group)
    eventually(lambda: broker.committed(group, INPUTS, "read_uncommitted"))
    assert broker.offsets_are_hidden(group, INPUTS)
    assert broker.transaction_is_open("marketing")
    ids += feed(broker, 100)
    with billing_pods(config, name=name, database_url=database_url) as (pod,):
        turn_until(lambda: set(charged(broker)) == set(ids), pod.step)
    assert not broker.offsets_are_hidden(group, INPUTS)
    assert not broker.transaction_is_open("marketing")
    assert charged(broker) == Counter(ids)
    assert len(Accounts(database_url).ledger()) == len(ids)
