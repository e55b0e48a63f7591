"""be-messaging's answers, without its stores: every request that is wrong, and every end that a right one can have."""

import json
from concurrent.futures import Future
from uuid import UUID

import httpx
import pytest

from messaging_processors.messaging import storing
from messaging_processors.runtime.publishing import FateUnknown, NotPublished
from testkit.messaging import CONFIG, KNOWN, BeMessaging, Fate, problem, vouched

GOOD = {"accountId": "postpaid-1", "domain": "marketing", "to": "+12025550101", "body": "hello"}
RECEIPT = {"id": str(KNOWN), "accountId": "postpaid-1", "domain": "marketing", "status": "delivered"}
JSON = {"Content-Type": "application/json"}


def post(service: BeMessaging, headers: dict[str, str] | None = None, **changes: object) -> httpx.Response:
    return service.ask("POST", "/v1/messages", headers, json=GOOD | changes)


def under_key(service: BeMessaging, key: str, **changes: object) -> httpx.Response:
    return post(service, {"Idempotency-Key": key}, **changes)


def test_an_accepted_message_is_published_and_has_a_place_to_ask_for_it() -> None:
    service = BeMessaging()
    answer = post(service)
    assert (answer.status_code, answer.json()["state"]) == (202, "accepted")
    assert answer.headers["location"] == f"/v1/messages/{answer.json()['id']}"
    [record] = service.publisher.records
    assert (json.loads(record.value or b"")["id"], record.topic) == (answer.json()["id"], "postpaid")
    assert json.loads(record.value or b"")["tenant"] == "shop"


def test_a_path_that_is_none_is_a_problem_and_no_way_to_another_host() -> None:
    answer = BeMessaging().ask("POST", "/v1/messages/", json=GOOD)
    assert (problem(answer)["status"], "location" in answer.headers) == (404, False)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"to": "2025550101"}, "to"),
        ({"to": 12025550101}, "to"),
        ({"to": "+999123456"}, "to"),
        ({"to": "+12025550"}, "to"),
        ({"body": ""}, "body"),
        ({"body": "x" * 1601}, "body"),
        ({"body": "no\x00nul"}, "body"),
        ({"body": "half a \ud800 character"}, "body"),
        ({"accountId": "-"}, "accountId"),
        ({"accountId": None}, "accountId"),
        ({"accountId": "nobody"}, "accountId"),
        ({"accountId": "prepaid-1"}, "accountId"),
        ({"domain": "authentication"}, "accountId"),
        ({"domain": "Marketing"}, "domain"),
        ({"domain": "weather"}, "domain"),
        ({"billingType": "Prepaid"}, "billingType"),
        ({"validFor": "soon"}, "validFor"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_published(changes: dict[str, object], field: str) -> None:
    service = BeMessaging()
    answer = service.ask("POST", "/v1/messages", JSON, content=json.dumps(GOOD | changes))
    assert (problem(answer)["status"], problem(answer)["field"]) == (422, field)
    assert service.publisher.records == []


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PUT", "/v1/accounts/a", {"billingType": "Prepaid", "currency": "XXX"}, "currency"),
        ("PUT", "/v1/accounts/a", {"billingType": "Prepaid", "currency": "usd"}, "currency"),
        ("PUT", "/v1/accounts/a", {"billingType": "Prepaid"}, "currency"),
        ("PUT", "/v1/accounts/a", {"billingType": "Free", "currency": "USD"}, "billingType"),
        ("PUT", "/v1/accounts/a", {"billingType": "Postpaid", "currency": "USD", "creditLimit": "-1"}, "creditLimit"),
        ("PUT", "/v1/accounts/-", {"billingType": "Prepaid", "currency": "USD"}, "id"),
        ("POST", "/v1/accounts/prepaid-1/top-ups", {"amount": "-1", "currency": "USD"}, "amount"),
        ("POST", "/v1/accounts/prepaid-1/top-ups", {"amount": "0.0", "currency": "USD"}, "amount"),
        ("POST", "/v1/accounts/prepaid-1/top-ups", {"amount": "0.0000001", "currency": "USD"}, "amount"),
        ("POST", "/v1/accounts/prepaid-1/top-ups", {"amount": "0.0000015", "currency": "USD"}, "amount"),
        ("POST", "/v1/accounts/prepaid-1/top-ups", {"amount": 1.5, "currency": "USD"}, "amount"),
        ("POST", "/v1/accounts/prepaid-1/top-ups", {"amount": "1", "currency": "EUR"}, "currency"),
        ("POST", "/v1/receipts", RECEIPT | {"domain": "weather"}, "domain"),
        ("POST", "/v1/receipts", RECEIPT | {"status": "lost"}, "status"),
        ("POST", "/v1/erasures", {"to": "everybody"}, "to"),
        ("GET", "/v1/accounts/prepaid-1/ledger?limit=501", None, "limit"),
        ("GET", "/v1/accounts/prepaid-1/ledger?after=-1", None, "after"),
        ("GET", f"/v1/accounts/prepaid-1/ledger?after={2**63}", None, "after"),
        ("GET", "/v1/messages/not-an-id", None, "id"),
    ],
)
def test_a_wrong_field_is_named_everywhere(method: str, path: str, body: dict[str, object] | None, field: str) -> None:
    service = BeMessaging()
    answer = service.ask(method, path, {"Idempotency-Key": "k"}, json=body)
    assert (problem(answer)["status"], problem(answer)["field"]) == (422, field), answer.text
    assert service.publisher.records == []


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "caf\u00e9", "tab\t!"])
def test_a_key_that_is_none_is_named_and_nothing_is_published(key: str) -> None:
    service = BeMessaging()
    headers = httpx.Headers(vouched() | {"Idempotency-Key": key}, encoding="utf-8")
    answer = service.ask_as(headers, "POST", "/v1/messages", json=GOOD)
    assert (problem(answer)["status"], problem(answer)["field"]) == (422, "Idempotency-Key")
    assert service.publisher.records == []


def test_a_missing_field_is_named() -> None:
    answer = BeMessaging().ask("POST", "/v1/messages", json={k: v for k, v in GOOD.items() if k != "to"})
    assert (problem(answer)["status"], problem(answer)["field"]) == (422, "to")


def test_all_that_is_wrong_is_told_at_once_without_what_was_sent() -> None:
    detail = str(problem(post(BeMessaging(), to="private number", domain="Secret Domain"))["detail"])
    assert "to: " in detail
    assert "domain: " in detail
    assert "private" not in detail.lower()
    assert "secret" not in detail.lower()


def test_a_domain_of_another_currency_is_told_with_both() -> None:
    detail = str(problem(post(BeMessaging(), domain="authentication"))["detail"])
    assert "in USD" in detail
    assert "authentication charges in EUR" in detail


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b'{"accountId": ', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"accountId=1", "application/x-www-form-urlencoded", 415),
        (json.dumps(GOOD).encode(), "text/plain", 415),
        (b"[]", "application/json", 422),
        (b"", "application/json", 422),
    ],
)
def test_a_body_that_is_no_message(content: bytes, content_type: str, status: int) -> None:
    service = BeMessaging()
    answer = service.ask("POST", "/v1/messages", {"Content-Type": content_type}, content=content)
    assert problem(answer)["status"] == status
    assert service.publisher.records == []


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (NotPublished("queue full"), 503, "1"),
        (FateUnknown("timed out"), 504, None),
        (ZeroDivisionError("internals"), 500, None),
    ],
)
@pytest.mark.parametrize(("path", "body"), [("/v1/messages", GOOD), ("/v1/receipts", RECEIPT)])
def test_what_kafka_did_not_take_is_no_202(
    path: str, body: dict[str, str], error: Exception, status: int, retry_after: str | None
) -> None:
    answer = BeMessaging(Fate(error)).ask("POST", path, json=body)
    assert problem(answer)["status"] == status
    assert answer.headers.get("retry-after") == retry_after
    assert str(error) not in answer.text


def test_a_repeat_under_a_key_is_the_same_message_and_published_again() -> None:
    service = BeMessaging()
    first, again, other = (under_key(service, key).json()["id"] for key in ("k", "k", "l"))
    assert first == again != other
    assert UUID(first).version == 5
    assert len(service.publisher.records) == 3


def test_another_message_under_a_known_key_is_refused() -> None:
    service = BeMessaging()
    under_key(service, "k")
    answer = under_key(service, "k", body="another")
    assert (problem(answer)["status"], problem(answer)["field"]) == (409, "Idempotency-Key")
    assert len(service.publisher.records) == 1


@pytest.mark.parametrize(("error", "known"), [(FateUnknown("timed out"), 1), (NotPublished("queue full"), 0)])
def test_what_may_be_in_kafka_is_remembered_and_what_is_not_is_not(error: Exception, known: int) -> None:
    service = BeMessaging(Fate(error))
    under_key(service, "k")
    assert len(service.repeats.known) == known


def test_an_unknown_end_says_what_a_repeat_is() -> None:
    service = BeMessaging(Fate(FateUnknown("timed out")))
    assert "A repeat is another message" in str(problem(post(service))["detail"])
    assert "Repeat it with the same Idempotency-Key" in str(problem(under_key(service, "k"))["detail"])


def test_a_silent_memory_of_keys_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    silent: Future[list[object]] = Future()
    service = BeMessaging()
    monkeypatch.setattr(storing, "BRIEFLY", 0.05)
    monkeypatch.setattr(service.repeats, "contradicting", lambda _: silent.result())
    answer = under_key(service, "k")
    silent.set_result([])
    assert answer.status_code == 202


def test_a_receipt_is_published_where_its_message_went() -> None:
    service = BeMessaging()
    answer = service.ask("POST", "/v1/receipts", json=RECEIPT | {"reason": "handset"})
    assert (answer.status_code, answer.json()["status"]) == (202, "delivered")
    [record] = service.publisher.records
    assert (record.topic, record.key) == ("marketing", b"postpaid-1")
    assert dict(record.headers)["ce_type"] == b"dev.messagingtopology.message.receipt"
    assert json.loads(record.value or b"").items() >= (RECEIPT | {"reason": "handset"}).items()


def test_a_message_is_found_or_expected() -> None:
    service = BeMessaging()
    assert service.ask("GET", f"/v1/messages/{KNOWN}").json() == {"id": str(KNOWN), "state": "sent", "reason": ""}
    answer = service.ask("GET", "/v1/messages/7b0d4c1e-0000-4000-8000-000000000002")
    assert problem(answer)["status"] == 404
    assert int(answer.headers["retry-after"]) > 0


def test_unknown_paths_and_methods_are_problems_too() -> None:
    assert problem(BeMessaging().ask("GET", "/v2/messages"))["status"] == 404
    for path, allowed in {"/v1/messages": "POST", "/v1/accounts/prepaid-1": "GET, PUT"}.items():
        answer = BeMessaging().ask("DELETE", path)
        assert (problem(answer)["status"], answer.headers["allow"]) == (405, allowed)


def test_the_description_has_every_path_and_promises_problem_documents() -> None:
    paths = BeMessaging().ask_as({}, "GET", "/openapi.json").json()["paths"]
    account = "/v1/accounts/{id}"
    known = {"/v1/messages", "/v1/messages:batch", "/v1/messages/{id}", "/v1/receipts", "/v1/erasures"}
    assert paths.keys() == known | {account, f"{account}/top-ups", f"{account}/ledger"}
    refusals = paths["/v1/messages"]["post"]["responses"]
    assert {"400", "401", "403", "409", "413", "415", "422", "503", "504"} <= refusals.keys()
    assert refusals["422"]["content"].keys() == {"application/problem+json"}
    parameters = {item["name"]: item["required"] for item in paths["/v1/messages"]["post"]["parameters"]}
    assert parameters == {"Idempotency-Key": False, "traceparent": False}, "what the gateway adds is nothing to be sent"
    needed = {item["name"]: item["required"] for item in paths[f"{account}/top-ups"]["post"]["parameters"]}
    assert needed == {"id": True, "Idempotency-Key": True}


def test_a_topology_without_a_domain_takes_no_account() -> None:
    service = BeMessaging(config=CONFIG.model_copy(update={"domains": {}}))
    answer = service.ask("PUT", "/v1/accounts/a", json={"billingType": "Prepaid", "currency": "USD"})
    assert (problem(answer)["status"], problem(answer)["field"]) == (422, "currency")
