"""Many messages in one request: each has the end that it would have had alone."""

import json
from typing import Any

import pytest

from messaging_api.message import idempotent_id
from messaging_processors.runtime.publishing import FateUnknown, NotPublished
from testkit.messaging import TENANT, BeMessaging, Fate, problem, vouched

GOOD = {"accountId": "postpaid-1", "domain": "marketing", "to": "+12025550101", "body": "hello"}
PATH = "/v1/messages:batch"


def post(service: BeMessaging, *messages: dict[str, str]) -> list[dict[str, Any]]:
    answer = service.ask("POST", PATH, json={"messages": [GOOD | message for message in messages]})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def published(service: BeMessaging) -> list[str]:
    return [json.loads(record.value or b"")["body"] for record in service.publisher.records]


def test_every_message_has_its_own_result_in_its_place() -> None:
    service = BeMessaging()
    wrong = {"accountId": "nobody"}, {"to": "+999123456"}, {"domain": "weather"}, {"accountId": "prepaid-1"}
    results = post(service, {"body": "1"}, *wrong, {"body": "2", "idempotencyKey": "k"})
    assert [result["status"] for result in results] == [202, 422, 422, 422, 422, 202]
    assert [result.get("problem", {}).get("field") for result in results[1:-1]] == [
        "accountId",
        "to",
        "domain",
        "accountId",
    ]
    assert results[-1]["message"] == {"id": str(idempotent_id(TENANT, "k")), "state": "accepted", "reason": ""}
    assert published(service) == ["1", "2"]


def test_a_key_in_a_batch_and_in_the_header_are_the_same() -> None:
    service = BeMessaging()
    [result] = post(service, {"idempotencyKey": "k"})
    again = service.ask("POST", "/v1/messages", {"Idempotency-Key": "k"}, json=GOOD)
    assert result["message"] == again.json()


def test_another_message_under_a_known_key_is_refused_alone() -> None:
    service = BeMessaging()
    post(service, {"idempotencyKey": "k", "body": "first"})
    results = post(service, {"idempotencyKey": "k", "body": "second"}, {"body": "third"})
    assert [result["status"] for result in results] == [409, 202]
    assert results[0]["problem"]["field"] == "idempotencyKey"
    assert published(service) == ["first", "third"]


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (NotPublished("queue full"), 503, "was not accepted, try again"),
        (FateUnknown("timed out"), 504, "with the same idempotencyKey"),
    ],
)
def test_what_kafka_does_not_take_is_told_of_each(error: Exception, status: int, said: str) -> None:
    service = BeMessaging(Fate(error))
    results = post(service, {"idempotencyKey": "k"}, {})
    assert [result["status"] for result in results] == [status, status]
    assert said in results[0]["problem"]["detail"]
    assert service.repeats.known.keys() == ({idempotent_id(TENANT, "k")} if status == 504 else set())


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "messages"),
        ([GOOD] * 101, "messages"),
        ([GOOD, GOOD | {"to": "1"}], "messages.1.to"),
        ([GOOD, GOOD | {"body": ""}], "messages.1.body"),
        ([GOOD | {"idempotencyKey": "a b"}], "messages.0.idempotencyKey"),
        ([GOOD | {"price": "0"}], "messages.0.price"),
        ("all", "messages"),
    ],
)
def test_a_batch_that_is_none_is_refused_as_a_whole(messages: object, field: str) -> None:
    service = BeMessaging()
    answer = service.ask("POST", PATH, json={"messages": messages})
    assert (problem(answer)["status"], problem(answer)["field"]) == (422, field)
    assert service.publisher.records == []


def test_without_the_accounts_nothing_is_taken() -> None:
    service = BeMessaging()
    service.accounts.away = True
    answer = service.ask("POST", PATH, json={"messages": [GOOD, GOOD]})
    assert (problem(answer)["status"], answer.headers["retry-after"]) == (503, "1")
    assert service.publisher.records == []


def test_a_batch_needs_the_scope_to_send() -> None:
    answer = BeMessaging().ask_as(vouched(TENANT, "read"), "POST", PATH, json={"messages": [GOOD]})
    assert (problem(answer)["status"], problem(answer)["field"]) == (403, "X-API-Key")
