"""Every check sees its own promise broken, and a world in which all were kept is let pass."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from chaos.checker import CHECKS, violations
from chaos.histories import THREE_SEGMENTS, a_good_world, an_id
from chaos.observed import Billed, Call, Entry, Letter, LogLine, Observed, Outcome, Payment, Progress
from chaos.violations import Check
from messaging_api.account import EntryKind
from messaging_api.message import MessageState

Break = Callable[[Observed], Observed]


def put(world: Observed, name: str, things: Iterable[object]) -> Observed:
    changes: dict[str, Any] = {name: tuple(things)}
    return replace(world, **changes)


def changed(name: str, number: int, **changes: Any) -> Break:  # noqa: ANN401  fields of any kind
    """The thing of that kind whose id ends with the number is otherwise."""

    return lambda world: put(
        world, name, (replace(one, **changes) if _is(one, number) else one for one in getattr(world, name))
    )


def without(name: str, number: int) -> Break:
    return lambda world: put(world, name, (one for one in getattr(world, name) if not _is(one, number)))


def twice(name: str, number: int) -> Break:
    return lambda world: put(
        world, name, (copy for one in getattr(world, name) for copy in [one] * (1 + _is(one, number)))
    )


def with_(name: str, thing: object) -> Break:
    return lambda world: put(world, name, (*getattr(world, name), thing))


def swapped(name: str, first: int, second: int) -> Break:
    """Two things have changed places."""

    def broken(world: Observed) -> Observed:
        things = list(getattr(world, name))
        here, there = (next(at for at, one in enumerate(things) if _is(one, number)) for number in (first, second))
        things[here], things[there] = things[there], things[here]
        return put(world, name, things)

    return broken


def _is(thing: Any, number: int) -> bool:  # noqa: ANN401  whatever has an id
    return bool((thing.key if hasattr(thing, "effective") else thing.id) == an_id(number))


def later_in_the_ledger(world: Observed) -> Observed:
    """The first message should have been the last, and the third party had it so."""
    return changed("sendings", 2, seq=99)(swapped("calls", 2, 5)(world))


LINE = LogLine("sink", '{"event": "%s", "level": "%s"}')
CONTRADICTION = Letter(("billing.dlq", 0, 8), "billing-authentication", "UnknownAccount", ("prepaid", 0, 8), an_id(6))
STRANGE = Entry(an_id(99), 99, "prepaid-1", EntryKind.TOP_UP, 0, 10_500)
BREAKS: dict[str, tuple[Check, Break]] = {
    "an acknowledged message is nowhere": (Check.LOST, without("letters", 7)),
    "a charged message is a dead letter": (Check.BOTH, with_("letters", CONTRADICTION)),
    "another id was answered": (Check.WRONG_ID, changed("sendings", 2, answered=str(an_id(3)))),
    "a refused request was charged": (Check.GHOST, changed("sendings", 6, outcome=Outcome.FAIL)),
    "a message is in the ledger twice": (
        Check.ENTRIES,
        with_(
            "entries",
            replace(
                STRANGE,
                id=an_id(4),
                kind=EntryKind.REFUSAL,
                message_id=an_id(4),
                domain="marketing",
                reason="InsufficientBalance",
            ),
        ),
    ),
    "a charged message has no row": (Check.ROWS, without("rows", 6)),
    "a message has two rows": (Check.ROWS, twice("rows", 6)),
    "a message is left charged": (Check.ROWS, changed("rows", 4, state=MessageState.CHARGED)),
    "what may always be charged is late for billing": (Check.EXPIRIES, changed("sendings", 8, valid_for="")),
    "what may always be sent is late for the sink": (Check.EXPIRIES, changed("sendings", 9, valid_for="")),
    "a refused message was sent": (Check.EFFECTS, changed("calls", 2, key=an_id(4))),
    "a sent message never arrived": (Check.EFFECTS, changed("calls", 6, effective=False)),
    "one key asks for two things": (Check.KEYS, with_("calls", Call(an_id(2), "another", effective=False))),
    "an account's messages are charged out of order": (Check.LEDGER_ORDER, later_in_the_ledger),
    "an account's messages are sent out of order": (Check.EFFECT_ORDER, swapped("calls", 2, 5)),
    "a top-up counts twice": (Check.PAYMENTS, twice("payments", 1)),
    "a top-up is lost": (Check.PAYMENTS, with_("payments", Payment(an_id(8), "prepaid-1", 5, Outcome.OK))),
    "a refused top-up counts": (Check.PAYMENTS, changed("payments", 1, outcome=Outcome.FAIL)),
    "a top-up comes from nowhere": (Check.PAYMENTS, with_("entries", STRANGE)),
    "an account has more than its entries": (
        Check.BALANCES,
        lambda world: replace(
            world, accounts=tuple(replace(account, balance=account.balance + 1) for account in world.accounts)
        ),
    ),
    "a running balance is wrong": (Check.BALANCES, changed("entries", 5, balance=11_000)),
    "a charge is not the price": (Check.PRICES, changed("entries", 2, segments=1)),
    "a refusal of somebody who could pay": (Check.LIMITS, changed("sendings", 4, body="Zq7")),
    "a refusal for a strange reason": (Check.LIMITS, changed("entries", 4, reason="Whim")),
    "credit beyond the limit": (
        Check.LIMITS,
        lambda world: replace(world, accounts=tuple(replace(one, credit_limit=19_999) for one in world.accounts)),
    ),
    "a charge in vain is kept": (Check.REVERSALS, changed("rows", 5, state=MessageState.FAILED)),
    "what was sent is paid back": (Check.REVERSALS, changed("rows", 3, state=MessageState.SENT)),
    "a domain topic has a message twice": (
        Check.REPEATED,
        with_("billed", Billed(("marketing", 1, 0), an_id(2), "charged")),
    ),
    "a record is put aside twice": (Check.LETTERS, twice("letters", 7)),
    "a group is not done": (Check.OFFSETS, with_("progress", Progress("sink", "marketing", 1, committed=3, end=4))),
    "a transaction is open": (Check.TRANSACTIONS, with_("open_topics", "marketing")),
    "a processor fails": (Check.ERRORS, with_("logs", replace(LINE, text=LINE.text % ("oops", "error")))),
    "a trace of a failure": (Check.ERRORS, with_("logs", replace(LINE, text="Traceback (most recent call last):"))),
    "a text in a log": (Check.PRIVACY, with_("logs", replace(LINE, text=LINE.text % (THREE_SEGMENTS, "info")))),
    "a number in a log": (Check.PRIVACY, with_("logs", replace(LINE, text=LINE.text % ("to 12025550199", "info")))),
    "a key in a log": (Check.PRIVACY, with_("logs", replace(LINE, text=LINE.text % ("load-key-7", "info")))),
}
ALSO = dict.fromkeys(("a charged message has no row", "what was sent is paid back"), Check.EFFECTS)
"""A row that is changed alone contradicts the third party as well."""


def test_a_world_in_which_every_promise_was_kept_is_let_pass() -> None:
    assert violations(a_good_world()) == []


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_promise_is_seen_and_no_other(name: str) -> None:
    check, broken = BREAKS[name]
    found = {violation.check for violation in violations(broken(a_good_world()))}
    assert found == {check, ALSO.get(name, check)}


def test_every_check_can_fail() -> None:
    assert {check for check, _ in BREAKS.values()} == set(CHECKS) == set(Check)


def test_what_is_unknown_may_be_there_or_not() -> None:
    world = changed("sendings", 6, outcome=Outcome.UNKNOWN)(a_good_world())
    assert violations(world) == []
    assert violations(changed("sendings", 7, outcome=Outcome.UNKNOWN)(without("letters", 7)(world))) == []


def test_a_replayed_letter_may_have_become_a_charge() -> None:
    world = changed("letters", 7, id=an_id(6))(changed("sendings", 7, outcome=Outcome.UNKNOWN)(a_good_world()))
    assert violations(replace(world, replayed=frozenset({world.letters[-1].place}))) == []


def test_a_replayed_letter_may_be_sent_after_its_successors() -> None:
    world = swapped("calls", 2, 5)(a_good_world())
    letter = Letter(("marketing.dlq", 0, 2), "marketing", "Refused", ("marketing", 0, 2), an_id(2))
    put_back = replace(with_("letters", letter)(world), replayed=frozenset({letter.place}))
    assert violations(put_back) == []
    assert {violation.check for violation in violations(replace(put_back, replayed=frozenset()))} == {
        Check.EFFECT_ORDER
    }
