"""A pod that is gone for good has left a transaction open: its successor ends it by name, long before Kafka would."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from messaging_api.processor import BillingConfig
from messaging_cli.local.process import Service
from messaging_processors.runtime.schema import transactional_ids
from testkit.accounts import Accounts
from testkit.broker import Broker
from testkit.charging import charged, feed
from testkit.kafka_proxy import Action, Api, Direction, KafkaProxy
from testkit.loops import BillingPod, billing_pods, turn_until
from testkit.processes import running
from testkit.samples import a_billing_config
from testkit.waiting import eventually

SESSION_SECONDS = 6.0
TIMEOUT_SECONDS = 10.0
"""After which Kafka looks for transactions to end, every ten seconds."""


@pytest.fixture
def broker(proxied_kafka: tuple[Service, KafkaProxy]) -> Broker:
    broker = Broker(proxied_kafka[0].address)
    broker.make_topics({"postpaid": 2, "prepaid": 2, "marketing": 2, "billing-marketing.dlq": 1})
    return broker


@pytest.fixture
def config(broker: Broker) -> BillingConfig:
    return a_billing_config("marketing", broker.bootstrap, broker.prefix)


@pytest.fixture
def survivor(config: BillingConfig, database_url: str) -> Iterator[BillingPod]:
    with billing_pods(config, name="survivor", database_url=database_url) as (pod,):
        yield pod


def die_committing(broker: Broker, config: BillingConfig, proxy: KafkaProxy, folder: Path, database_url: str) -> float:
    """A pod is killed when it has asked for its first commit, which is never heard of; when that was."""
    commit = proxy.rule(Api.END_TXN, Direction.REQUEST, Action.HOLD)
    through_proxy = config.model_copy(update={"bootstrap_servers": proxy.address})
    with running(through_proxy, folder, DATABASE_URL=database_url) as victim:
        eventually(lambda: commit.seen, every=0.05)
        assert broker.transaction_is_open("marketing")
        victim.process.kill()
        return time.monotonic()


def noted(database_url: str) -> set[str]:
    """The names that a successor would find."""
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return set(connection.scalars(sa.select(transactional_ids.c.transactional_id)))


def test_its_partitions_go_on_as_soon_as_the_group_knows(
    proxied_kafka: tuple[Service, KafkaProxy],
    broker: Broker,
    config: BillingConfig,
    survivor: BillingPod,
    accounts: Accounts,
    tmp_path: Path,
) -> None:
    ids = feed(broker, 400)
    killed = die_committing(broker, config, proxied_kafka[1], tmp_path, accounts.database_url)
    assert charged(broker) == {}
    turn_until(lambda: len(charged(broker)) == len(ids), *[survivor.step] * 5)
    assert time.monotonic() - killed < TIMEOUT_SECONDS
    assert set(charged(broker).values()) == {1}
    assert len(accounts.ledger()) == len(ids)
    assert noted(accounts.database_url) == {f"{config.group_id}.survivor"}


def test_a_name_that_is_not_known_costs_only_time(
    proxied_kafka: tuple[Service, KafkaProxy],
    broker: Broker,
    config: BillingConfig,
    survivor: BillingPod,
    accounts: Accounts,
    tmp_path: Path,
) -> None:
    ids = feed(broker, 400)
    killed = die_committing(broker, config, proxied_kafka[1], tmp_path, accounts.database_url)
    accounts.execute("DELETE FROM transactional_ids")
    turn_until(lambda: len(charged(broker)) == len(ids), *[survivor.step] * 5)
    assert time.monotonic() - killed > SESSION_SECONDS
    assert set(charged(broker).values()) == {1}
    assert len(accounts.ledger()) == len(ids)
