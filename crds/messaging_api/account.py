"""Accounts, their balances and their ledger on the wire.

An account has one balance: prepaid it is topped up and never charged below zero, postpaid it falls, at most to the
credit limit below zero. A change of the billing type moves no money. A message in flight is charged as the type that
it was accepted with says, against that same balance.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from messaging_api.base import Currency, Domain, Model, Money
from messaging_api.money import micros
from messaging_api.topology import BillingType

AccountId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
SignedMoney = Annotated[str, Field(max_length=21, pattern=r"^-?[0-9]{1,13}(\.[0-9]{1,6})?$")]


def _require_positive(amount: Money) -> Money:
    if not micros(amount):
        raise PydanticCustomError("not_positive", "must be more than 0")
    return amount


PositiveMoney = Annotated[
    Money, AfterValidator(_require_positive), Field(description="A decimal string of more than 0, never a float.")
]


class AccountRequest(Model):
    """The body of `PUT /v1/accounts/{id}`. The currency may be left out where the topology charges in only one."""

    billing_type: BillingType
    currency: Currency | None = None
    credit_limit: Annotated[
        Money | None, Field(description="How far a postpaid account may owe; without one there is no limit.")
    ] = None


class AccountView(Model):
    """What the account calls answer."""

    id: AccountId
    billing_type: BillingType
    currency: Currency
    balance: SignedMoney
    credit_limit: Money | None = None


class TopUpRequest(Model):
    """The body of `POST /v1/accounts/{id}/top-ups`, which needs an `Idempotency-Key`."""

    amount: PositiveMoney
    currency: Currency


class EntryKind(StrEnum):
    """Why an entry stands in the ledger."""

    CHARGE = "charge"
    REFUSAL = "refusal"
    """A message that was not charged and is not sent, with the reason."""
    EXPIRY = "expiry"
    """A message whose time was over before it was charged."""
    REVERSAL = "reversal"
    TOP_UP = "top-up"


class LedgerEntry(Model):
    """One entry. Amounts are signed: what they add to the balance."""

    sequence: int
    id: UUID
    kind: EntryKind
    message_id: UUID | None = None
    domain: Domain | None = None
    amount: SignedMoney
    currency: Currency
    balance: SignedMoney
    """After this entry."""
    segments: int = 0
    free_segments: int = 0
    reason: str = ""
    recorded_at: datetime


class LedgerPage(Model):
    """What `GET /v1/accounts/{id}/ledger?after=…&limit=…` answers, oldest first; `next` is the following `after`."""

    entries: list[LedgerEntry]
    next: int | None = None
