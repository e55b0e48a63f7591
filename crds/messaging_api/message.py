"""Messages on the wire: HTTP bodies, Kafka values and headers.

Kafka records carry the CloudEvents 1.0 Kafka binding in binary mode (`ce_*` headers), the key is the account id
(order per account), the value is JSON.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from messaging_api.base import Currency, Domain, Model, Money
from messaging_api.topology import BillingType

AccountId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
PhoneNumber = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$", description="E.164, with the plus sign.")]

ACCEPTED_TYPE = "dev.messagingtopology.message.accepted"
CHARGED_TYPE = "dev.messagingtopology.message.charged"
ID_HEADER = "ce_id"
DOMAIN_HEADER = "domain"
TRACE_HEADER = "traceparent"
DEAD_LETTER_PREFIX = "dlq_"
"""Headers of that beginning are ours: a record's own cannot use them."""


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
    """States only move forward."""

    ACCEPTED = "accepted"
    CHARGED = "charged"
    SENT = "sent"
    DEAD_LETTERED = "dead-lettered"


class MessageRequest(Model):
    """The body of `POST /v1/messages`."""

    account_id: AccountId
    domain: Domain
    to: PhoneNumber
    body: Annotated[str, Field(min_length=1, max_length=1600, pattern=r"^[^\x00]*$")]  # PostgreSQL stores no NUL


class MessageView(Model):
    """What `POST /v1/messages` (202) and `GET /v1/messages/{id}` answer, and what Redis holds, byte for byte."""

    id: UUID
    state: MessageState


class AccountRequest(Model):
    """The body of `PUT /v1/accounts/{id}`."""

    billing_type: BillingType


class AccountView(Model):
    """What the account calls answer."""

    id: AccountId
    billing_type: BillingType


class AcceptedMessage(Model):
    """The value on the Postpaid and Prepaid topics. A message keeps the billing type that it was accepted with."""

    id: UUID
    account_id: AccountId
    billing_type: BillingType
    domain: Domain
    to: PhoneNumber
    body: str
    accepted_at: datetime


class Charge(Model):
    """What the message cost: an exact decimal and its ISO 4217 currency."""

    amount: Money
    currency: Currency


class ChargedMessage(AcceptedMessage):
    """The value on the domain topics."""

    charge: Charge


def message_cache_key(message_id: UUID) -> str:
    """The Redis key under which a message's `MessageView` lies."""
    return f"message:{message_id}"


def account_cache_key(account_id: AccountId) -> str:
    """The Redis key under which an account's `AccountView` lies."""
    return f"account:{account_id}"


class Problem(Model):
    """RFC 9457 problem details, `application/problem+json`; `field` names the offending part of the request."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None
