"""The records that billing writes, pure: outcomes on the domain topic, dead letters. Called by `main`.

An outcome is told as the ledger's entry has it, and never rated anew.
"""

from datetime import datetime

from messaging_api.account import EntryKind
from messaging_api.message import (
    DOMAIN_HEADER,
    ID_HEADER,
    TRACE_HEADER,
    TYPE_HEADER,
    BilledMessage,
    BillingOutcome,
    Charge,
)
from messaging_api.money import amount
from messaging_api.processor import BillingConfig
from messaging_processors.billing.deciding import Emission
from messaging_processors.billing.handling import Letter
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
    headers = _headers(billed, emission.priced.record.headers, config, now)
    return Outgoing(config.output, billed.account_id.encode(), billed.model_dump_json().encode(), headers)


def letter(poison: Letter, config: BillingConfig, now: datetime) -> Outgoing:
    """The record for the dead-letter topic."""
    failure = Failure(poison.error, poison.why, first_failed_at=now, last_failed_at=now)
    return dead_letter(poison.record, failure, config.dead_letter_topic, config.processor)


def _headers(message: BilledMessage, received: Headers, config: BillingConfig, now: datetime) -> Headers:
    event = {
        "ce_specversion": "1.0",
        ID_HEADER: str(message.id),
        TYPE_HEADER: message.outcome.event_type,
        "ce_source": f"/{config.namespace}/{config.topology}/{config.processor}",
        "ce_time": now.isoformat(),
        "content-type": "application/json",
        DOMAIN_HEADER: message.domain,
    }
    trace = header(received, TRACE_HEADER)
    return tuple((name, text.encode()) for name, text in event.items()) + (((TRACE_HEADER, trace),) if trace else ())
