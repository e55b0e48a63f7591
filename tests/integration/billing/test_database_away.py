"""PostgreSQL is killed, locked or not there at first: billing stays in its group, gives up nothing, and catches up."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest

from messaging_api.processor import BillingConfig
from messaging_cli.local.process import Service
from messaging_processors.runtime import connection, kafka
from messaging_processors.runtime.database import DATABASE
from testkit.accounts import Accounts
from testkit.broker import Broker
from testkit.charging import INPUTS, charged, errors, feed, put
from testkit.loops import BillingPod, billing_pods, handed_out, turn_until
from testkit.samples import a_billing_config, an_accepted_message


@pytest.fixture
def broker(broker: Broker) -> Broker:
    broker.make_topics({"postpaid": 2, "prepaid": 2, "marketing": 2, "billing-marketing.dlq": 1})
    return broker


@pytest.fixture
def config(broker: Broker) -> BillingConfig:
    return a_billing_config("marketing", broker.bootstrap, broker.prefix)


def is_away(pod: BillingPod) -> bool:
    return DATABASE in pod.health.readiness().away


@contextmanager
def killed(postgres: Service, _: str) -> Iterator[None]:
    postgres.kill()
    yield
    postgres.start()


@contextmanager
def stopped(postgres: Service, _: str) -> Iterator[None]:
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


@contextmanager
def locked(_: Service, database_url: str) -> Iterator[None]:
    """By somebody who changes the table."""
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        connection.execute("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.parametrize("fault", [killed, stopped, locked])
def test_billing_waits_for_a_database_and_catches_up(
    broker: Broker,
    config: BillingConfig,
    postgres: Service,
    database_url: str,
    accounts: Accounts,
    fault: Callable[[Service, str], AbstractContextManager[None]],
) -> None:
    with billing_pods(config, database_url=database_url) as (pod,):
        ids = feed(broker, 200)
        turn_until(lambda: charged(broker), pod.step)
        member = pod.reader._group
        pod.reader.lost()
        with fault(postgres, database_url):
            ids += feed(broker, 1000)
            turn_until(lambda: is_away(pod), pod.step)
            for _ in range(10):
                pod.step()
            assert pod.reader.assigned
        turn_until(lambda: broker.done(config.group_id, INPUTS) == len(ids), *[pod.step] * 3)
        assert (pod.reader.lost(), pod.reader._group) == (set(), member), "it has left the group meanwhile"
        assert not is_away(pod)
    assert (charged(broker), errors(broker)) == (Counter(ids), [])
    assert Counter(str(entry.id) for entry in accounts.ledger()) == Counter(ids)


def test_billing_that_waits_longer_than_a_member_may_be_silent_reads_nothing_and_stays_in_its_group(
    broker: Broker, config: BillingConfig, postgres: Service, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = connection.group_settings
    monkeypatch.setattr(kafka, "group_settings", lambda group: usual(group) | {"max.poll.interval.ms": 7000})
    with billing_pods(config, database_url=database_url) as (pod,):
        ids = feed(broker, 200)
        turn_until(lambda: broker.done(config.group_id, INPUTS) == len(ids), pod.step)
        member, mine = pod.reader._group, pod.reader.assigned
        with stopped(postgres, database_url):
            given_up = an_accepted_message("account-0")
            put(broker, [given_up], partition=0)  # its partition is paused to be read again, the others to wait
            turn_until(lambda: pod.billing.waits_for == DATABASE, pod.step)
            pod.billing._backoff.failed(retry_after=60)  # an attempt would be heard by the group, too
            before = handed_out(pod.reader)
            ids += [str(given_up.id), *feed(broker, 200)]
            end = time.monotonic() + 8
            turn_until(lambda: time.monotonic() > end, pod.step)
            assert handed_out(pod.reader) == before, "something was read meanwhile"
        pod.billing._backoff.succeeded()
        turn_until(lambda: broker.done(config.group_id, INPUTS) == len(ids), *[pod.step] * 3)
        assert (pod.reader._group, pod.reader.assigned) == (member, mine), "it has left the group meanwhile"
    assert (charged(broker), errors(broker)) == (Counter(ids), [])


def test_a_database_that_dies_again_and_again_charges_each_message_once(
    broker: Broker, config: BillingConfig, postgres: Service, database_url: str, accounts: Accounts
) -> None:
    """At any statement, and between the two commits."""
    ids = feed(broker, 3000)
    with billing_pods(config, database_url=database_url) as (pod,):
        for _ in range(4):
            before = len(charged(broker))
            turn_until(lambda before=before: len(charged(broker)) > before, pod.step)  # type: ignore[misc]
            postgres.kill()
            turn_until(lambda: is_away(pod), pod.step)
            postgres.start()
        turn_until(lambda: len(charged(broker)) == len(ids), *[pod.step] * 3)
    assert (charged(broker), errors(broker)) == (Counter(ids), [])
    assert Counter(str(entry.id) for entry in accounts.ledger()) == Counter(ids)


def test_billing_that_starts_without_a_database_waits_for_it(
    broker: Broker, config: BillingConfig, postgres: Service, database_url: str, accounts: Accounts
) -> None:
    """And makes the tables, where nobody has yet."""
    accounts.execute("DROP SCHEMA public CASCADE")
    accounts.execute("CREATE SCHEMA public")
    postgres.stop()
    try:
        with billing_pods(config, database_url=database_url) as (pod,):
            turn_until(lambda: is_away(pod), pod.step)
            turn_until(lambda: len(pod.reader.assigned) == 4, pod.step)
            postgres.start()
            turn_until(lambda: not is_away(pod), pod.step)
    finally:
        postgres.restart()
    assert accounts.ledger() == []
