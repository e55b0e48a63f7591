"""A changed billing type counts on every pod with the next message, whatever Redis does meanwhile."""

import math
import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest
import redis
import sqlalchemy as sa

from messaging_api.topology import BillingType
from messaging_cli.local.process import Service
from messaging_processors.messaging.accounts import AccountChange, Accounts, Terms
from messaging_processors.messaging.storing import ChangeUnknown
from messaging_processors.runtime import database
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.migrating import ensure_schema
from testkit.posting import Caller, records
from testkit.processes import Processor
from testkit.rows import execute
from testkit.waiting import eventually

PREPAID = "http-prepaid"

Pods = tuple[Processor, Processor]


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
def cache(redis_url: str) -> Cache:
    return Cache(redis_url, 60, Health())


@pytest.fixture
def accounts(postgres_url: str, cache: Cache) -> Iterator[Accounts]:
    engine = database.connect(postgres_url)
    ensure_schema(engine)
    yield Accounts(engine, cache, Health())
    engine.dispose()


def a_change() -> AccountChange:
    terms = Terms(billing_type=BillingType.POSTPAID, currency="USD")
    return AccountChange("shop", f"account-{uuid4()}", terms, credit_limit_micros=2_500_000)


def test_a_change_that_nobody_waits_for_any_more_is_not_begun(accounts: Accounts) -> None:
    change = a_change()
    with pytest.raises(ChangeUnknown):
        accounts.save(change, deadline=0)
    assert accounts.find(change.tenant, change.id) is None
    saved = accounts.save(change, deadline=math.inf)
    assert saved == accounts.find(change.tenant, change.id)
    assert accounts.terms(change.tenant, [change.id, "nobody"]) == {change.id: change.terms}


def test_a_change_that_the_database_does_not_finish_is_unknown(accounts: Accounts, postgres_url: str) -> None:
    change = a_change()
    accounts.save(change, deadline=math.inf)
    with sa.create_engine(postgres_url, poolclass=sa.NullPool).begin() as other:
        other.execute(sa.text("SELECT FROM accounts WHERE id = :id FOR UPDATE"), {"id": change.id})
        with pytest.raises(ChangeUnknown):
            accounts.save(change, deadline=math.inf)


def test_what_redis_was_not_told_it_is_told_in_the_order_of_the_changes(
    accounts: Accounts, cache: Cache, redis_service: Service, postgres_url: str
) -> None:
    """Who tells it later waits for a change that is under way, and does not bring back what was before."""
    change = a_change()
    accounts.save(change, deadline=math.inf)
    redis_service.pause()
    try:
        accounts.save(change, deadline=math.inf)
    finally:
        redis_service.resume()
    eventually(cache.probe)
    with sa.create_engine(postgres_url, poolclass=sa.NullPool).begin() as other:
        other.execute(sa.text("UPDATE accounts SET billing_type = 'Prepaid' WHERE id = :id"), {"id": change.id})
        telling = threading.Thread(target=lambda: eventually(accounts.tell_untold, within=15))
        telling.start()
        waiting = sa.text("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'")
        eventually(lambda: execute(postgres_url, waiting), every=0.05)
    telling.join()
    now = Terms(billing_type=BillingType.PREPAID, currency="USD")
    assert accounts.terms(change.tenant, [change.id]) == {change.id: now}


def test_an_account_is_replaced_and_keeps_its_money_and_currency(callers: tuple[Caller, Caller]) -> None:
    one, two = callers
    account = f"account-{uuid4()}"
    one.put_account(account, "Postpaid", creditLimit="10.5").raise_for_status()
    one.top_up(account, "3", "k").raise_for_status()
    assert two.account(account).json() == {
        "id": account,
        "billingType": "Postpaid",
        "currency": "USD",
        "balance": "3",
        "creditLimit": "10.5",
    }
    changed = two.put_account(account, "Prepaid").json()
    assert (changed["balance"], changed["billingType"], changed["creditLimit"]) == ("3", "Prepaid", None)
    refused = one.put_account(account, "Postpaid", currency="EUR")
    assert (refused.status_code, refused.json()["field"]) == (409, "currency")
    assert "USD -> EUR" in refused.json()["detail"]
    assert (one.billing_type(account), two.post(account).status_code) == ("Prepaid", 202)


def test_what_redis_holds_of_an_account_is_no_money(callers: tuple[Caller, Caller], redis_url: str) -> None:
    account = callers[0].new_account("Prepaid")
    with redis.Redis.from_url(redis_url) as cache:
        held = cache.get(f"account:shop:{account}")
    assert held == b'{"billingType":"Prepaid","currency":"USD"}'
