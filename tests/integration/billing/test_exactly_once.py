"""Billing on a real Kafka: each message is charged once, whatever happens to the process or to its group."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from messaging_api.processor import BillingConfig
from messaging_processors.runtime import connection, kafka
from messaging_processors.runtime.records import Outgoing, next_offsets
from messaging_processors.runtime.writing import NotCommitted
from testkit.accounts import Accounts
from testkit.broker import Broker
from testkit.charging import ACCOUNTS, INPUTS, charged, feed, feeding
from testkit.loops import billing_pods, turn_until
from testkit.processes import running
from testkit.samples import a_billing_config
from testkit.waiting import eventually


@pytest.fixture
def broker(broker: Broker) -> Broker:
    broker.make_topics({"postpaid": 2, "prepaid": 2, "marketing": 2, "billing-marketing.dlq": 2})
    return broker


@pytest.fixture
def config(broker: Broker) -> BillingConfig:
    return a_billing_config("marketing", broker.bootstrap, broker.prefix)


def lead_every_partition_with_poison(broker: Broker) -> int:
    """So that no batch is without; the number of dead letters that this makes."""
    for topic in INPUTS:
        for partition in range(2):
            broker.put(topic, b"{", [("domain", b"marketing")], partition=partition)
    return len(INPUTS) * 2


def test_killed_inside_a_transaction_it_charges_each_message_once(
    broker: Broker, config: BillingConfig, database_url: str, accounts: Accounts, tmp_path: Path
) -> None:
    """Dead letters whose topic does not exist yet hold the first transaction open: the kill cannot miss it.

    By then the database has the charges. The next process has the killed one's transactional id, and so ends its
    transaction at once.
    """
    config = config.model_copy(update={"dead_letter_topic": broker.name("late.dlq")})
    poison = lead_every_partition_with_poison(broker)
    ids = feed(broker, 1000)
    with running(config, tmp_path, POD_NAME="pod-0", DATABASE_URL=database_url) as billing:
        eventually(lambda: broker.transaction_is_open("marketing"), every=0.01)
        billing.process.kill()
    assert charged(broker) == {}
    assert accounts.ledger(), "nothing was charged yet"
    broker.make_topics({"late.dlq": 1})
    with running(config, tmp_path, POD_NAME="pod-0", DATABASE_URL=database_url) as billing:
        eventually(lambda: len(charged(broker)) == len(ids), within=40, every=0.5)
        assert charged(broker) == Counter(ids)
        assert len(broker.everything("late.dlq")) == poison
        billing.process.terminate()
        assert billing.process.wait(10) == 0
    assert len(broker.everything("marketing", "read_uncommitted")) > len(ids), "no transaction was aborted"
    assert Counter(str(entry.id) for entry in accounts.ledger()) == Counter(ids)
    assert {accounts.balance(account) for account in ACCOUNTS} == {"-0.15"}


def test_a_batch_from_before_a_rebalance_is_refused(broker: Broker, config: BillingConfig, database_url: str) -> None:
    """Its partitions may be another member's, who charges them: the proof of membership must be as old as the batch."""
    ids = feed(broker, 200)
    with billing_pods(config, name="old", database_url=database_url) as (old,):
        batch = old.a_batch()
        with billing_pods(config, name="new", database_url=database_url) as (new,):
            turn_until(old.reader.lost, lambda: old.reader.idle(0.1), lambda: new.reader.idle(0.1))
            old.writer.prepare()
            with pytest.raises(NotCommitted, match="ILLEGAL_GENERATION"):
                old.writer.write([Outgoing(config.output, None, b"{}")], next_offsets(batch.records), batch.group)
            old.reader.rewind(record.position for record in batch.records)
            turn_until(lambda: len(charged(broker)) == len(ids), *[new.step, old.step] * 3)
    assert charged(broker) == Counter(ids)


def test_a_batch_that_takes_longer_than_a_member_may_be_silent_is_refused(
    broker: Broker, config: BillingConfig, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its member is put out of the group, and another one charges what it still has in hand."""
    usual = connection.group_settings
    monkeypatch.setattr(kafka, "group_settings", lambda group: usual(group) | {"max.poll.interval.ms": 6000})
    ids = feed(broker, 200)
    with billing_pods(config, name="slow", database_url=database_url) as (slow,):
        batch = slow.a_batch()
        with billing_pods(config, name="other", database_url=database_url) as (other,):
            turn_until(lambda: len(charged(broker)) == len(ids), other.step)
            with pytest.raises(NotCommitted):
                slow.writer.write([Outgoing(config.output, None, b"{}")], next_offsets(batch.records), batch.group)
    assert charged(broker) == Counter(ids)


def test_members_that_come_and_go_charge_each_message_once(
    broker: Broker, config: BillingConfig, database_url: str, accounts: Accounts
) -> None:
    """Rebalances fall between and into reads, with records in hand."""
    with billing_pods(config, name="steady", database_url=database_url) as (steady,):
        with feeding(broker) as ids:
            for visit in range(2):
                with billing_pods(config, name=f"visitor-{visit}", database_url=database_url) as (visitor,):
                    turn_until(partial(getattr, visitor.reader, "assigned"), visitor.step, steady.step)
                    for _ in range(5):
                        visitor.step()
                        steady.step()
        turn_until(lambda: broker.done(config.group_id, INPUTS) == len(ids), *[steady.step] * 5)
    assert charged(broker) == Counter(ids)
    assert Counter(str(entry.id) for entry in accounts.ledger()) == Counter(ids)
