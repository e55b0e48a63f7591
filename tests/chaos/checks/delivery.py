"""Checks 5 and 6: what the third party was asked, did and said, and in which order things happened."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from uuid import UUID

from chaos.observed import Call, Observed, Outcome, Sending
from chaos.violations import Check, Violation, each
from messaging_api.message import MessageState

_TOLD = (MessageState.DELIVERED, MessageState.FAILED)
_TAKEN = (MessageState.SENT, *_TOLD)


def effects(world: Observed) -> Iterator[Violation]:
    """The ids with an effect are those of the rows that say so."""
    done = {call.key for call in world.calls if call.effective}
    taken = {row.id for row in world.rows if row.state in _TAKEN}
    yield from each(Check.EFFECTS, (f"{key}: sent, says the row, and was not" for key in taken - done))
    yield from each(Check.EFFECTS, (f"{key}: was sent, and its row does not say so" for key in done - taken))


def receipts(world: Observed) -> Iterator[Violation]:
    """All of a message say the same, its row says so, too, and none says it by itself."""
    states = {row.id: row.state for row in world.rows}
    wrong = (one for one in world.receipts if states.get(one.id) is not one.state)
    yield from each(Check.RECEIPTS, (f"{one}: the row is {states.get(one.id)}" for one in wrong))
    told = {receipt.id for receipt in world.receipts}
    unfounded = (row for row in world.rows if row.state in _TOLD and row.id not in told)
    yield from each(Check.RECEIPTS, (f"{row}: nobody said so" for row in unfounded))


def asked(world: Observed) -> Iterator[Violation]:
    """For what its sender wanted, and for nothing else."""
    sent = {sending.id: sending for sending in world.sendings}
    wrong = (call for call in world.calls if call.key in sent and not _asks_for(call, sent[call.key]))
    return each(Check.ASKED, (f"{call}: wanted {sent[call.key]}" for call in wrong))


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


def _asks_for(call: Call, sending: Sending) -> bool:
    asked = json.loads(call.body)
    found = [asked.get(name) for name in ("id", "accountId", "domain", "to", "body")]
    return found == [str(sending.id), sending.account, sending.domain, sending.to, sending.body]


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
