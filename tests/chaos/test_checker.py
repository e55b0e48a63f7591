"""Every check sees its own promise broken, and a world in which all were kept is let pass."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from functools import reduce
from typing import Any, cast

import pytest

from chaos.checker import CHECKS, violations
from chaos.checks.acceptance import CONFLICT
from chaos.histories import AN_END, NOON, THREE_SEGMENTS, a_good_world, a_letter, a_record, an_id, asked_for
from chaos.judge import Judge
from chaos.observed import Billed, Call, End, Entry, Freeze, LogLine, Observed, Outcome, Payment, Progress, Receipt
from chaos.violations import Check
from chaos.world import World
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


def all_of(*breaks: Break) -> Break:
    """One after the other."""
    return lambda world: reduce(lambda broken, one: one(broken), breaks, world)


def ends_as(number: int, state: MessageState) -> Break:
    """In the database and in Redis."""
    return all_of(changed("rows", number, state=state), changed("remembered", number, state=state))


def accepted(number: int, outcome: Outcome = Outcome.OK) -> Break:
    """A message more, of which nothing but its request is known."""
    return lambda world: with_("sendings", replace(world.sendings[0], id=an_id(number), outcome=outcome))(world)


def later_in_the_ledger(world: Observed) -> Observed:
    """The first message should have been the last, and the third party had it so."""
    return changed("sendings", 2, seq=99)(swapped("calls", 2, 5)(world))


def a_letter_with(**changes: Any) -> Break:  # noqa: ANN401  fields of any kind
    """It says something else than its record did."""
    return changed("letters", 3, content=replace(a_record(3), **changes))


def asking(number: int, **changes: str) -> str:
    """What the third party is asked, in the good world or with changes."""
    return asked_for(next(one for one in a_good_world().sendings if _is(one, number)), **changes)


LATE = NOON + AN_END + timedelta(seconds=11)
LINE = LogLine("sink", '{"event": "%s", "level": "%s"}')
NEVER_CHARGED = a_letter(98, "billing-marketing", "OperationalError")
PUT_BACK = a_letter(7, "authentication")
PUT_BACK_AGAIN = Billed(("authentication", 2, 0), an_id(7), 20_000, replayed=True)
STRANGE = Entry(an_id(99), 99, "prepaid-1", EntryKind.TOP_UP, 0, 10_500)
BREAKS: dict[str, tuple[Check, Break]] = {
    "an acknowledged message is nowhere": (Check.LOST, accepted(98)),
    "an acknowledged message is put aside": (Check.LOST, all_of(accepted(98), with_("letters", NEVER_CHARGED))),
    "what was put aside, and is marked as put back, is never charged": (
        Check.LOST,
        all_of(accepted(98), with_("letters", NEVER_CHARGED), with_("markers", NEVER_CHARGED.place)),
    ),
    "a charged message is a dead letter": (Check.BOTH, with_("letters", a_letter(6, "billing-marketing"))),
    "a message is put aside for a store's sake": (Check.CAUSES, changed("letters", 3, error="OperationalError")),
    "a message is put aside that nobody refused": (Check.CAUSES, changed("calls", 3, refused=False)),
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
    "a charged message has no row": (Check.ROWS, without("rows", 7)),
    "a message has two rows": (Check.ROWS, twice("rows", 6)),
    "a message is left charged": (Check.ROWS, ends_as(4, MessageState.CHARGED)),
    "what may always be charged is late for billing": (Check.EXPIRIES, changed("sendings", 8, valid_for="")),
    "what may always be sent is late for the sink": (Check.EXPIRIES, changed("sendings", 9, valid_for="")),
    "billing gives up what has time": (Check.EXPIRIES, changed("entries", 8, recorded_at=NOON + AN_END / 2)),
    "a sink gives up what has time": (Check.EXPIRIES, changed("rows", 9, updated_at=NOON + AN_END / 2)),
    "billing charges what is late": (Check.EXPIRIES, changed("entries", 9, recorded_at=LATE)),
    "Redis is behind the row": (Check.REMEMBERED, changed("remembered", 6, state=MessageState.CHARGED)),
    "a refused message was sent": (Check.EFFECTS, changed("calls", 2, key=an_id(4), body=asking(4))),
    "a sent message never arrived": (Check.EFFECTS, changed("calls", 6, effective=False)),
    "a receipt changes nothing": (Check.RECEIPTS, ends_as(2, MessageState.SENT)),
    "a row says otherwise than its receipt": (Check.RECEIPTS, ends_as(6, MessageState.DELIVERED)),
    "receipts contradict each other": (Check.RECEIPTS, with_("receipts", Receipt(an_id(2), MessageState.FAILED))),
    "what nobody told of is delivered": (Check.RECEIPTS, ends_as(5, MessageState.DELIVERED)),
    **{
        f"the third party is asked for another {name}": (Check.ASKED, changed("calls", 6, body=asking(6, **{name: ""})))
        for name in ("id", "accountId", "domain", "to", "body")
    },
    "one key asks for two things": (
        Check.KEYS,
        with_("calls", Call(an_id(2), asking(2, validUntil="noon"), effective=False)),
    ),
    "an account's messages are charged out of order": (Check.LEDGER_ORDER, later_in_the_ledger),
    "an account's messages are sent out of order": (Check.EFFECT_ORDER, swapped("calls", 2, 5)),
    "a top-up counts twice": (Check.PAYMENTS, twice("payments", 1)),
    "a top-up is lost": (Check.PAYMENTS, with_("payments", Payment(an_id(8), "prepaid-1", 5, Outcome.OK))),
    "a refused top-up counts": (Check.PAYMENTS, changed("payments", 1, outcome=Outcome.FAIL)),
    "a top-up is somebody else's": (Check.PAYMENTS, changed("payments", 1, account="postpaid-1")),
    "a top-up is more than was paid": (Check.PAYMENTS, changed("payments", 1, micros=19_999)),
    "a top-up comes from nowhere": (Check.PAYMENTS, with_("entries", STRANGE)),
    "an account has more than its entries": (
        Check.BALANCES,
        lambda world: replace(
            world, accounts=tuple(replace(account, balance=account.balance + 1) for account in world.accounts)
        ),
    ),
    "a running balance is wrong": (Check.BALANCES, changed("entries", 5, balance=11_000)),
    "a charge is not the price": (Check.PRICES, changed("entries", 2, segments=1)),
    "a row tells another price": (Check.TOLD, changed("rows", 6, amount=20_001)),
    "an outcome tells another price": (Check.TOLD, changed("billed", 6, amount=20_001)),
    "what was refused is said to have cost something": (Check.TOLD, changed("rows", 4, amount=1)),
    "a refusal of somebody who could pay": (Check.LIMITS, changed("sendings", 4, body="Zq7")),
    "a refusal for a strange reason": (Check.LIMITS, changed("entries", 4, reason="Whim")),
    "credit beyond the limit": (
        Check.LIMITS,
        lambda world: replace(world, accounts=tuple(replace(one, credit_limit=19_999) for one in world.accounts)),
    ),
    "a charge in vain is kept": (
        Check.REVERSALS,
        all_of(ends_as(5, MessageState.FAILED), with_("receipts", Receipt(an_id(5), MessageState.FAILED))),
    ),
    "what was sent is paid back": (Check.REVERSALS, ends_as(3, MessageState.SENT)),
    "a domain topic has a message twice": (
        Check.REPEATED,
        with_("billed", Billed(("marketing", 1, 0), an_id(2), 1_000)),
    ),
    "a record is put aside twice": (
        Check.LETTERS,
        all_of(*[with_("letters", a_letter(6, "billing-marketing", CONFLICT, ours)) for ours in (1, 2)]),
    ),
    "a dead letter has lost its key": (Check.LOSSLESS, a_letter_with(key=None)),
    "a dead letter has lost its value": (Check.LOSSLESS, a_letter_with(value=b"")),
    "a dead letter has lost a header": (Check.LOSSLESS, a_letter_with(headers=())),
    "a dead letter is of no record": (Check.LOSSLESS, changed("letters", 3, original=None)),
    "a message is dead-lettered without a letter": (Check.BURIED, without("letters", 3)),
    "what was sent has a letter": (Check.BURIED, with_("letters", a_letter(7, "authentication", ours=70))),
    "what was put back, and not paid back, is not sent": (
        Check.BURIED,
        all_of(ends_as(7, MessageState.DEAD_LETTERED), changed("calls", 7, effective=False)),
    ),
    "a letter is put back twice": (Check.REPLAYS, with_("billed", PUT_BACK_AGAIN)),
    "a letter is marked twice": (Check.REPLAYS, with_("markers", PUT_BACK.place)),
    "a letter is put back twice, and marked twice": (
        Check.REPLAYS,
        all_of(with_("billed", PUT_BACK_AGAIN), with_("markers", PUT_BACK.place)),
    ),
    "a letter is marked and not put back": (
        Check.REPLAYS,
        lambda world: put(world, "billed", (one for one in world.billed if not one.replayed)),
    ),
    "a letter is put back and not marked": (Check.REPLAYS, lambda world: put(world, "markers", ())),
    "a marker without a letter": (Check.REPLAYS, with_("markers", ("marketing.dlq", 0, 99))),
    "a group is not done": (Check.OFFSETS, with_("progress", Progress("sink", "marketing", 1, committed=3, end=4))),
    "a transaction is open": (Check.TRANSACTIONS, with_("open_topics", "marketing")),
    "a processor ends by itself": (Check.ENDS, with_("ends", End("be-messaging-1", 0))),
    "a processor fails": (Check.ERRORS, with_("logs", replace(LINE, text=LINE.text % ("oops", "error")))),
    "a trace of a failure": (Check.ERRORS, with_("logs", replace(LINE, text="Traceback (most recent call last):"))),
    "a text in a log": (Check.PRIVACY, with_("logs", replace(LINE, text=LINE.text % (THREE_SEGMENTS, "info")))),
    "a number in a log": (Check.PRIVACY, with_("logs", replace(LINE, text=LINE.text % ("to 12025550199", "info")))),
    "a key in a log": (Check.PRIVACY, with_("logs", replace(LINE, text=LINE.text % ("load-key-7", "info")))),
}
ALSO: dict[str, set[Check]] = {
    "an acknowledged message is put aside": {Check.CAUSES},
    "what was put aside, and is marked as put back, is never charged": {Check.CAUSES, Check.REPLAYS},
    "a charged message is a dead letter": {Check.CAUSES},
    "a charged message has no row": {Check.EFFECTS},
    "what was sent is paid back": {Check.EFFECTS, Check.BURIED},
    "a record is put aside twice": {Check.CAUSES},
    "a letter is put back and not marked": {Check.BURIED},
}
"""What is changed alone contradicts more than one of the others."""


def test_a_world_in_which_every_promise_was_kept_is_let_pass() -> None:
    assert violations(a_good_world()) == []


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_promise_is_seen_and_no_other(name: str) -> None:
    check, broken = BREAKS[name]
    found = {violation.check for violation in violations(broken(a_good_world()))}
    assert found == {check} | ALSO.get(name, set())


def test_every_check_can_fail() -> None:
    assert {check for check, _ in BREAKS.values()} == set(CHECKS) == set(Check)


def test_what_is_unknown_may_be_there_or_not() -> None:
    world = changed("sendings", 6, outcome=Outcome.UNKNOWN)(a_good_world())
    assert violations(world) == []
    assert violations(accepted(98, Outcome.UNKNOWN)(world)) == []


def test_billing_may_have_been_frozen_before_it_charged_what_is_late() -> None:
    world = changed("entries", 9, recorded_at=LATE)(a_good_world())
    assert violations(with_("freezes", Freeze(NOON, NOON + AN_END))(world))
    assert violations(with_("freezes", Freeze(LATE, LATE + AN_END))(world))
    assert violations(with_("freezes", Freeze(NOON + AN_END, LATE))(world)) == []


def test_an_outcome_may_be_there_twice_where_kafka_has_left_out_the_end_of_a_transaction() -> None:
    world = twice("billed", 2)(a_good_world())
    place = next(one.place for one in world.billed if one.id == an_id(2))
    assert violations(replace(world, unmarked=(("elsewhere", 0),)))
    assert violations(replace(world, unmarked=(place[:2],))) == []


def test_what_kafka_left_out_once_excuses_nothing_that_comes_later() -> None:
    judge, repeat = Judge(cast(World, None), []), twice("billed", 2)
    place = next(one.place for one in a_good_world().billed if one.id == an_id(2))
    world = replace(repeat(a_good_world()), unmarked=(place[:2],))
    assert judge.news(world) == judge.news(world) == []
    assert judge.news(repeat(world))
    assert judge.news(replace(repeat(repeat(world)), unmarked=(place[:2], place[:2]))) == []


def test_a_replayed_letter_may_be_sent_after_its_successors() -> None:
    letter = a_letter(2, "marketing")
    waiting = all_of(swapped("calls", 2, 5), with_("letters", letter))(a_good_world())
    order = CHECKS[Check.EFFECT_ORDER]
    assert [*order(waiting)]
    assert not [*order(with_("markers", letter.place)(waiting))]
