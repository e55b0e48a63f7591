"""be-messaging's answers about accounts, and what a key may do, without its stores."""

from concurrent.futures import Future

import httpx
import pytest

from messaging_api.access import Scope
from messaging_api.account import AccountView
from messaging_processors.messaging import storing
from messaging_processors.messaging.accounts import AccountChange
from messaging_processors.messaging.storing import ChangeUnknown
from testkit.messaging import CONFIG, BeMessaging, problem, vouched

MESSAGE = {"accountId": "postpaid-1", "domain": "marketing", "to": "+12025550101", "body": "hello"}
ID = "7b0d4c1e-0000-4000-8000-000000000001"
ACCOUNT = "/v1/accounts/postpaid-1"
ENDPOINTS = [
    ("POST", "/v1/messages", Scope.SEND, MESSAGE),
    ("GET", f"/v1/messages/{ID}", Scope.READ, None),
    ("PUT", ACCOUNT, Scope.ACCOUNTS, {"billingType": "Prepaid", "currency": "USD"}),
    ("GET", ACCOUNT, Scope.ACCOUNTS, None),
    ("GET", f"{ACCOUNT}/ledger", Scope.ACCOUNTS, None),
    ("POST", f"{ACCOUNT}/top-ups", Scope.TOP_UPS, {"amount": "1", "currency": "USD"}),
    (
        "POST",
        "/v1/receipts",
        Scope.RECEIPTS,
        {"id": ID, "accountId": "a", "domain": "marketing", "status": "failed"},
    ),
    ("POST", "/v1/erasures", Scope.ERASURES, {"to": "+12025550101"}),
]


@pytest.mark.parametrize(("method", "path", "scope", "body"), ENDPOINTS)
def test_every_endpoint_asks_for_its_scope(method: str, path: str, scope: Scope, body: object) -> None:
    service = BeMessaging()
    key = {"Idempotency-Key": "k"}
    others = [other for other in Scope if other != scope]
    refused = service.ask_as(vouched("shop", *others) | key, method, path, json=body)
    assert (problem(refused)["status"], problem(refused)["field"]) == (403, "X-API-Key")
    assert f"scope {scope};" in str(problem(refused)["detail"])
    assert service.publisher.records == []
    assert service.ask_as(vouched("shop", scope) | key, method, path, json=body).is_success


@pytest.mark.parametrize(("method", "path", "scope", "body"), ENDPOINTS)
@pytest.mark.parametrize(
    "caller", [{}, {"x-tenant": "shop"}, {"x-scopes": "send"}, {"x-tenant": "SHOP!", "x-scopes": "send"}]
)
def test_nobody_is_let_in_whom_the_gateway_does_not_vouch_for(
    method: str, path: str, scope: Scope, body: object, caller: dict[str, str]
) -> None:
    service = BeMessaging()
    assert problem(service.ask_as(caller, method, path, json=body))["status"] == 401
    assert service.publisher.records == []


def test_the_description_says_which_key_every_endpoint_takes() -> None:
    description = BeMessaging().ask_as({}, "GET", "/openapi.json").json()
    schemes = description["components"]["securitySchemes"]
    assert schemes["apiKey"] == {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    for method, path, scope, _ in ENDPOINTS:
        operation = description["paths"][path.replace("postpaid-1", "{id}").replace(ID, "{id}")][method.lower()]
        assert operation["security"] == [{"apiKey": [scope]}, {"bearer": [scope]}]


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _, body in ENDPOINTS if body])
@pytest.mark.parametrize("content", ["", "null", "[]", '"text"'])
def test_a_body_that_is_no_object_is_named(method: str, path: str, content: str) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = BeMessaging().ask(method, path, headers, content=content)
    assert (problem(answer)["status"], problem(answer)["field"]) == (422, "body")


def test_a_key_without_any_scope_may_do_nothing() -> None:
    answer = BeMessaging().ask_as({"x-tenant": "shop", "x-scopes": ""}, "GET", ACCOUNT)
    assert problem(answer)["status"] == 403


def test_accounts() -> None:
    service = BeMessaging()
    new = {"billingType": "Postpaid", "currency": "EUR", "creditLimit": "100.50"}
    answer = service.ask("PUT", "/v1/accounts/new-1", json=new)
    expected = {"id": "new-1", "billingType": "Postpaid", "currency": "EUR", "balance": "0", "creditLimit": "100.5"}
    assert (answer.status_code, answer.json()) == (200, expected)
    assert service.ask("GET", ACCOUNT).json()["balance"] == "1.5"
    for path in ("/v1/accounts/nobody", "/v1/accounts/nobody/ledger"):
        assert problem(service.ask("GET", path))["status"] == 404


def test_the_only_currency_of_a_topology_need_not_be_named() -> None:
    only = {"marketing": CONFIG.domains["marketing"]}
    service = BeMessaging(config=CONFIG.model_copy(update={"domains": only}))
    assert service.ask("PUT", "/v1/accounts/a", json={"billingType": "Prepaid"}).json()["currency"] == "USD"


def test_an_account_keeps_its_currency() -> None:
    answer = BeMessaging().ask("PUT", ACCOUNT, json={"billingType": "Prepaid", "currency": "EUR"})
    assert (problem(answer)["status"], problem(answer)["field"]) == (409, "currency")
    assert "USD -> EUR" in str(problem(answer)["detail"])


def test_a_currency_that_is_not_charged_in_is_told_with_those_that_are() -> None:
    for body in ({"billingType": "Prepaid"}, {"billingType": "Prepaid", "currency": "GBP"}):
        assert "EUR, USD" in str(problem(BeMessaging().ask("PUT", "/v1/accounts/a", json=body))["detail"])


def top_up(service: BeMessaging, account: str = "prepaid-1", key: str = "k", amount: str = "2.50") -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return service.ask("POST", f"/v1/accounts/{account}/top-ups", headers, json={"amount": amount, "currency": "USD"})


def test_a_top_up_answers_with_its_entry() -> None:
    answer = top_up(BeMessaging())
    assert answer.status_code == 201
    assert answer.json().items() >= {"kind": "top-up", "amount": "2.5", "currency": "USD"}.items()


def test_a_top_up_of_nothing_is_told_in_plain_words() -> None:
    refused = problem(top_up(BeMessaging(), amount="0.00"))
    assert (refused["status"], refused["field"], refused["detail"]) == (422, "amount", "amount: must be more than 0")


def test_a_top_up_without_a_key_is_refused_and_of_nobody_too() -> None:
    answer = top_up(BeMessaging(), key="")
    assert (problem(answer)["status"], problem(answer)["field"]) == (400, "Idempotency-Key")
    assert problem(top_up(BeMessaging(), "nobody"))["status"] == 404


def test_an_absent_database_asks_to_try_again() -> None:
    service = BeMessaging()
    service.accounts.away = True
    account = {"billingType": "Prepaid", "currency": "USD"}
    for method, path, body in (("POST", "/v1/messages", MESSAGE), ("PUT", "/v1/accounts/a", account)):
        answer = service.ask(method, path, json=body)
        assert (problem(answer)["status"], answer.headers["retry-after"]) == (503, "1")


def test_a_silent_database_asks_to_try_again_before_a_caller_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    silent: Future[None] = Future()
    service = BeMessaging()
    monkeypatch.setattr(storing, "STORE_SECONDS", 0.1)
    monkeypatch.setattr(service.accounts, "find", lambda *_: silent.result())
    answer = service.ask("GET", ACCOUNT)
    silent.set_result(None)
    assert (problem(answer)["status"], answer.headers["retry-after"]) == (503, "1")


def put_account(service: BeMessaging) -> httpx.Response:
    return service.ask("PUT", "/v1/accounts/a", json={"billingType": "Prepaid", "currency": "USD"})


def test_a_change_that_may_have_been_made_is_unknown_and_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_the_connection(change: AccountChange, deadline: float) -> AccountView:
        raise ChangeUnknown("lost under the commit")

    service = BeMessaging()
    monkeypatch.setattr(service.accounts, "save", lose_the_connection)
    answer = put_account(service)
    assert (problem(answer)["status"], answer.headers.get("retry-after")) == (504, None)


def test_a_change_that_nobody_answers_for_is_unknown_too(monkeypatch: pytest.MonkeyPatch) -> None:
    silent: Future[None] = Future()
    service = BeMessaging()
    monkeypatch.setattr(storing, "STORE_SECONDS", 0.1)
    monkeypatch.setattr(service.accounts, "save", lambda *_: silent.result())
    monkeypatch.setattr(service.accounts, "find", lambda *_: silent.result())
    answer = put_account(service)
    silent.set_result(None)
    assert (problem(answer)["status"], answer.headers.get("retry-after")) == (504, None)


def test_an_unknown_top_up_says_to_repeat_it_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    silent: Future[None] = Future()
    service = BeMessaging()
    monkeypatch.setattr(storing, "STORE_SECONDS", 0.1)
    monkeypatch.setattr(service.accounts, "find", lambda *_: silent.result())
    answer = top_up(service)
    silent.set_result(None)
    assert problem(answer)["status"] == 504
    assert "Repeat with the same Idempotency-Key" in str(problem(answer)["detail"])
