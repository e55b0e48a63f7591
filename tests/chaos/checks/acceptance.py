"""Checks 1 to 4: what callers know against what the ledger, the rows and the dead letters have."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from chaos.observed import Observed, Outcome
from chaos.violations import Check, Violation, each
from messaging_api.account import EntryKind
from messaging_api.base import seconds
from messaging_api.message import MessageState

CONFLICT = "IdempotencyConflict"
_REFUSED = "Refused"
_CLOCKS_APART = timedelta(seconds=1)
_CHARGED_WITHIN = timedelta(seconds=10)
"""Billing looks at the clock, finds a connection to the database, which takes 7 s at most, and begins a transaction."""
_ENDS = {
    EntryKind.REFUSAL: {MessageState.REFUSED},
    EntryKind.EXPIRY: {MessageState.EXPIRED},
    EntryKind.CHARGE: {
        MessageState.SENT,
        MessageState.DELIVERED,
        MessageState.FAILED,
        MessageState.DEAD_LETTERED,
        MessageState.EXPIRED,
    },
}


def lost(world: Observed) -> Iterator[Violation]:
    """I1, first half: nothing in the load is a reason to put it aside instead."""
    found = _decided(world)
    missing = [sending for sending in world.sendings if sending.outcome is Outcome.OK and sending.id not in found]
    return each(Check.LOST, missing)


def both(world: Observed) -> Iterator[Violation]:
    """I1, second half. A conflict is another payload under the id of a message that was charged."""
    decided = _decided(world)
    final = (letter for letter in world.letters if letter.by_billing and letter.error != CONFLICT)
    return each(Check.BOTH, (letter for letter in final if letter.id in decided))


def causes(world: Observed) -> Iterator[Violation]:
    """A store that is away is none, and the load asks for nothing that could not be charged."""
    refused = {call.key for call in world.calls if call.refused}
    uncaused = (one for one in world.letters if one.by_billing or one.error != _REFUSED or one.id not in refused)
    return each(Check.CAUSES, uncaused)


def wrong_id(world: Observed) -> Iterator[Violation]:
    """A repeat could not be recognised."""
    wrong = (sending for sending in world.sendings if sending.answered not in ("", str(sending.id)))
    return each(Check.WRONG_ID, wrong)


def ghosts(world: Observed) -> Iterator[Violation]:
    """I3: a definite refusal is definite, and there is nothing that nobody has sent."""
    may_be = {sending.id for sending in world.sendings if sending.outcome is not Outcome.FAIL}
    found = {entry.message_id for entry in world.decisions} | {letter.id for letter in world.letters if letter.id}
    return each(Check.GHOST, found - may_be)


def entries(world: Observed) -> Iterator[Violation]:
    """I2; also of what is unknown."""
    counts = Counter(entry.message_id for entry in world.decisions)
    return each(Check.ENTRIES, (message for message, count in counts.items() if count > 1))


def rows(world: Observed) -> Iterator[Violation]:
    """The sink has stored what billing decided, and has finished it."""
    decided = {entry.id: entry for entry in world.decisions}
    found = Counter(row.id for row in world.rows)
    yield from each(Check.ROWS, (f"{key} has {found[key]} rows" for key in decided if found[key] != 1))
    yield from each(Check.ROWS, (f"{key} has no decision" for key in found if key not in decided))
    wrong = (row for row in world.rows if row.id in decided and row.state not in _ENDS[decided[row.id].kind])
    yield from each(Check.ROWS, wrong)


def expiries(world: Observed) -> Iterator[Violation]:
    """Neither billing nor a sink gives up what may still be sent, and billing does not charge what is late."""
    until = _valid_until(world)
    expired = [(one.id, one.recorded_at) for one in world.decisions if one.kind is EntryKind.EXPIRY]
    expired += [(row.id, row.updated_at) for row in world.rows if row.state is MessageState.EXPIRED]
    early = ((key, at) for key, at in expired if key not in until or not at or at < until[key] - _CLOCKS_APART)
    yield from each(Check.EXPIRIES, (f"{key}: at {at}, may be sent until {until.get(key)}" for key, at in early))
    charged = [(one.id, one.recorded_at) for one in world.decisions if one.kind is EntryKind.CHARGE and one.id in until]
    late = (
        (key, at)
        for key, at in charged
        if at and at > until[key] + _CHARGED_WITHIN + _frozen_meanwhile(world, until[key], at)
    )
    yield from each(Check.EXPIRIES, (f"{key}: charged at {at}, was to be sent until {until[key]}" for key, at in late))


def remembered(world: Observed) -> Iterator[Violation]:
    """Redis need not have a message, and what it was told while it was away it is told late."""
    states = {row.id: row.state for row in world.rows}
    wrong = (one for one in world.remembered if one.state is not states.get(one.id, one.state))
    return each(Check.REMEMBERED, (f"{one}: the row is {states[one.id]}" for one in wrong))


def _valid_until(world: Observed) -> dict[UUID, datetime]:
    """Of messages that have an end."""
    lasts = {sending.id: seconds(sending.valid_for) for sending in world.sendings if sending.valid_for}
    return {row.id: row.accepted_at + timedelta(seconds=lasts[row.id]) for row in world.rows if row.id in lasts}


def _frozen_meanwhile(world: Observed, began: datetime, ended: datetime) -> timedelta:
    """As long as billing may have stood still meanwhile at the most, after its look at the clock."""
    freezes = (one for one in world.freezes if one.began < ended and one.ended > began)
    return sum((one.ended - one.began for one in freezes), timedelta())


def _decided(world: Observed) -> set[UUID]:
    return {entry.message_id for entry in world.decisions if entry.message_id}
