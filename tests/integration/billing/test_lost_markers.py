"""Kafka decides on a transaction, and never writes the markers to a partition that has no leader at that moment.

It takes the partition for a deleted one (4.3.1, TransactionMarkerChannelManager). One broker that is killed and comes
back can do so; here it is two, of which the second is away: with the groups' offsets and the outputs, or with these
alone.
"""

import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from messaging_cli.local import services
from messaging_cli.local.process import Service
from messaging_processors.runtime.positions import targets
from messaging_processors.runtime.records import Outgoing, Position
from messaging_processors.runtime.writing import TransactionalWriter
from testkit.accounts import Accounts
from testkit.broker import Broker
from testkit.charging import INPUTS, charged, feed
from testkit.loops import billing_pods, turn_until
from testkit.samples import a_billing_config
from testkit.waiting import eventually

pytestmark = pytest.mark.timeout(300)
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
    """The first is the transactions' coordinator."""
    with ExitStack() as stack:
        first = stack.enter_context(services.kafka(tmp_path / "1"))
        (tmp_path / "2").mkdir()
        second = stack.enter_context(second_broker(first, tmp_path / "2"))
        place(first, {TRANSACTIONS: 1})
        yield first, second


def begin(broker: Broker, name: str) -> Producer:
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": name})
    producer.init_transactions(10)
    producer.begin_transaction()
    return producer


def commit_in_vain(kafka: tuple[Service, Service], producer: Producer, topic: str) -> None:
    """Kafka decides on it while the second broker, which has the topic, is away; it never tells that broker."""
    first, second = kafka
    told_before = first.log.read_text().count(NEVER)
    assert producer.flush(10) == 0
    second.kill()
    eventually(lambda: set(leaders(producer, topic)) == {NOBODY})
    producer.commit_transaction(10)
    eventually(lambda: first.log.read_text().count(NEVER) > told_before)
    second.start()


def leaders(producer: Producer, topic: str) -> list[int]:
    return [partition.leader for partition in producer.list_topics(topic, 10).topics[topic].partitions.values()]


def lose_markers(kafka: tuple[Service, Service], broker: Broker, name: str, group: str) -> None:
    """Of a transaction over offsets of the group and over the domain's topic, which is committed."""
    producer = begin(broker, name)
    for partition in range(PARTITIONS):
        producer.produce(broker.name("marketing"), b"lost", partition=partition)
    member = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    place = TopicPartition(broker.name("postpaid"), 0, 1000)
    producer.send_offsets_to_transaction([place], member.consumer_group_metadata(), 10)
    member.close()
    commit_in_vain(kafka, producer, OFFSETS)


class UnluckyWriter:
    """In a pod's place of a `TransactionalWriter`: Kafka forgets each of its transactions in the output."""

    def __init__(self, kafka: tuple[Service, Service], broker: Broker, name: str) -> None:
        self._kafka, self._broker, self._name = kafka, broker, name

    def prepare(self) -> bool:
        return False

    def write(self, records: Sequence[Outgoing], offsets: Mapping[Position, int], group: object) -> None:
        producer = begin(self._broker, self._name)
        for record in records:
            producer.produce(record.topic, record.value, record.key, headers=[*record.headers])
        producer.send_offsets_to_transaction(targets(offsets), group, 10)
        commit_in_vain(self._kafka, producer, records[0].topic)

    def close(self) -> None:
        """Each transaction had a producer of its own."""


def kafkas_own(kafka: Service, tool: str, *arguments: str) -> list[list[str]]:
    """What one of Kafka's tools says: the words of each line."""
    command = services.java(f"org.apache.kafka.tools.{tool}", "--bootstrap-server", kafka.address, *arguments)
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return [line.split() for line in said.splitlines()]


def abort_hanging(kafka: Service, topic: str) -> int:
    """As docs/hanging-transactions.md says; how many there were."""
    asked = ("find-hanging", "--topic", topic, "--max-transaction-timeout", "0")
    hanging = [words for words in kafkas_own(kafka, "TransactionsCommand", *asked) if words[:1] == [topic]]
    for _, partition, _, _, _, start, *_ in hanging:
        place = ("--topic", topic, "--partition", partition, "--start-offset", start)
        kafkas_own(kafka, "TransactionsCommand", "abort", *place)
    return len(hanging)


@pytest.mark.parametrize("name", ["pod-0", "pod-1"])
def test_offsets_are_not_hidden_for_ever(brokers: tuple[Service, Service], database_url: str, name: str) -> None:
    """From the pod whose transaction it was, and from one that takes over."""
    broker = Broker(brokers[0].address)
    broker.make_topics({"postpaid": 2, "prepaid": 2, "billing-marketing.dlq": 1})
    place(brokers[0], {broker.name("marketing"): 2, OFFSETS: 2})
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


def test_an_output_that_hides_its_records_can_be_mended(
    brokers: tuple[Service, Service], database_url: str, accounts: Accounts
) -> None:
    """By a person, and with nothing charged twice: what the abort throws away is read and told again."""
    first, _ = brokers
    broker = Broker(first.address)
    place(first, {OFFSETS: 1, broker.name("marketing"): 2})
    place(first, {broker.name(topic): 1 for topic in (*INPUTS, "billing-marketing.dlq")})
    config = a_billing_config("marketing", broker.bootstrap, broker.prefix)
    group = config.group_id
    ids = feed(broker, 100)
    with billing_pods(config, name="pod-0", database_url=database_url) as (pod,):
        pod.billing.writer = cast(TransactionalWriter, UnluckyWriter(brokers, broker, f"{group}.pod-0"))
        turn_until(lambda: broker.done(group, INPUTS) == len(ids), pod.step, within=200)
    ids += feed(broker, 100)
    with billing_pods(config, name="pod-1", database_url=database_url) as (pod,):
        turn_until(lambda: broker.done(group, INPUTS) == len(ids), pod.step)
    assert charged(broker) == Counter()

    assert abort_hanging(first, broker.name("marketing"))
    assert set(charged(broker)) == set(ids[100:])
    back = ("--group", group, "--all-topics", "--reset-offsets", "--to-earliest", "--execute")
    kafkas_own(first, "consumer.group.ConsumerGroupCommand", *back)
    with billing_pods(config, name="pod-2", database_url=database_url) as (pod,):
        turn_until(lambda: broker.done(group, INPUTS) == len(ids), pod.step)
    assert charged(broker) == Counter(ids[:100]) + Counter(2 * ids[100:])
    assert len(accounts.ledger()) == len(ids)
