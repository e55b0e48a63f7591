"""The records that billing writes, pure: outcomes on the domain topic, dead letters. Called by `main`.

An outcome is told as the ledger's entry has it, and never rated anew.
"""

from datetime import datetime

from messaging_api.account import EntryKind
from messaging_api.message import (
    TRACE_HEADER,
    BilledMessage,
    BillingOutcome,
    Charge,
)
from messaging_api.money import amount
from messaging_api.processor import BillingConfig
from messaging_processors.billing.deciding import Emission
from messaging_processors.billing.handling import Letter
from messaging_processors.runtime.events import Event
from messaging_processors.runtime.records import Failure, Headers, Outgoing, dead_letter, header

_OUTCOMES = {
    EntryKind.CHARGE: BillingOutcome.CHARGED,
    EntryKind.REFUSAL: BillingOutcome.REFUSED,
    EntryKind.EXPIRY: BillingOutcome.EXPIRED,
}


def outcome(emission: Emission, config: BillingConfig, now: datetime) -> Outgoing:
    """The record for the domain topic."""
    entry = emission.entry
    billed = BilledMessage(
        **emission.priced.message.__dict__,
        outcome=_OUTCOMES[entry.kind],
        reason=entry.reason,
        segments=entry.segments,
        charge=Charge(amount=amount(-entry.amount_micros), currency=entry.currency),
    )
    event = _event(billed, emission.priced.record.headers, config, now)
    return Outgoing(config.output, billed.account_id.encode(), billed.model_dump_json().encode(), event.headers)


def letter(poison: Letter, config: BillingConfig, now: datetime) -> Outgoing:
    """The record for the dead-letter topic."""
    failure = Failure(poison.error, poison.why, first_failed_at=now, last_failed_at=now)
    return dead_letter(poison.record, failure, config.dead_letter_topic, config.processor)


def _event(message: BilledMessage, received: Headers, config: BillingConfig, now: datetime) -> Event:
    source = f"/{config.namespace}/{config.topology}/{config.processor}"
    trace = header(received, TRACE_HEADER)
    return Event(message.id, message.outcome.event_type, source, now, message.domain, trace)
