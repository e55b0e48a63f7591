"""Whom billing charges: accounts' rules, one entry a message for ever, free segments; each decision on those before."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_api.account import EntryKind
from messaging_api.message import AcceptedMessage, DeadLetterHeader
from messaging_api.tariff import Refund, Tariff
from messaging_api.topology import BillingType
from messaging_processors.billing.deciding import Account, Books, Decided, Emission, Entry, Repeat, decide
from messaging_processors.billing.handling import Letter, Priced
from messaging_processors.runtime.records import Headers
from testkit.deciding import MONTH, NOW, a_priced, an_entry, books, moved
from testkit.samples import TENANT, an_accepted_message

UNIT = 1_000_000
TARIFF = Tariff(currency="USD")


def decided(items: Sequence[Priced | Letter], before: Books, tariff: Tariff = TARIFF, room: int = 100) -> Decided:
    return decide(items, before, tariff, NOW, room)


def entries(found: Decided) -> list[Entry]:
    return [one.entry for one in found.decisions if isinstance(one, Emission)]


def prepaid(account: str = "account-1") -> AcceptedMessage:
    return an_accepted_message(account, billing_type=BillingType.PREPAID)


def verdict(message: AcceptedMessage, account: Account, price: str = "1") -> str:
    """Charged, or why not."""
    (entry,) = entries(decided([a_priced(message, price)], books({message.account_id: account})))
    return entry.reason or entry.kind.value


@pytest.mark.parametrize(
    ("balance", "price", "said"),
    [
        (UNIT, "1", "charge"),
        (UNIT - 1, "1", "InsufficientBalance"),
        (0, "0.000001", "InsufficientBalance"),
        (0, "0", "charge"),
        (-5 * UNIT, "0", "charge"),
        (-5 * UNIT, "0.000001", "InsufficientBalance"),
    ],
)
def test_prepaid_never_falls_below_zero_and_what_is_free_always_passes(balance: int, price: str, said: str) -> None:
    assert verdict(prepaid(), Account("USD", balance, None), price) == said


@pytest.mark.parametrize(
    ("balance", "limit", "price", "said"),
    [
        (0, None, "999999999999", "charge"),
        (0, UNIT, "1", "charge"),
        (-1, UNIT, "1", "CreditLimitReached"),
        (0, 0, "0.000001", "CreditLimitReached"),
        (UNIT, 0, "1", "charge"),
        (-2 * UNIT, UNIT, "0", "charge"),
    ],
)
def test_postpaid_falls_to_its_credit_limit(balance: int, limit: int | None, price: str, said: str) -> None:
    assert verdict(an_accepted_message(), Account("USD", balance, limit), price) == said


def test_the_type_that_counts_is_the_message_s() -> None:
    account = Account("USD", 0, UNIT)
    assert verdict(prepaid(), account) == "InsufficientBalance"
    assert verdict(an_accepted_message(), account) == "charge"


def test_another_currency_and_a_time_that_is_over_cost_nothing() -> None:
    account = Account("EUR", UNIT, None)
    late = an_accepted_message().model_copy(update={"valid_until": NOW})
    early = an_accepted_message().model_copy(update={"valid_until": NOW + timedelta(microseconds=1)})
    found = decided([a_priced(one, "1") for one in (late, early)], books({"account-1": account}))
    said = [(one.kind, one.reason, one.amount_micros, one.currency, one.balance_micros) for one in entries(found)]
    assert said == [
        (EntryKind.EXPIRY, "Expired", 0, "EUR", UNIT),
        (EntryKind.REFUSAL, "CurrencyMismatch", 0, "EUR", UNIT),
    ]
    assert found.books.accounts == {(TENANT, "account-1"): account}


def test_an_account_that_nobody_knows_is_a_dead_letter() -> None:
    (letter,) = decided([a_priced(an_accepted_message("nobody"))], books({})).decisions
    assert isinstance(letter, Letter)
    assert (letter.error, letter.why) == (
        "UnknownAccount",
        "tenant shop has no account nobody; create it, then replay this",
    )


def test_what_is_beyond_the_ledger_is_a_dead_letter() -> None:
    dear = a_priced(an_accepted_message(), "999999999999.999999")
    dearer = a_priced(an_accepted_message(), "999999999999.999999", "0.000001")
    lowest = {"account-1": Account("USD", -(2**63) + 10**18 - 1, None)}
    assert [type(one) for one in decided([dear], books(lowest)).decisions] == [Emission]
    assert [type(one) for one in decided([dearer], books({"account-1": Account("USD", 0, None)})).decisions] == [Letter]
    (_, letter) = decided([dear, a_priced(an_accepted_message(), "0.000001")], books(lowest)).decisions
    assert isinstance(letter, Letter)
    assert letter.error == "AmountTooLarge"


def test_each_decision_stands_on_those_before_it() -> None:
    messages = [a_priced(prepaid(), price) for price in ("2", "2", "1", "0", "0.5")]
    found = decided(messages, books({"account-1": Account("USD", 3 * UNIT, None)}))
    assert [(one.amount_micros, one.balance_micros, one.reason) for one in entries(found)] == [
        (-2 * UNIT, UNIT, ""),
        (0, UNIT, "InsufficientBalance"),
        (-UNIT, 0, ""),
        (0, 0, ""),
        (0, 0, "InsufficientBalance"),
    ]
    assert found.books.accounts == {(TENANT, "account-1"): Account("USD", 0, None)}


def test_the_decision_of_an_earlier_attempt_is_told_again_whatever_it_would_be_now() -> None:
    priced = a_priced(prepaid("gone"), "5")
    entry = an_entry(priced)
    assert decided([priced], books({}, (entry,))).decisions == [Emission(priced, entry, again=True)]


def test_a_repeat_elsewhere_tells_nothing() -> None:
    priced = a_priced(per_message="1")
    again = moved(priced)
    before = books({"account-1": Account("USD", 0, None)})
    assert decided([again], replace(before, entries={priced.message.id: an_entry(priced)})).decisions == [Repeat(again)]
    found = decided([priced, again], before)
    assert [type(one) for one in found.decisions] == [Emission, Repeat]
    assert found.books.accounts == {(TENANT, "account-1"): Account("USD", -UNIT, None)}


def test_what_is_put_back_from_the_dead_letters_is_told_whoever_charged_it_before() -> None:
    """It may have become one after it was charged, and nobody heard of that."""
    attempted: Headers = ((DeadLetterHeader.ATTEMPTS.value, b"1"),)
    charged = a_priced(per_message="1")
    put_back = replace(charged, record=replace(moved(charged).record, headers=attempted))
    entry = an_entry(charged)
    assert decided([put_back], books({}, (entry,))).decisions == [Emission(put_back, entry, again=True)]


@pytest.mark.parametrize("field", ["account_id", "domain", "to", "body"])
def test_another_message_under_the_same_id_is_a_dead_letter(field: str) -> None:
    """Beside the first one in a batch, and after it."""
    first = a_priced()
    other = a_priced(first.message.model_copy(update={field: "another"}))
    accounts = {name: Account("USD", 0, None) for name in ("account-1", "another")}
    for items, before in (
        ([first, other], books(accounts)),
        ([other], books(accounts, (an_entry(first),))),
    ):
        letter = decided(items, before).decisions[-1]
        assert isinstance(letter, Letter)
        assert letter.error == "IdempotencyConflict"


def test_another_type_or_time_is_the_same_message() -> None:
    first = a_priced()
    later = {"billing_type": BillingType.PREPAID, "accepted_at": NOW, "valid_until": NOW}
    again = a_priced(first.message.model_copy(update=later))
    assert decided([again], books({}, (an_entry(first),))).decisions == [Repeat(again)]


def test_the_id_of_a_top_up_is_no_message_s() -> None:
    priced = a_priced()
    entry = replace(an_entry(priced), kind=EntryKind.TOP_UP, payload_hash=None)
    assert [type(one) for one in decided([priced], books({}, (entry,))).decisions] == [Letter]


def test_free_segments_waive_the_price_of_segments_and_not_the_fee() -> None:
    tariff = Tariff(currency="USD", free_segments=5)
    messages = [a_priced(None, "1", "0.1", count) for count in (3, 3, 3)]
    found = decided(messages, books({"account-1": Account("USD", 0, None)}), tariff)
    assert [(one.amount_micros, one.segments, one.free_segments) for one in entries(found)] == [
        (-1_000_000, 3, 3),
        (-1_100_000, 3, 2),
        (-1_300_000, 3, 0),
    ]
    assert found.books.used == {(TENANT, "account-1", "marketing", MONTH): 5}


def test_free_segments_are_an_account_s_a_domain_s_and_a_month_s() -> None:
    tariff = Tariff(currency="USD", free_segments=1)
    other = an_accepted_message("account-2")
    messages = [
        a_priced(None, "0", "1"),
        a_priced(other, "0", "1"),
        a_priced(an_accepted_message(domain="authentication"), "0", "1"),
        replace(a_priced(None, "0", "1"), month=date(2030, 7, 1)),
    ]
    accounts = {name: Account("USD", 0, None) for name in ("account-1", "account-2")}
    found = decided(messages, books(accounts), tariff)
    assert [one.free_segments for one in entries(found)] == [1, 1, 1, 1]
    assert len(found.books.used) == 4


def test_what_is_not_charged_uses_up_no_free_segments() -> None:
    tariff = Tariff(currency="USD", free_segments=9)
    refused = a_priced(prepaid(), "1", segments=4)
    late = a_priced(an_accepted_message().model_copy(update={"valid_until": NOW}), segments=4)
    found = decided([refused, late], books({"account-1": Account("USD", 0, None)}), tariff)
    assert [(one.segments, one.free_segments) for one in entries(found)] == [(4, 0), (4, 0)]
    assert found.books.used == {}


def test_fewer_free_segments_than_were_used_up_are_none() -> None:
    used = {(TENANT, "account-1", "marketing", MONTH): 9}
    before = books({"account-1": Account("USD", 0, None)}, used=used)
    found = decided([a_priced(per_segment="1")], before, Tariff(currency="USD", free_segments=5))
    assert [one.amount_micros for one in entries(found)] == [-UNIT]
    assert found.books.used == used


@pytest.mark.parametrize(("refund", "refundable"), [(Refund.ON_FAILURE, 1), (Refund.NEVER, 0)])
def test_only_a_charge_is_refundable_and_only_where_the_tariff_says_so(refund: Refund, refundable: int) -> None:
    tariff = Tariff(currency="USD", refund=refund)
    messages = [a_priced(prepaid(), price) for price in ("1", "1")]
    found = decided(messages, books({"account-1": Account("USD", UNIT, None)}), tariff)
    assert [one.refundable for one in entries(found)] == [refundable, 0]


def test_it_ends_before_the_first_dead_letter_without_room() -> None:
    poison = [Letter(a_priced().record, "InvalidMessage", "why") for _ in range(3)]
    items: list[Priced | Letter] = [poison[0], a_priced(), poison[1], a_priced(), poison[2], a_priced()]
    accounts = books({"account-1": Account("USD", 0, None)})
    assert [len(decided(items, accounts, room=room).decisions) for room in range(4)] == [0, 2, 4, 6]


def test_letters_that_callers_cause_need_no_room() -> None:
    first = a_priced()
    other = a_priced(first.message.model_copy(update={"body": "another"}))
    accounts = books({"account-1": Account("USD", 0, None)})
    assert len(decided([first, other, a_priced()], accounts, room=0).decisions) == 3


prices = st.integers(0, 5 * UNIT).map(lambda micros: f"{micros / UNIT:.6f}")
some_messages = st.lists(st.tuples(st.sampled_from(["account-1", "account-2"]), st.booleans(), prices), max_size=20)


@given(some_messages, st.integers(0, 20), st.integers(-UNIT, 10 * UNIT), st.integers(0, 5 * UNIT))
def test_cut_anywhere_it_decides_the_same_and_balances_are_the_sum_of_entries(
    messages: list[tuple[str, bool, str]], cut: int, balance: int, limit: int
) -> None:
    items = [a_priced(prepaid(name) if paid else an_accepted_message(name), price) for name, paid, price in messages]
    accounts = {name: Account("USD", balance, limit) for name in ("account-1", "account-2")}
    whole = decided(items, books(accounts))
    first = decided(items[:cut], books(accounts))
    second = decided(items[cut:], first.books)
    assert (whole.decisions, whole.books) == (first.decisions + second.decisions, second.books)
    for (_, name), after in whole.books.accounts.items():
        mine = [one for one in entries(whole) if one.account_id == name]
        assert after.balance == balance + sum(one.amount_micros for one in mine)
        assert after.balance >= min(balance, -limit)
        assert [one.balance_micros for one in mine] == running_sums(balance, mine)


def running_sums(start: int, mine: list[Entry]) -> list[int]:
    found: list[int] = []
    for one in mine:
        start += one.amount_micros
        found.append(start)
    return found
