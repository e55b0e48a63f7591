"""be-messaging's answers, without its stores: every request that is wrong, and every end that a right one can have."""

import asyncio
import json
from concurrent.futures import Future
from uuid import UUID

import httpx
import pytest

from messaging_api.message import AccountView, MessageState, MessageView
from messaging_api.processor import MessagingConfig
from messaging_api.topology import BillingType
from messaging_processors.messaging import app
from messaging_processors.messaging.accounts import Accounts, ChangeUnknown
from messaging_processors.messaging.messages import Messages
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.publishing import FateUnknown, NotPublished, Publisher
from messaging_processors.runtime.records import Outgoing

KNOWN = UUID("7b0d4c1e-0000-4000-8000-000000000001")
GOOD = {"accountId": "postpaid-1", "domain": "marketing", "to": "+12025550101", "body": "hello"}
CONFIG = MessagingConfig(
    topology="t",
    namespace="n",
    processor="be-messaging",
    bootstrap_servers="unused:9092",
    routes={BillingType.POSTPAID: "postpaid"},
    domains=["marketing", "authentication"],
    cache_ttl="1h",
)


class TwoAccounts(Accounts):
    def __init__(self) -> None:
        self.away = False

    def find(self, account_id: str) -> AccountView | None:
        if self.away:
            raise Away("database", "gone")
        billing_type = {"postpaid-1": BillingType.POSTPAID, "prepaid-1": BillingType.PREPAID}.get(account_id)
        return AccountView(id=account_id, billing_type=billing_type) if billing_type else None

    def save(self, account: AccountView, deadline: float) -> None:
        self.find(account.id)


class OneMessage(Messages):
    def __init__(self) -> None:
        pass

    def find(self, message_id: UUID) -> MessageView | None:
        return MessageView(id=message_id, state=MessageState.SENT) if message_id == KNOWN else None


class Fate(Publisher):
    """Ends every record the same way."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.records: list[Outgoing] = []

    def publish(self, record: Outgoing) -> Future[None]:
        self.records.append(record)
        if isinstance(self.error, NotPublished):
            raise self.error
        fate: Future[None] = Future()
        fate.set_exception(self.error) if self.error else fate.set_result(None)
        return fate


def ask(
    method: str, path: str, publisher: Publisher | None = None, accounts: TwoAccounts | None = None, **request: object
) -> httpx.Response:
    async def conversation() -> httpx.Response:
        api = app.Api(CONFIG, accounts or TwoAccounts(), OneMessage(), publisher or Fate())
        transport = httpx.ASGITransport(app.create_app(api), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://be-messaging") as client:
            return await client.request(method, path, **request)  # type: ignore[arg-type]

    return asyncio.run(conversation())


def post(publisher: Publisher | None = None, **changes: object) -> httpx.Response:
    return ask("POST", "/v1/messages", publisher, json=GOOD | changes)


def problem(answer: httpx.Response) -> dict[str, object]:
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = answer.json()
    assert document["status"] == answer.status_code
    assert document.keys() >= {"type", "title", "detail"}
    return document


def test_an_accepted_message_is_published_and_has_a_place_to_ask_for_it() -> None:
    publisher = Fate()
    answer = post(publisher)
    assert (answer.status_code, answer.json()["state"]) == (202, "accepted")
    assert answer.headers["location"] == f"/v1/messages/{answer.json()['id']}"
    [record] = publisher.records
    assert json.loads(record.value or b"")["id"] == answer.json()["id"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"to": "2025550101"}, "to"),
        ({"to": 12025550101}, "to"),
        ({"body": ""}, "body"),
        ({"body": "x" * 1601}, "body"),
        ({"body": "no\x00nul"}, "body"),
        ({"body": "half a \ud800 character"}, "body"),
        ({"accountId": "-"}, "accountId"),
        ({"accountId": None}, "accountId"),
        ({"accountId": "nobody"}, "accountId"),
        ({"accountId": "prepaid-1"}, "accountId"),
        ({"domain": "Marketing"}, "domain"),
        ({"domain": "weather"}, "domain"),
        ({"billingType": "Prepaid"}, "billingType"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_published(changes: dict[str, object], field: str) -> None:
    publisher = Fate()
    body = json.dumps(GOOD | changes)
    answer = ask("POST", "/v1/messages", publisher, content=body, headers={"Content-Type": "application/json"})
    assert (problem(answer)["status"], problem(answer)["field"]) == (422, field)
    assert publisher.records == []


def test_a_missing_field_is_named() -> None:
    answer = ask("POST", "/v1/messages", json={"accountId": "postpaid-1", "domain": "marketing", "body": "b"})
    assert (problem(answer)["status"], problem(answer)["field"]) == (422, "to")


def test_all_that_is_wrong_is_told_at_once_without_what_was_sent() -> None:
    detail = str(problem(post(to="private number", domain="Secret Domain"))["detail"])
    assert "to: " in detail
    assert "domain: " in detail
    assert "private" not in detail.lower()
    assert "secret" not in detail.lower()


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
    answer = ask("POST", "/v1/messages", content=content, headers={"Content-Type": content_type})
    assert problem(answer)["status"] == status


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (NotPublished("queue full"), 503, "1"),
        (FateUnknown("timed out"), 504, None),
        (ZeroDivisionError("internals"), 500, None),
    ],
)
def test_what_kafka_did_not_take_is_no_202(error: Exception, status: int, retry_after: str | None) -> None:
    answer = post(Fate(error))
    assert problem(answer)["status"] == status
    assert answer.headers.get("retry-after") == retry_after
    assert str(error) not in answer.text


def test_an_absent_database_asks_to_try_again() -> None:
    accounts = TwoAccounts()
    accounts.away = True
    for method, path, body in (("POST", "/v1/messages", GOOD), ("PUT", "/v1/accounts/a", {"billingType": "Prepaid"})):
        answer = ask(method, path, accounts=accounts, json=body)
        assert (problem(answer)["status"], answer.headers["retry-after"]) == (503, "1")


def test_a_silent_database_asks_to_try_again_before_a_caller_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    silent: Future[None] = Future()
    accounts = TwoAccounts()
    monkeypatch.setattr(app, "STORE_SECONDS", 0.1)
    monkeypatch.setattr(accounts, "find", lambda _: silent.result())
    answer = ask("GET", "/v1/accounts/postpaid-1", accounts=accounts)
    silent.set_result(None)
    assert (problem(answer)["status"], answer.headers["retry-after"]) == (503, "1")


def put_account(accounts: TwoAccounts) -> httpx.Response:
    return ask("PUT", "/v1/accounts/a", accounts=accounts, json={"billingType": "Prepaid"})


def test_a_change_that_may_have_been_made_is_unknown_and_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_the_connection(account: AccountView, deadline: float) -> None:
        raise ChangeUnknown("lost under the commit")

    accounts = TwoAccounts()
    monkeypatch.setattr(accounts, "save", lose_the_connection)
    answer = put_account(accounts)
    assert (problem(answer)["status"], answer.headers.get("retry-after")) == (504, None)


def test_a_change_that_nobody_answers_for_is_unknown_too(monkeypatch: pytest.MonkeyPatch) -> None:
    silent: Future[None] = Future()
    accounts = TwoAccounts()
    monkeypatch.setattr(app, "STORE_SECONDS", 0.1)
    monkeypatch.setattr(accounts, "save", lambda _, __: silent.result())
    answer = put_account(accounts)
    silent.set_result(None)
    assert (problem(answer)["status"], answer.headers.get("retry-after")) == (504, None)


def test_a_message_is_found_or_expected() -> None:
    assert ask("GET", f"/v1/messages/{KNOWN}").json() == {"id": str(KNOWN), "state": "sent"}
    answer = ask("GET", "/v1/messages/7b0d4c1e-0000-4000-8000-000000000002")
    assert problem(answer)["status"] == 404
    assert int(answer.headers["retry-after"]) > 0


def test_accounts() -> None:
    answer = ask("PUT", "/v1/accounts/new-1", json={"billingType": "Prepaid"})
    assert (answer.status_code, answer.json()) == (200, {"id": "new-1", "billingType": "Prepaid"})
    assert ask("GET", "/v1/accounts/postpaid-1").json() == {"id": "postpaid-1", "billingType": "Postpaid"}
    assert problem(ask("GET", "/v1/accounts/nobody"))["status"] == 404
    assert problem(ask("PUT", "/v1/accounts/new-1", json={"billingType": "Free"}))["field"] == "billingType"
    assert problem(ask("PUT", "/v1/accounts/-", json={"billingType": "Prepaid"}))["field"] == "id"
    assert problem(ask("GET", "/v1/messages/not-an-id"))["field"] == "id"


def test_unknown_paths_and_methods_are_problems_too() -> None:
    assert problem(ask("GET", "/v2/messages"))["status"] == 404
    answer = ask("DELETE", "/v1/messages")
    assert (problem(answer)["status"], answer.headers["allow"]) == (405, "POST")


def test_the_description_has_every_path_and_promises_problem_documents() -> None:
    paths = ask("GET", "/openapi.json").json()["paths"]
    assert paths.keys() == {"/v1/messages", "/v1/messages/{id}", "/v1/accounts/{id}"}
    refusals = paths["/v1/messages"]["post"]["responses"]
    assert {"400", "413", "415", "422", "503", "504"} <= refusals.keys()
    assert refusals["422"]["content"].keys() == {"application/problem+json"}
