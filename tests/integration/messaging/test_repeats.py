"""One `Idempotency-Key` is one message, whoever is asked, how often, and whatever of the memory is away."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import redis
import sqlalchemy as sa

from messaging_api.message import AcceptedMessage, payload_hash
from messaging_cli.local.process import Service
from messaging_processors.messaging.repeats import Repeats
from messaging_processors.runtime import database
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.health import Health
from testkit.accounts import Accounts
from testkit.posting import Caller, records
from testkit.rows import record_entry
from testkit.samples import TENANT, an_accepted_message
from testkit.waiting import eventually

POSTPAID = "http-postpaid"


def test_fifty_posts_at_once_under_one_key_are_one_message(callers: tuple[Caller, Caller], kafka: Service) -> None:
    account, key = callers[0].new_account("Postpaid"), str(uuid4())
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(lambda n: callers[n % 2].post(account, idempotency_key=key), range(50)))
    assert {answer.status_code for answer in answers} == {202}
    (message_id,) = {answer.json()["id"] for answer in answers}
    mine = [record for record in records(kafka.address, POSTPAID) if record.key() == account.encode()]
    assert {dict(record.headers() or [])["ce_id"] for record in mine} == {message_id.encode()}


def test_the_same_key_of_another_tenant_is_another_message(callers: tuple[Caller, Caller]) -> None:
    account, key = f"account-{uuid4()}", str(uuid4())
    tenants = [Caller(callers[0].url, tenant) for tenant in ("shop", "crm")]
    for tenant in tenants:
        tenant.put_account(account, "Postpaid").raise_for_status()
    assert len({tenant.post(account, idempotency_key=key).json()["id"] for tenant in tenants}) == 2


def test_another_message_under_a_key_is_refused_by_whom_redis_tells(
    callers: tuple[Caller, Caller], kafka: Service
) -> None:
    one, two = callers
    account, key = one.new_account("Postpaid"), str(uuid4())
    assert one.post(account, "first", idempotency_key=key).status_code == 202
    refused = two.post(account, "second", idempotency_key=key)
    assert (refused.status_code, refused.json()["field"]) == (409, "Idempotency-Key")
    assert two.post(account, "first", idempotency_key=key).status_code == 202
    bodies = [record.value() for record in records(kafka.address, POSTPAID) if record.key() == account.encode()]
    assert not any(b'"second"' in (body or b"") for body in bodies)


def test_another_message_under_a_key_is_refused_by_whom_the_ledger_tells(
    callers: tuple[Caller, Caller], postgres_url: str, redis_service: Service
) -> None:
    one, two = callers
    account, key = one.new_account("Postpaid"), str(uuid4())
    first = one.post(account, "first", idempotency_key=key).json()["id"]
    charged = payload_hash(a_message(account, "first"))
    record_entry(postgres_url, account, id=first, message_id=first, payload_hash=charged)
    redis_service.kill()
    try:
        assert two.post(account, "second", idempotency_key=key).status_code == 409
        assert two.post(account, "first", idempotency_key=key).json()["id"] == first
    finally:
        redis_service.start()
    eventually(lambda: two.post(account, "second", idempotency_key=key).status_code == 409)


def a_message(account: str, body: str) -> AcceptedMessage:
    changes = {"body": body, "to": "+12025550101"}
    return an_accepted_message(account).model_copy(update=changes)


def test_without_any_memory_nothing_is_contradicted(engine: sa.Engine) -> None:
    health = Health()
    repeats = Repeats(engine, Cache("redis://127.0.0.1:1/0", 60, health), health)
    health.away(database.DATABASE, "gone")
    assert not repeats.contradicting([a_message("account-1", "hello")])


def test_of_two_that_came_at_once_the_one_that_was_charged_counts(
    engine: sa.Engine, redis_url: str, database_url: str
) -> None:
    repeats = Repeats(engine, Cache(redis_url, 60, Health()), Health())
    account = f"account-{uuid4()}"
    charged = a_message(account, "first")
    repeats.remember([charged.model_copy(update={"body": "second"})])
    assert repeats.contradicting([charged]) == [charged]
    Accounts(database_url).register(account)
    record_entry(database_url, account, id=charged.id, tenant=TENANT, payload_hash=payload_hash(charged))
    assert not repeats.contradicting([charged])


def test_what_was_remembered_first_stays(engine: sa.Engine, redis_url: str) -> None:
    repeats = Repeats(engine, Cache(redis_url, 60, Health()), Health())
    first = a_message("account-1", "first")
    second = first.model_copy(update={"body": "second"})
    for message in (first, second):
        repeats.remember([message])
    assert repeats.contradicting([first, second]) == [second]
    with redis.Redis.from_url(redis_url) as cache:
        assert cache.get(f"idempotency:shop:{first.id}") == payload_hash(first).hex().encode()


def test_of_two_in_one_batch_the_first_counts(engine: sa.Engine, redis_url: str) -> None:
    repeats = Repeats(engine, Cache(redis_url, 60, Health()), Health())
    first = a_message("account-1", "first")
    second = first.model_copy(update={"body": "second"})
    assert repeats.contradicting([first, second, first, a_message("account-1", "third")]) == [second]
