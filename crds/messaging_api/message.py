"""Messages on the wire: HTTP bodies, Kafka values and headers.

Kafka records carry the CloudEvents 1.0 Kafka binding in binary mode (`ce_*` headers), the key is the account id
(order per account), the value is JSON.
"""

from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated
from uuid import UUID, uuid5

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field
from pydantic_core import PydanticCustomError

from messaging_api.access import Tenant
from messaging_api.account import AccountId
from messaging_api.base import Currency, Domain, Duration, Model, Money
from messaging_api.topology import BillingType

PhoneNumber = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$", description="E.164, with the plus sign.")]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("moment", "outside of the calendar once it is UTC") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""Of any offset on the wire; PostgreSQL takes none beyond 16 hours."""
ACCEPTED_TYPE = "dev.messagingtopology.message.accepted"
RECEIPT_TYPE = "dev.messagingtopology.message.receipt"
ID_HEADER = "ce_id"
TYPE_HEADER = "ce_type"
IDEMPOTENCY_HEADER = "Idempotency-Key"
DOMAIN_HEADER = "domain"
TRACE_HEADER = "traceparent"
DEAD_LETTER_PREFIX = "dlq_"
"""Headers of that beginning are ours: a record's own cannot use them."""


IdempotencyKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Visible ASCII characters. A repeat with the same key takes effect once.",
    ),
]


class DeadLetterHeader(StrEnum):
    """What is added to a record that is put aside: why, and where it comes from. Added last, so the last one counts."""

    PROCESSOR = "dlq_processor"
    ERROR_CLASS = "dlq_error_class"
    ERROR_MESSAGE = "dlq_error_message"
    ATTEMPTS = "dlq_attempts"
    TOPIC = "dlq_topic"
    PARTITION = "dlq_partition"
    OFFSET = "dlq_offset"
    FIRST_FAILED_AT = "dlq_first_failed_at"
    LAST_FAILED_AT = "dlq_last_failed_at"
    HEADERS_LOST = "dlq_headers_lost"
    """The record's own headers could not be read."""
    REPLAYED = "dlq_replayed"
    """Alone, on a record without a value, in a dead-letter topic: the letter at that offset of the same partition went
    back to its source, in the transaction that wrote this."""


class MessageState(StrEnum):
    """States only move forward:

    accepted → charged → sent → delivered | failed
    accepted → refused | expired
    charged → expired | dead-lettered (→ charged, when its dead letter is put back)
    """

    ACCEPTED = "accepted"
    CHARGED = "charged"
    REFUSED = "refused"
    """Not charged, not sent; the reason says why."""
    EXPIRED = "expired"
    """Its time was over before it was sent."""
    SENT = "sent"
    """The third party took it."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """The third party's receipt says that it never arrived."""
    DEAD_LETTERED = "dead-lettered"

    @property
    def rank(self) -> int:
        """A state may only be replaced by one of a higher rank."""
        return _RANKS[self]


_RANKS = {MessageState.ACCEPTED: 0, MessageState.CHARGED: 1, MessageState.DELIVERED: 3, MessageState.FAILED: 3}
_RANKS |= {state: 2 for state in MessageState if state not in _RANKS}


class MessageRequest(Model):
    """The body of `POST /v1/messages`."""

    account_id: AccountId
    domain: Domain
    to: PhoneNumber
    body: Annotated[str, Field(min_length=1, max_length=1600, pattern=r"^[^\x00]*$")]  # PostgreSQL stores no NUL
    valid_for: Annotated[
        Duration | None, Field(description="After that the message is not sent any more; else its domain's own time.")
    ] = None


class MessageView(Model):
    """What `POST /v1/messages` (202) and `GET /v1/messages/{id}` answer, and what Redis holds, byte for byte."""

    id: UUID
    state: MessageState
    reason: str = ""


class ReceiptStatus(StrEnum):
    """How a message that was sent ended."""

    DELIVERED = "delivered"
    FAILED = "failed"


class ReceiptRequest(Model):
    """The body of `POST /v1/receipts`: what the provider was told of a message, and what became of it."""

    id: UUID
    account_id: AccountId
    domain: Domain
    status: ReceiptStatus
    reason: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] = ""


class _Recorded(Model):
    """The value of a Kafka record. Fields of a newer version are passed over, so that a rollout breaks nobody."""

    model_config = ConfigDict(extra="ignore")


class Receipt(ReceiptRequest, _Recorded):
    """A receipt on a domain topic, keyed by the account like the message itself."""

    received_at: datetime


class AcceptedMessage(_Recorded):
    """The value on the Postpaid and Prepaid topics. A message keeps the billing type that it was accepted with."""

    id: UUID
    tenant: Tenant
    account_id: AccountId
    billing_type: BillingType
    domain: Domain
    to: PhoneNumber
    body: str
    accepted_at: Moment
    valid_until: Moment | None = None


class Charge(Model):
    """What the message cost: an exact decimal and its ISO 4217 currency; 0 where it was not charged."""

    amount: Money
    currency: Currency


class BillingOutcome(StrEnum):
    """What billing decided; the record's `ce_type` ends with it."""

    CHARGED = "charged"
    REFUSED = "refused"
    EXPIRED = "expired"

    @property
    def event_type(self) -> str:
        """The CloudEvents type of its record."""
        return f"dev.messagingtopology.message.{self}"


class BilledMessage(AcceptedMessage):
    """The value on the domain topics. Only a charged one is sent; the others are stored, to be seen."""

    outcome: BillingOutcome
    reason: str = ""
    segments: int
    charge: Charge


_MESSAGE_IDS = UUID("6c0a8f6e-8f0b-5f0e-9a53-1d2f0c3b7a41")


def idempotent_id(tenant: Tenant, key: str) -> UUID:
    """The id of whatever `tenant` asks for under this `Idempotency-Key`, for ever the same (RFC 9562, version 5)."""
    return uuid5(_MESSAGE_IDS, f"{tenant}\n{key}")


def payload_hash(message: AcceptedMessage) -> bytes:
    """What a repeat under the same `Idempotency-Key` must have in common with the first: SHA-256 of what was asked for.

    Neither the billing type nor any time is part of it: they are not the caller's.
    """
    asked = (message.account_id, message.domain, message.to, message.body)
    return sha256("\0".join(asked).encode()).digest()


def message_cache_key(tenant: Tenant, message_id: UUID) -> str:
    """The Redis key under which a message's `MessageView` lies."""
    return f"message:{tenant}:{message_id}"


class Problem(Model):
    """RFC 9457 problem details, `application/problem+json`; `field` names the offending part of the request."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None
