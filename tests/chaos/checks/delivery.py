"""Checks 5 and 6: what the third party did, and in which order things happened."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from uuid import UUID

from chaos.observed import Observed, Outcome, Sending
from chaos.violations import Check, Violation, each
from messaging_api.message import MessageState

_TAKEN = (MessageState.SENT, MessageState.DELIVERED, MessageState.FAILED)


def effects(world: Observed) -> Iterator[Violation]:
    """The ids with an effect are those of the rows that say so."""
    done = {call.key for call in world.calls if call.effective}
    taken = {row.id for row in world.rows if row.state in _TAKEN}
    yield from each(Check.EFFECTS, (f"{key}: sent, says the row, and was not" for key in taken - done))
    yield from each(Check.EFFECTS, (f"{key}: was sent, and its row does not say so" for key in done - taken))


def keys(world: Observed) -> Iterator[Violation]:
    """A third party that looks at the key may answer a repeat without looking at the rest."""
    asked: dict[UUID, set[str]] = defaultdict(set)
    for call in world.calls:
        asked[call.key].add(call.body)
    return each(Check.KEYS, (f"{key}: {len(bodies)} requests" for key, bodies in asked.items() if len(bodies) > 1))


def ledger_order(world: Observed) -> Iterator[Violation]:
    """I4 at the ledger."""
    newest_first = sorted(world.decisions, key=lambda entry: -entry.sequence)
    at = {entry.message_id: entry.sequence for entry in newest_first if entry.message_id}
    return _out_of_order(Check.LEDGER_ORDER, world.sendings, at)


def effect_order(world: Observed) -> Iterator[Violation]:
    """I4 at the third party: by each message's first effect. What was put back comes when it comes."""
    put_back = {letter.id for letter in world.letters if letter.place in world.replayed}
    at: dict[UUID, int] = {}
    for number, call in enumerate(world.calls):
        if call.effective and call.key not in put_back:
            at.setdefault(call.key, number)
    return _out_of_order(Check.EFFECT_ORDER, world.sendings, at)


def _out_of_order(check: Check, sendings: Iterable[Sending], at: Mapping[UUID, int]) -> Iterator[Violation]:
    """Only between messages whose answers came one after the other; what is unknown may come at any time."""
    lanes: dict[tuple[str, str], list[Sending]] = defaultdict(list)
    for sending in sendings:
        if sending.ordered and sending.outcome is Outcome.OK and sending.id in at:
            lanes[sending.account, sending.domain].append(sending)
    for lane in lanes.values():
        lane.sort(key=lambda sending: sending.seq)
        wrong = ((one, other) for one, other in pairwise(lane) if at[one.id] > at[other.id])
        yield from each(check, (f"{one.account}: {one.seq} after {other.seq}" for one, other in wrong))
