"""Top-ups are added once, and the ledger's pages are complete while it grows."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import pytest
import sqlalchemy as sa

from messaging_processors.messaging.ledger import Ledger, TopUp
from messaging_processors.messaging.storing import ChangeUnknown
from messaging_processors.runtime import database
from messaging_processors.runtime.health import Health
from testkit.posting import Caller
from testkit.rows import execute, record_entry
from testkit.waiting import eventually


@contextmanager
def held(postgres_url: str, account: str) -> Iterator[None]:
    """Whoever wants to move the account's balance waits until the end of the block."""
    with sa.create_engine(postgres_url, poolclass=sa.NullPool).begin() as other:
        other.execute(sa.text("SELECT FROM accounts WHERE id = :id FOR UPDATE"), {"id": account})
        yield


def waiting(postgres_url: str) -> int:
    return len(execute(postgres_url, sa.text("SELECT FROM pg_locks WHERE NOT granted")))


def test_a_top_up_that_is_raced_under_one_key_is_added_once(callers: tuple[Caller, Caller], postgres_url: str) -> None:
    account, key = callers[0].new_account("Prepaid"), str(uuid4())
    with ThreadPoolExecutor(20) as pool:
        with held(postgres_url, account):
            asked = [pool.submit(callers[n % 2].top_up, account, "2.50", key) for n in range(20)]
            eventually(lambda: waiting(postgres_url) >= 5, every=0.02)
        answers = [answer.result() for answer in asked]
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert callers[0].account(account).json()["balance"] == "2.5"
    (entry,) = callers[0].ledger(account).json()["entries"]
    assert entry == answers[0].json()
    assert (entry["kind"], entry["amount"], entry["balance"]) == ("top-up", "2.5", "2.5")


def test_another_top_up_under_a_key_is_refused_and_nothing_is_added(callers: tuple[Caller, Caller]) -> None:
    one, two = callers
    account, other = one.new_account("Prepaid"), one.new_account("Prepaid")
    one.top_up(account, "1", "k").raise_for_status()
    refused = two.top_up(account, "2", "k")
    assert (refused.status_code, refused.json()["field"]) == (409, "Idempotency-Key")
    assert two.top_up(other, "2", "k").json()["balance"] == "2", "each account has keys of its own"
    assert one.account(account).json()["balance"] == "1"


@pytest.mark.parametrize(("amount", "currency", "field"), [("1", "EUR", "currency"), ("-1", "USD", "amount")])
def test_a_wrong_top_up_adds_nothing(callers: tuple[Caller, Caller], amount: str, currency: str, field: str) -> None:
    account = callers[0].new_account("Prepaid")
    refused = callers[0].top_up(account, amount, "k", currency)
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert callers[0].ledger(account).json() == {"entries": [], "next": None}


def test_a_balance_stays_what_the_ledger_can_hold_whatever_is_paid_back(callers: tuple[Caller, Caller]) -> None:
    account, most = callers[0].new_account("Prepaid"), "999999999999"
    for key in range(4):
        callers[0].top_up(account, most, str(key)).raise_for_status()
    refused = callers[0].top_up(account, most, "one-too-many")
    assert (refused.status_code, refused.json()["field"]) == (422, "amount")
    assert callers[0].account(account).json()["balance"] == str(4 * int(most))


def test_pages_are_complete_and_in_order_while_the_ledger_grows(callers: tuple[Caller, Caller]) -> None:
    one, two = callers
    account = one.new_account("Prepaid")
    with ThreadPoolExecutor(8) as pool:
        adding = [pool.submit(callers[n % 2].top_up, account, "1", str(n)) for n in range(60)]
        seen: list[dict[str, object]] = []
        while len(seen) < 60:
            after = seen[-1]["sequence"] if seen else 0
            page = two.ledger(account, after=int(str(after)), limit=7).raise_for_status().json()
            assert page["next"] == (page["entries"][-1]["sequence"] if page["next"] else None)
            seen += page["entries"]
    assert [answer.result().status_code for answer in adding] == [201] * 60
    assert [entry["balance"] for entry in seen] == [str(n + 1) for n in range(60)], "in the order of the balances"
    assert one.ledger(account, limit=500).json()["entries"] == seen


def test_a_page_says_whether_there_is_another(callers: tuple[Caller, Caller]) -> None:
    one, _ = callers
    account = one.new_account("Prepaid")
    sequences = [one.top_up(account, "1", str(n)).json()["sequence"] for n in range(3)]
    assert one.ledger(account, limit=2).json()["next"] == sequences[1]
    assert one.ledger(account, limit=3).json()["next"] is None
    assert [entry["sequence"] for entry in one.ledger(account, after=sequences[1]).json()["entries"]] == sequences[2:]


def test_what_billing_wrote_is_shown_as_it_stands(callers: tuple[Caller, Caller], postgres_url: str) -> None:
    account = callers[0].new_account("Postpaid")
    refused = record_entry(postgres_url, account, kind="refusal", amount_micros=0, reason="CreditLimitReached")
    (entry,) = callers[0].ledger(account).json()["entries"]
    assert (entry["id"], entry["messageId"], entry["domain"]) == (str(refused), str(refused), "marketing")
    assert (entry["kind"], entry["amount"], entry["reason"]) == ("refusal", "0", "CreditLimitReached")


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[Ledger]:
    engine = database.connect(postgres_url)
    yield Ledger(engine, Health())
    engine.dispose()


def test_a_top_up_that_the_database_does_not_finish_is_unknown_and_added_once(
    callers: tuple[Caller, Caller], ledger: Ledger, postgres_url: str
) -> None:
    account = callers[0].new_account("Prepaid")
    top_up = TopUp("shop", account, "k", 1_000_000, "USD")
    with held(postgres_url, account), pytest.raises(ChangeUnknown):
        ledger.top_up(top_up, math.inf)
    with pytest.raises(ChangeUnknown):
        ledger.top_up(top_up, deadline=0)
    assert ledger.top_up(top_up, math.inf) == ledger.top_up(top_up, math.inf)
    assert callers[0].account(account).json()["balance"] == "1"
