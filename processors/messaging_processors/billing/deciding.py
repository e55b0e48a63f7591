"""What becomes of messages, given what the ledger and the accounts say. Pure; called by `ledger`.

Decides in the order of the records, each on what those before it left. A message that has an entry is never decided
again: the entry tells what was decided, whatever tariff and balance are now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from messaging_api.account import EntryKind
from messaging_api.money import micros
from messaging_api.tariff import Refund, Tariff
from messaging_api.topology import BillingType
from messaging_processors.billing.handling import CONFLICT, Letter, Priced
from messaging_processors.runtime.records import is_replayed

AccountKey = tuple[str, str]
"""A tenant and one of its accounts."""
FreeKey = tuple[str, str, str, date]
"""A tenant, an account, a domain, and a month's first day."""
_MOST_CHARGED = 10**18 - 1
"""Micros; what the wire's `Money` can say."""
_MOST_OWED = -(2**63)


@dataclass(frozen=True, slots=True)
class Account:
    """What an account can pay with, in micros."""

    currency: str
    balance: int
    credit_limit: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of `ledger_entries`, under the same names."""

    id: UUID
    tenant: str
    account_id: str
    kind: EntryKind
    domain: str | None
    billing_type: str | None
    amount_micros: int
    currency: str
    balance_micros: int
    segments: int
    free_segments: int
    refundable: int
    reason: str
    payload_hash: bytes | None
    source_topic: str | None
    source_partition: int | None
    source_offset: int | None


@dataclass(frozen=True, slots=True)
class Books:
    """What the database holds about some messages: their accounts, entries, and the free segments used up."""

    accounts: Mapping[AccountKey, Account]
    entries: Mapping[UUID, Entry]
    used: Mapping[FreeKey, int]


@dataclass(frozen=True, slots=True)
class Emission:
    """A message's outcome is to be told as its entry has it; `again` when the entry is from an earlier attempt."""

    priced: Priced
    entry: Entry
    again: bool


@dataclass(frozen=True, slots=True)
class Repeat:
    """A message that is in the topic a second time, and was decided at its first: nothing is to be told."""

    priced: Priced


Decision = Emission | Repeat | Letter


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision for each of the first items, and the books after them; fewer than items when letters had no room."""

    decisions: list[Decision]
    books: Books


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Of one message, and what it takes: micros and free segments."""

    kind: EntryKind
    reason: str = ""
    charged: int = 0
    free: int = 0


def decide(items: Sequence[Priced | Letter], books: Books, tariff: Tariff, now: datetime, room: int) -> Decided:
    """Decides until the first letter beyond `room`; those that callers cause need none."""
    desk = _Desk(books, tariff, now)
    decisions: list[Decision] = []
    for item in items:
        decision = item if isinstance(item, Letter) else desk.decide(item)
        if isinstance(decision, Letter) and not decision.is_callers:
            if not room:
                break
            room -= 1
        decisions.append(decision)
    return Decided(decisions, Books(desk.accounts, desk.entries, desk.used))


class _Desk:
    """The books while decisions are made; the caller's stay as they are."""

    def __init__(self, books: Books, tariff: Tariff, now: datetime) -> None:
        self.accounts = dict(books.accounts)
        self.entries = dict(books.entries)
        self.used = dict(books.used)
        self._tariff = tariff
        self._now = now

    def decide(self, priced: Priced) -> Decision:
        if known := self.entries.get(priced.message.id):
            return _decided_before(priced, known)
        account = self.accounts.get(_account_key(priced))
        if account is None:
            why = "tenant {} has no account {}; create it, then replay this".format(*_account_key(priced))
            return Letter(priced.record, "UnknownAccount", why)
        verdict = self._verdict(priced, account)
        if verdict.charged > _MOST_CHARGED or account.balance - verdict.charged < _MOST_OWED:
            return Letter(priced.record, "AmountTooLarge", "the charge, or the balance after it, is beyond the ledger")
        return Emission(priced, self._book(priced, account, verdict), again=False)

    def _verdict(self, priced: Priced, account: Account) -> _Verdict:
        valid_until = priced.message.valid_until
        if valid_until and valid_until <= self._now:
            return _Verdict(EntryKind.EXPIRY, "Expired")
        if account.currency != self._tariff.currency:
            return _Verdict(EntryKind.REFUSAL, "CurrencyMismatch")
        free = min(priced.segments, max(0, self._tariff.free_segments - self.used.get(free_key(priced), 0)))
        charged = micros(priced.price.of(priced.segments - free))
        if reason := _cannot_pay(account, priced.message.billing_type, charged):
            return _Verdict(EntryKind.REFUSAL, reason)
        return _Verdict(EntryKind.CHARGE, charged=charged, free=free)

    def _book(self, priced: Priced, account: Account, verdict: _Verdict) -> Entry:
        balance = account.balance - verdict.charged
        if verdict.charged:
            self.accounts[_account_key(priced)] = Account(account.currency, balance, account.credit_limit)
        if verdict.free:
            self.used[free_key(priced)] = self.used.get(free_key(priced), 0) + verdict.free
        refundable = verdict.kind is EntryKind.CHARGE and self._tariff.refund is Refund.ON_FAILURE
        entry = _entry(priced, verdict, account.currency, balance, refundable)
        self.entries[entry.id] = entry
        return entry


def free_key(priced: Priced) -> FreeKey:
    """Whose free segments a message uses up."""
    return *_account_key(priced), priced.message.domain, priced.month


def _account_key(priced: Priced) -> AccountKey:
    return priced.message.tenant, priced.message.account_id


def _decided_before(priced: Priced, known: Entry) -> Decision:
    at = priced.record
    if known.payload_hash != priced.payload_hash:
        why = "another message was sent under this Idempotency-Key before; the first one counts"
        return Letter(at, CONFLICT, why)
    here = (known.source_topic, known.source_partition, known.source_offset) == (at.topic, at.partition, at.offset)
    # A version that could not read it may have put it aside when another had charged it and not told its outcome yet.
    if here or is_replayed(at):
        return Emission(priced, known, again=True)
    return Repeat(priced)


def _cannot_pay(account: Account, billing_type: BillingType, price: int) -> str:
    """Why not, empty where it can. What costs nothing is never refused."""
    left = account.balance - price
    if not price:
        return ""
    if billing_type is BillingType.PREPAID:
        return "InsufficientBalance" if left < 0 else ""
    return "CreditLimitReached" if account.credit_limit is not None and left < -account.credit_limit else ""


def _entry(priced: Priced, verdict: _Verdict, currency: str, balance: int, refundable: bool) -> Entry:
    message, at = priced.message, priced.record
    return Entry(
        id=message.id,
        tenant=message.tenant,
        account_id=message.account_id,
        kind=verdict.kind,
        domain=message.domain,
        billing_type=message.billing_type.value,
        amount_micros=-verdict.charged,
        currency=currency,
        balance_micros=balance,
        segments=priced.segments,
        free_segments=verdict.free,
        refundable=int(refundable),
        reason=verdict.reason,
        payload_hash=priced.payload_hash,
        source_topic=at.topic,
        source_partition=at.partition,
        source_offset=at.offset,
    )
