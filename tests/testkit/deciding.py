"""Priced messages, accounts and entries, for tests of billing's decisions."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count

from messaging_api.account import EntryKind
from messaging_api.message import AcceptedMessage, payload_hash
from messaging_processors.billing.deciding import Account, AccountKey, Books, Entry, FreeKey
from messaging_processors.billing.handling import Priced
from messaging_processors.billing.rating import Price
from messaging_processors.runtime.records import Headers, Record
from testkit.samples import TENANT, an_accepted_message

MONTH = date(2030, 6, 1)
NOW = datetime(2030, 6, 15, tzinfo=UTC)
_offsets = count()


def a_priced(
    message: AcceptedMessage | None = None,
    per_message: str = "0",
    per_segment: str = "0",
    segments: int = 1,
    headers: Headers = (),
) -> Priced:
    """A message at a place of its own."""
    message = message or an_accepted_message()
    record = Record("postpaid", 0, next(_offsets), message.account_id.encode(), b"", headers)
    price = Price(Decimal(per_message), Decimal(per_segment))
    return Priced(record, message, payload_hash(message), segments, price, MONTH)


def moved(priced: Priced) -> Priced:
    """The same message once more, behind it."""
    return replace(priced, record=replace(priced.record, offset=next(_offsets)))


def an_entry(priced: Priced) -> Entry:
    """What stands in the ledger of a message that was charged one unit."""
    message, at = priced.message, priced.record
    return Entry(
        id=message.id,
        tenant=message.tenant,
        account_id=message.account_id,
        kind=EntryKind.CHARGE,
        domain=message.domain,
        billing_type=message.billing_type.value,
        amount_micros=-1_000_000,
        currency="USD",
        balance_micros=-1_000_000,
        segments=priced.segments,
        free_segments=0,
        refundable=0,
        reason="",
        payload_hash=priced.payload_hash,
        source_topic=at.topic,
        source_partition=at.partition,
        source_offset=at.offset,
    )


def books(
    accounts: dict[str, Account], entries: tuple[Entry, ...] = (), used: dict[FreeKey, int] | None = None
) -> Books:
    """Of the samples' tenant."""
    known: dict[AccountKey, Account] = {(TENANT, name): account for name, account in accounts.items()}
    return Books(known, {entry.id: entry for entry in entries}, used or {})
