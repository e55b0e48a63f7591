"""What a record is: a message to be charged, poison, or nobody's business here. Pure; called by `main`.

Promise: of all billing processors of a topic exactly one answers for a record, whatever the record looks like.
"""

from dataclasses import dataclass
from datetime import date

from pydantic import ValidationError

from messaging_api.message import DOMAIN_HEADER, AcceptedMessage, payload_hash
from messaging_api.processor import BillingConfig
from messaging_processors.billing.rating import Price, Rates
from messaging_processors.billing.segments import segments
from messaging_processors.runtime.records import OUR_FAULT, Record, explain, fault_at, header

CONFLICT = "IdempotencyConflict"


@dataclass(frozen=True, slots=True)
class Priced:
    """A message, and what it costs where its account can pay."""

    record: Record
    message: AcceptedMessage
    payload_hash: bytes
    segments: int
    price: Price
    month: date
    """The first day, UTC, of the month in which it was accepted."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that can never be charged, and why."""

    record: Record
    error: str
    why: str

    @property
    def is_callers(self) -> bool:
        """Whether a caller brought it about, who must not stop others' messages: it says nothing of this version."""
        return self.error == CONFLICT


def handle(record: Record, config: BillingConfig, rates: Rates) -> Priced | Letter | None:
    """What to do about one record, None when it is another processor's.

    The header decides, before the value is parsed: most records are of other domains.
    """
    domain = (header(record.headers, DOMAIN_HEADER) or b"").decode(errors="replace")
    if domain == config.domain:
        return _priced(record, config, rates)
    if domain in config.domains or record.topic not in config.unrouted:
        return None
    return Letter(record, "UnknownDomain", "the domain header is missing, doubled or not declared")


def _priced(record: Record, config: BillingConfig, rates: Rates) -> Priced | Letter:
    try:
        message = AcceptedMessage.model_validate_json(record.value or b"")
    except ValidationError as error:
        return Letter(record, "InvalidMessage", explain(error))
    try:
        return _rated(record, message, config, rates)
    except Exception as error:  # noqa: BLE001  whatever it is, it would come again, and stop all that is behind it
        return Letter(record, OUR_FAULT, fault_at(error))


def _rated(record: Record, message: AcceptedMessage, config: BillingConfig, rates: Rates) -> Priced | Letter:
    if message.domain != config.domain:
        return Letter(record, "WrongDomain", f"header {config.domain}, value {message.domain}")
    price = rates.price(message.to, message.accepted_at)
    month = message.accepted_at.date().replace(day=1)
    return Priced(record, message, payload_hash(message), segments(message.body), price, month)
