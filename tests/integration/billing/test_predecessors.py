"""A pod that is gone for good has left a transaction open: its successor ends it by name, long before Kafka would."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from messaging_cli.local.process import Service
from messaging_processors.billing.predecessors import ENDED
from messaging_processors.runtime.schema import transactional_ids
from testkit.accounts import Accounts
from testkit.broker import Broker
from testkit.charging import charged, feed
from testkit.kafka_proxy import Action, Api, Direction, KafkaProxy
from testkit.loops import BillingPod, billing_pods, turn_until
from testkit.processes import running
from testkit.samples import a_billing_config
from testkit.waiting import eventually

PARTITIONS = 4
SESSION_SECONDS = 5.0
"""At the least: the last heartbeat may be a second old."""
KAFKAS_SECONDS = 20.0
"""At the most: a transaction may be open for ten seconds, and Kafka looks for such ones every ten."""
NOTICED_SECONDS = 5.0
"""Until the survivor has asked again, and has charged the rest."""


@dataclass(frozen=True)
class Group:
    """A survivor in the test's own process, and where another pod is to die."""

    broker: Broker
    proxy: KafkaProxy
    survivor: BillingPod
    database_url: str
    folder: Path

    def lose_a_member(self) -> tuple[list[str], float]:
        """It is killed when it has asked for its first commit, which is never heard of; all ids, and when that was."""
        config = self.survivor.billing.config.model_copy(update={"bootstrap_servers": self.proxy.address})
        commit = self.proxy.rule(Api.END_TXN, Direction.REQUEST, Action.HOLD)
        with running(config, self.folder, DATABASE_URL=self.database_url) as victim:
            turn_until(lambda: len(self.survivor.reader.assigned) == PARTITIONS // 2, self.survivor.step)
            ids = feed(self.broker, 400)
            turn_until(lambda: commit.seen and len(noted(self.database_url)) == 2, self.survivor.step)
            victim.process.kill()
            return ids, time.monotonic()

    def charge(self, ids: list[str]) -> float:
        """All of them, each once; when that was."""
        turn_until(lambda: len(charged(self.broker)) == len(ids), *[self.survivor.step] * 5)
        assert charged(self.broker) == Counter(ids)
        return time.monotonic()


@pytest.fixture
def group(proxied_kafka: tuple[Service, KafkaProxy], database_url: str, tmp_path: Path) -> Iterator[Group]:
    kafka, proxy = proxied_kafka
    broker = Broker(kafka.address)
    broker.make_topics({"postpaid": 2, "prepaid": 2, "marketing": 2, "billing-marketing.dlq": 1})
    config = a_billing_config("marketing", broker.bootstrap, broker.prefix)
    with billing_pods(config, name="survivor", database_url=database_url) as (survivor,):
        turn_until(lambda: len(survivor.reader.assigned) == PARTITIONS, survivor.step)
        yield Group(broker, proxy, survivor, database_url, tmp_path)


def noted(database_url: str) -> set[str]:
    """The names that a successor would find."""
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return set(connection.scalars(sa.select(transactional_ids.c.transactional_id)))


def test_its_partitions_go_on_as_soon_as_the_group_knows(group: Group, accounts: Accounts) -> None:
    ids, _ = group.lose_a_member()
    assert len(charged(group.broker)) < len(ids)
    survivor = {f"{group.survivor.billing.config.group_id}.survivor"}
    with capture_logs() as logs:
        turn_until(lambda: noted(accounts.database_url) == survivor, group.survivor.step)
        eventually(lambda: ENDED in [line["event"] for line in logs])
    group.charge(ids)
    assert len(accounts.ledger()) == len(ids)


def test_a_name_that_is_not_known_costs_only_time(group: Group, accounts: Accounts) -> None:
    ids, killed = group.lose_a_member()
    accounts.execute("DELETE FROM transactional_ids")
    assert SESSION_SECONDS < group.charge(ids) - killed < KAFKAS_SECONDS + NOTICED_SECONDS
    assert len(accounts.ledger()) == len(ids)
