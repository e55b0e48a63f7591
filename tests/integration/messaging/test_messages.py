"""POST and GET of messages on real Kafka, PostgreSQL and Redis."""

import json
from typing import cast
from uuid import UUID, uuid4

import redis
import sqlalchemy as sa
from confluent_kafka import Message

from messaging_api.message import message_cache_key
from messaging_cli.local.process import Service
from messaging_processors.runtime.schema import messages
from testkit.posting import Caller, records
from testkit.processes import Processor

POSTPAID, PREPAID = "http-postpaid", "http-prepaid"


def by_id(bootstrap: str, topic: str) -> dict[str, Message]:
    found = [(json.loads(record.value() or b"")["id"], record) for record in records(bootstrap, topic)]
    assert len(dict(found)) == len(found), "a message is in the topic twice"
    return dict(found)


def headers(record: Message) -> dict[str, str]:
    return {name: value.decode() for name, value in cast(list[tuple[str, bytes]], record.headers())}


def test_a_202_is_a_record_in_the_topic_of_the_accounts_billing_type(pod: Processor, kafka: Service) -> None:
    caller = Caller(pod.url)
    postpaid, prepaid = caller.new_account("Postpaid"), caller.new_account("Prepaid")
    trace = f"00-{uuid4().hex}-{uuid4().hex[:16]}-01"
    answers = {account: caller.post(account, traceparent=trace) for account in (postpaid, prepaid)}
    for account, topic in ((postpaid, POSTPAID), (prepaid, PREPAID)):
        assert answers[account].status_code == 202, answers[account].text
        record = by_id(kafka.address, topic)[answers[account].json()["id"]]
        assert record.key() == account.encode()
        assert json.loads(record.value() or b"")["billingType"] == topic.removeprefix("http-").capitalize()
        assert headers(record)["ce_id"] == answers[account].json()["id"]
        assert (headers(record)["domain"], headers(record)["traceparent"]) == ("marketing", trace)


def test_an_account_keeps_to_one_partition_and_its_messages_in_order(pod: Processor, kafka: Service) -> None:
    caller = Caller(pod.url)
    account = caller.new_account("Postpaid")
    sent = [caller.post(account).json()["id"] for _ in range(10)]
    stored = [record for record in by_id(kafka.address, POSTPAID).values() if record.key() == account.encode()]
    assert len({record.partition() for record in stored}) == 1
    in_order = sorted(stored, key=lambda record: record.offset() or 0)
    assert [headers(record)["ce_id"] for record in in_order] == sent


def test_an_unknown_account_is_a_wrong_field_and_nothing_is_written(pod: Processor, kafka: Service) -> None:
    before = len(records(kafka.address, POSTPAID)) + len(records(kafka.address, PREPAID))
    answer = Caller(pod.url).post(f"nobody-{uuid4()}")
    assert (answer.status_code, answer.json()["field"]) == (422, "accountId")
    assert len(records(kafka.address, POSTPAID)) + len(records(kafka.address, PREPAID)) == before


def store(database_url: str, state: str) -> UUID:
    """A row as a sink writes it."""
    message_id = uuid4()
    row = {
        "id": message_id,
        "account_id": "a",
        "billing_type": "Postpaid",
        "domain": "marketing",
        "recipient": "+12025550101",
        "body": "b",
        "amount_micros": 7500,
        "currency": "USD",
        "state": state,
        "accepted_at": sa.func.now(),
    }
    with sa.create_engine(database_url, poolclass=sa.NullPool).begin() as connection:
        connection.execute(sa.insert(messages).values(row))
    return message_id


def test_a_message_is_told_from_its_row_when_redis_has_lost_it(
    pod: Processor, postgres_url: str, redis_url: str
) -> None:
    message_id = store(postgres_url, "sent")
    key = message_cache_key(message_id)
    with redis.Redis.from_url(redis_url) as cache:
        first = Caller(pod.url).message(message_id)
        assert (first.status_code, first.json()) == (200, {"id": str(message_id), "state": "sent"})
        assert cache.get(key) == first.content
        cache.flushall()
        assert Caller(pod.url).message(message_id).content == first.content
        assert cache.get(key) == first.content


def test_a_state_that_may_still_change_is_not_put_into_redis(pod: Processor, postgres_url: str, redis_url: str) -> None:
    message_id = store(postgres_url, "charged")
    assert Caller(pod.url).message(message_id).json()["state"] == "charged"
    with redis.Redis.from_url(redis_url) as cache:
        assert cache.get(message_cache_key(message_id)) is None


def test_redis_is_believed_before_the_row(pod: Processor, postgres_url: str, redis_url: str) -> None:
    message_id = store(postgres_url, "charged")
    with redis.Redis.from_url(redis_url) as cache:
        cache.set(message_cache_key(message_id), f'{{"id":"{message_id}","state":"sent"}}')
    assert Caller(pod.url).message(message_id).json()["state"] == "sent"


def test_what_redis_holds_from_another_version_is_not_believed(
    pod: Processor, postgres_url: str, redis_url: str
) -> None:
    message_id = store(postgres_url, "sent")
    with redis.Redis.from_url(redis_url) as cache:
        cache.set(message_cache_key(message_id), '{"status": "SENT"}')
    assert Caller(pod.url).message(message_id).json() == {"id": str(message_id), "state": "sent"}
