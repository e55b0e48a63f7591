"""A changed billing type counts on every pod with the next message, whatever Redis does meanwhile."""

import math
from collections.abc import Iterator
from uuid import uuid4

import pytest
import sqlalchemy as sa

from messaging_api.message import AccountView
from messaging_api.topology import BillingType
from messaging_cli.local.process import Service
from messaging_processors.messaging.accounts import Accounts, ChangeUnknown
from messaging_processors.runtime import database
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.health import Health
from testkit.posting import Caller, records
from testkit.processes import Processor
from testkit.waiting import eventually

PREPAID = "http-prepaid"

Pods = tuple[Processor, Processor]


@pytest.fixture
def callers(pods: Pods) -> tuple[Caller, Caller]:
    one, two = (Caller(pod.await_ready().url) for pod in pods)
    return one, two


def test_a_change_counts_on_the_other_pod_at_once(callers: tuple[Caller, Caller], kafka: Service) -> None:
    one, two = callers
    account = one.new_account("Postpaid")
    assert two.post(account).status_code == 202  # now it is cached
    one.put_account(account, "Prepaid").raise_for_status()
    assert two.post(account).status_code == 202
    assert [record.key() for record in records(kafka.address, PREPAID)].count(account.encode()) == 1


def test_a_change_that_redis_missed_counts_at_once_and_again_when_redis_is_back(
    pods: Pods, callers: tuple[Caller, Caller], redis_service: Service
) -> None:
    one, two = callers
    account = one.new_account("Postpaid")
    assert two.billing_type(account) == "Postpaid"  # now it is cached
    redis_service.pause()
    try:
        one.billing_type(account)  # now it knows that Redis is away, and does not even try to tell it
        one.put_account(account, "Prepaid").raise_for_status()
        assert (one.billing_type(account), two.billing_type(account)) == ("Prepaid", "Prepaid")
        eventually(lambda: all("redis" in pod.readiness().away for pod in pods), within=15)
        assert all(pod.readiness().ready for pod in pods), "a lost cache may cost speed, nothing else"
    finally:
        redis_service.resume()
    eventually(lambda: not any(pod.readiness().away for pod in pods), within=15)
    eventually(lambda: {one.billing_type(account), two.billing_type(account)} == {"Prepaid"}, within=15)


@pytest.fixture
def accounts(postgres_url: str, redis_url: str) -> Iterator[Accounts]:
    engine, health = database.connect(postgres_url), Health()
    database.ensure_schema(engine)
    yield Accounts(engine, Cache(redis_url, 60, health), health)
    engine.dispose()


def an_account() -> AccountView:
    return AccountView(id=f"account-{uuid4()}", billing_type=BillingType.POSTPAID)


def test_a_change_that_nobody_waits_for_any_more_is_not_begun(accounts: Accounts) -> None:
    account = an_account()
    with pytest.raises(ChangeUnknown):
        accounts.save(account, deadline=0)
    assert accounts.find(account.id) is None
    accounts.save(account, deadline=math.inf)
    assert accounts.find(account.id) == account


def test_a_change_that_the_database_does_not_finish_is_unknown(accounts: Accounts, postgres_url: str) -> None:
    account = an_account()
    accounts.save(account, deadline=math.inf)
    with sa.create_engine(postgres_url, poolclass=sa.NullPool).begin() as other:
        other.execute(sa.text("SELECT FROM accounts WHERE id = :id FOR UPDATE"), {"id": account.id})
        with pytest.raises(ChangeUnknown):
            accounts.save(account, deadline=math.inf)
