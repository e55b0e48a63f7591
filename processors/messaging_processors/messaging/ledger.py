"""The ledger as be-messaging uses it: top-ups go in, pages come out. Charges are billing's.

Promise: a top-up is added once, however often it is asked for under its key. The account's row lock puts everything
that moves its balance in one order, in which its entries' sequence numbers grow: a page, once read, never changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, insert, select, update

from messaging_api.access import Tenant
from messaging_api.account import AccountId, EntryKind, LedgerEntry, LedgerPage
from messaging_api.base import Currency
from messaging_api.message import idempotent_id
from messaging_api.money import amount
from messaging_processors.messaging.accounts import account_of
from messaging_processors.messaging.storing import changing, reading
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.schema import accounts, ledger_entries

_LARGEST = 2**62
"""Half of what the database can hold: what is paid back later always has room."""


class TopUpError(Exception):
    """A top-up that is not made:

    TopUpError
     ├─ NoSuchAccount
     ├─ OtherTopUp       another one was made under this key
     ├─ OtherCurrency    the account has `currency`
     └─ BalanceTooLarge  there would be no number for it
    """


class NoSuchAccount(TopUpError):
    """The tenant has no such account."""


class OtherTopUp(TopUpError):
    """Another one was made under this key."""


class BalanceTooLarge(TopUpError):
    """The balance would be larger than what the ledger can hold."""


class OtherCurrency(TopUpError):
    """The account has `currency`."""

    def __init__(self, currency: Currency) -> None:
        super().__init__(currency)
        self.currency = currency


@dataclass(frozen=True)
class TopUp:
    """What shall be added to which balance, under which `Idempotency-Key`."""

    tenant: Tenant
    account_id: AccountId
    key: str
    amount_micros: int
    currency: Currency

    @property
    def id(self) -> UUID:
        """The entry's id: for ever the same for this key and account."""
        return idempotent_id(self.tenant, f"top-up\n{self.account_id}\n{self.key}")

    @property
    def payload_hash(self) -> bytes:
        """What a repeat must have in common with the first."""
        asked = (str(self.amount_micros), self.currency, self.account_id)
        return sha256("\0".join(asked).encode()).digest()


class Ledger:
    """Raises `Away` when the database is. Thread-safe."""

    def __init__(self, engine: Engine, health: Health) -> None:
        self._engine = engine
        self._health = health

    def top_up(self, top_up: TopUp, deadline: float) -> LedgerEntry:
        """Adds it, or finds that it was added already; raises as `changing` does, and `TopUpError`."""
        with changing(self._engine, self._health, deadline) as connection:
            account = _locked(connection, top_up)
            existing = connection.execute(select(ledger_entries).where(ledger_entries.c.id == top_up.id)).one_or_none()
            if existing and bytes(existing.payload_hash) != top_up.payload_hash:
                raise OtherTopUp
            return entry_view(existing or _added(connection, top_up, account))

    def page(self, tenant: Tenant, account_id: AccountId, after: int, limit: int) -> LedgerPage | None:
        """The account's entries that follow `after`, oldest first; None where there is no such account."""
        with reading(self._engine, self._health) as connection:
            if connection.execute(account_of(tenant, account_id)).one_or_none() is None:
                return None
            rows = connection.execute(
                select(ledger_entries)
                .where(ledger_entries.c.tenant == tenant, ledger_entries.c.account_id == account_id)
                .where(ledger_entries.c.sequence > after)
                .order_by(ledger_entries.c.sequence)
                .limit(limit + 1)  # one more tells whether there is another page
            ).all()
        return _page(rows, limit)


def entry_view(row: Row[tuple[object, ...]]) -> LedgerEntry:
    """A row of `ledger_entries` as callers see it."""
    return LedgerEntry(
        sequence=row.sequence,
        id=row.id,
        kind=row.kind,
        message_id=row.message_id,
        domain=row.domain,
        amount=amount(row.amount_micros),
        currency=row.currency,
        balance=amount(row.balance_micros),
        segments=row.segments,
        free_segments=row.free_segments,
        reason=row.reason,
        recorded_at=row.recorded_at,
    )


def _page(rows: Sequence[Row[tuple[object, ...]]], limit: int) -> LedgerPage:
    entries = [entry_view(row) for row in rows[:limit]]
    return LedgerPage(entries=entries, next=entries[-1].sequence if len(rows) > limit else None)


def _locked(connection: Connection, top_up: TopUp) -> Row[tuple[str, int]]:
    account = connection.execute(account_of(top_up.tenant, top_up.account_id).with_for_update()).one_or_none()
    if account is None:
        raise NoSuchAccount
    return account


def _added(connection: Connection, top_up: TopUp, account: Row[tuple[str, int]]) -> Row[tuple[object, ...]]:
    balance = account.balance_micros + top_up.amount_micros
    if account.currency != top_up.currency:
        raise OtherCurrency(account.currency)
    if balance > _LARGEST:
        raise BalanceTooLarge
    this_account = (accounts.c.tenant == top_up.tenant, accounts.c.id == top_up.account_id)
    connection.execute(update(accounts).where(*this_account).values(balance_micros=balance))
    return connection.execute(insert(ledger_entries).values(_row(top_up, balance)).returning(ledger_entries)).one()


def _row(top_up: TopUp, balance: int) -> dict[str, object]:
    return {
        "id": top_up.id,
        "tenant": top_up.tenant,
        "account_id": top_up.account_id,
        "kind": EntryKind.TOP_UP.value,
        "amount_micros": top_up.amount_micros,
        "currency": top_up.currency,
        "balance_micros": balance,
        "segments": 0,
        "free_segments": 0,
        "refundable": 0,
        "reason": "",
        "payload_hash": top_up.payload_hash,
    }
