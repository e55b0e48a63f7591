"""POST and GET of messages on real Kafka, PostgreSQL and Redis."""

import json
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import uuid4

import pytest
import redis
import sqlalchemy as sa
from confluent_kafka import Message

from messaging_api.message import MessageState, MessageView, message_cache_key
from messaging_api.topology import Retention
from messaging_cli.local.process import Service
from messaging_processors.messaging.messages import Messages
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.health import Health
from testkit.accounts import Accounts
from testkit.posting import Caller, records
from testkit.processes import Processor
from testkit.rows import record_entry, store_message
from testkit.samples import TENANT

POSTPAID, PREPAID = "http-postpaid", "http-prepaid"


def the_record(bootstrap: str, topic: str, message_id: str) -> Message:
    """The only one of that message."""
    (found,) = (record for record in records(bootstrap, topic) if headers(record)["ce_id"] == message_id)
    return found


def headers(record: Message) -> dict[str, str]:
    return {name: value.decode() for name, value in cast(list[tuple[str, bytes]], record.headers())}


def test_a_202_is_a_record_in_the_topic_of_the_accounts_billing_type(pod: Processor, kafka: Service) -> None:
    caller = Caller(pod.url)
    postpaid, prepaid = caller.new_account("Postpaid"), caller.new_account("Prepaid")
    trace = f"00-{uuid4().hex}-{uuid4().hex[:16]}-01"
    answers = {account: caller.post(account, traceparent=trace) for account in (postpaid, prepaid)}
    for account, topic in ((postpaid, POSTPAID), (prepaid, PREPAID)):
        assert answers[account].status_code == 202, answers[account].text
        record = the_record(kafka.address, topic, answers[account].json()["id"])
        assert record.key() == account.encode()
        assert json.loads(record.value() or b"")["billingType"] == topic.removeprefix("http-").capitalize()
        assert headers(record)["ce_id"] == answers[account].json()["id"]
        assert (headers(record)["domain"], headers(record)["traceparent"]) == ("marketing", trace)


def test_an_account_keeps_to_one_partition_and_its_messages_in_order(pod: Processor, kafka: Service) -> None:
    caller = Caller(pod.url)
    account = caller.new_account("Postpaid")
    sent = [caller.post(account).json()["id"] for _ in range(10)]
    stored = [record for record in records(kafka.address, POSTPAID) if record.key() == account.encode()]
    assert len({record.partition() for record in stored}) == 1
    in_order = sorted(stored, key=lambda record: record.offset() or 0)
    assert [headers(record)["ce_id"] for record in in_order] == sent


def written(bootstrap: str) -> int:
    return sum(len(records(bootstrap, topic)) for topic in (POSTPAID, PREPAID))


def test_an_unknown_account_is_a_wrong_field_and_nothing_is_written(pod: Processor, kafka: Service) -> None:
    before = written(kafka.address)
    answer = Caller(pod.url).post(f"nobody-{uuid4()}")
    assert (answer.status_code, answer.json()["field"]) == (422, "accountId")
    assert written(kafka.address) == before


def test_a_message_is_told_from_its_row_when_redis_has_lost_it(
    pod: Processor, postgres_url: str, redis_url: str
) -> None:
    message_id = store_message(postgres_url, "sent")
    key = message_cache_key("shop", message_id)
    with redis.Redis.from_url(redis_url) as cache:
        first = Caller(pod.url).message(message_id)
        assert (first.status_code, first.json()) == (200, {"id": str(message_id), "state": "sent", "reason": ""})
        assert cache.get(key) == first.content
        cache.flushall()
        assert Caller(pod.url).message(message_id).content == first.content
        assert cache.get(key) == first.content


@pytest.mark.parametrize("state", ["charged", "dead-lettered"])
def test_a_state_that_may_still_change_is_not_put_into_redis(
    pod: Processor, postgres_url: str, redis_url: str, state: str
) -> None:
    message_id = store_message(postgres_url, state)
    assert Caller(pod.url).message(message_id).json()["state"] == state
    with redis.Redis.from_url(redis_url) as cache:
        assert cache.get(message_cache_key("shop", message_id)) is None


@pytest.mark.parametrize(
    ("kind", "reason", "state", "remembered"),
    [
        ("charge", "", "charged", False),
        ("refusal", "InsufficientBalance", "refused", True),
        ("expiry", "Expired", "expired", True),
    ],
)
def test_what_no_sink_has_stored_yet_is_told_from_the_ledger(
    pod: Processor, postgres_url: str, redis_url: str, kind: str, reason: str, state: str, remembered: bool
) -> None:
    caller = Caller(pod.url)
    message_id = record_entry(postgres_url, caller.new_account("Prepaid"), kind=kind, reason=reason)
    assert caller.message(message_id).json() == {"id": str(message_id), "state": state, "reason": reason}
    with redis.Redis.from_url(redis_url) as cache:
        assert bool(cache.get(message_cache_key("shop", message_id))) == remembered


def test_a_row_tells_more_than_the_ledger_and_money_is_no_message(pod: Processor, postgres_url: str) -> None:
    caller = Caller(pod.url)
    account = caller.new_account("Prepaid")
    charged = record_entry(postgres_url, account)
    store_message(postgres_url, "failed", id=charged, reason="off")
    assert caller.message(charged).json() == {"id": str(charged), "state": "failed", "reason": "off"}
    assert caller.message(caller.top_up(account, "1", "k").json()["id"]).status_code == 404


def test_where_rows_go_the_ledger_does_not_bring_a_state_back(
    database_url: str, engine: sa.Engine, redis_url: str
) -> None:
    account = f"account-{uuid4()}"
    Accounts(database_url).register(account)
    today, last_month = (
        record_entry(database_url, account, tenant=TENANT, recorded_at=datetime.now(UTC) - timedelta(days=days))
        for days in (1, 31)
    )
    cache = Cache(redis_url, 60, Health())
    charged = [MessageView(id=one, state=MessageState.CHARGED) for one in (today, last_month)]
    kept, forever = (Messages(engine, cache, Health(), Retention(messages=lasts)) for lasts in ("30d", None))
    assert [kept.find(TENANT, one.id) for one in charged] == [charged[0], None]
    assert [forever.find(TENANT, one.id) for one in charged] == charged


def test_redis_is_believed_before_the_row(pod: Processor, postgres_url: str, redis_url: str) -> None:
    message_id = store_message(postgres_url, "charged")
    with redis.Redis.from_url(redis_url) as cache:
        cache.set(message_cache_key("shop", message_id), f'{{"id":"{message_id}","state":"sent"}}')
    assert Caller(pod.url).message(message_id).json()["state"] == "sent"


def test_what_redis_holds_from_another_version_is_not_believed(
    pod: Processor, postgres_url: str, redis_url: str
) -> None:
    message_id = store_message(postgres_url, "sent")
    with redis.Redis.from_url(redis_url) as cache:
        cache.set(message_cache_key("shop", message_id), '{"status": "SENT"}')
    assert Caller(pod.url).message(message_id).json() == {"id": str(message_id), "state": "sent", "reason": ""}
