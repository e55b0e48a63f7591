"""Many messages in one request, on the real stores: in order, and with as many reads as for two."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
import redis
import sqlalchemy as sa

from messaging_api.message import AcceptedMessage, MessageRequest
from messaging_api.processor import MessagingConfig
from messaging_cli.local.process import Service
from messaging_processors.messaging.accounts import Accounts
from messaging_processors.messaging.intake import Asked, Intake
from messaging_processors.messaging.repeats import Repeats
from messaging_processors.messaging.storing import StoreThreads
from messaging_processors.runtime import database
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.health import Health
from testkit import accounts as testkit_accounts
from testkit.messaging import Fate
from testkit.posting import Caller, records

POSTPAID = "http-postpaid"
TENANT = "shop"


def test_a_hundred_messages_are_in_the_topic_in_the_order_of_their_accounts(
    callers: tuple[Caller, Caller], kafka: Service
) -> None:
    caller = callers[0]
    mine = [caller.new_account("Postpaid") for _ in range(2)]
    results = caller.post_batch(*({"accountId": mine[n % 2], "body": str(n)} for n in range(100))).json()["results"]
    assert [result["status"] for result in results] == [202] * 100
    found = [record for record in records(kafka.address, POSTPAID) if (record.key() or b"").decode() in mine]
    by_account = {account: [record for record in found if record.key() == account.encode()] for account in mine}
    for place, account in enumerate(mine):
        values = [json.loads(record.value() or b"") for record in by_account[account]]
        assert [value["body"] for value in values] == [str(n) for n in range(place, 100, 2)]
        assert [value["id"] for value in values] == [result["message"]["id"] for result in results[place::2]]


def test_two_pods_agree_on_what_came_under_the_keys_of_a_batch(callers: tuple[Caller, Caller]) -> None:
    one, two = callers
    account, key = one.new_account("Postpaid"), str(uuid4())
    first = one.post_batch({"accountId": account, "idempotencyKey": key})
    again = two.post_batch({"accountId": account, "idempotencyKey": key}, {"accountId": account})
    assert again.json()["results"][0] == first.json()["results"][0]
    other = two.post_batch({"accountId": account, "idempotencyKey": key, "body": "other"}).json()["results"]
    assert [result["status"] for result in other] == [409]


@contextmanager
def counted(engine: sa.Engine, redis_url: str) -> Iterator[list[int]]:
    """Statements that PostgreSQL got from here, and reads that Redis got."""
    found = [0, 0]

    def count(*_: object) -> None:
        found[0] += 1

    sa.event.listen(engine, "before_cursor_execute", count)
    with redis.Redis.from_url(redis_url) as client:
        before = client.info("commandstats")
        try:
            yield found
        finally:
            sa.event.remove(engine, "before_cursor_execute", count)
            found[1] = _calls(client.info("commandstats"), "mget") - _calls(before, "mget")


def _calls(stats: dict[str, dict[str, int]], command: str) -> int:
    return stats.get(f"cmdstat_{command}", {}).get("calls", 0)


@pytest.mark.parametrize("size", [2, 100])
def test_the_stores_are_asked_once_whatever_the_size(
    postgres_url: str, redis_url: str, messaging_config: MessagingConfig, size: int
) -> None:
    engine = database.connect(postgres_url)
    cache, health = Cache(redis_url, 60, Health()), Health()
    accounts = Accounts(engine, cache, health)
    intake = Intake(messaging_config, accounts, Repeats(engine, cache, health), Fate(), StoreThreads())
    mine = [f"account-{uuid4()}" for _ in range(size)]
    for account in mine:
        testkit_accounts.Accounts(postgres_url).register(account)
    asked = [
        Asked(MessageRequest(account_id=account, domain="marketing", to="+12025550101", body="hello"), str(uuid4()))
        for account in mine
    ]
    with counted(engine, redis_url) as found:
        fates = asyncio.run(intake.take(TENANT, asked, "idempotencyKey", None))
    assert [type(fate) for fate in fates] == [AcceptedMessage] * size
    assert found == [2, 2], "accounts and keys, each in Redis and then in PostgreSQL"
    engine.dispose()
