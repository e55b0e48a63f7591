"""Accounts: PostgreSQL, with Redis in front for what every message needs to know of its account, which is no money.

Promise: a changed billing type counts on all pods with the next message. Nothing is remembered in the process; Redis is
told inside the database's transaction, whose row lock puts concurrent changes in one order for both; and what was read
before a change never overwrites it (`put_absent`). What Redis missed, it is told within seconds of its return, under
the same row lock; only where this process ends before that, an old type counts until its time in Redis is over.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, select
from sqlalchemy.dialects.postgresql import insert

from messaging_api.access import Tenant
from messaging_api.account import AccountId, AccountView
from messaging_api.base import Currency, Model
from messaging_api.money import amount
from messaging_api.topology import BillingType
from messaging_processors.messaging.reading import read_through
from messaging_processors.messaging.storing import changing, reading
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.schema import accounts, tenants


class Terms(Model):
    """What acceptance needs to know of an account, and what Redis holds."""

    billing_type: BillingType
    currency: Currency


@dataclass(frozen=True)
class AccountChange:
    """An account as it shall be; whatever it has stays."""

    tenant: Tenant
    id: AccountId
    terms: Terms
    credit_limit_micros: int | None


class CurrencyFixed(Exception):
    """The account exists, in `currency`."""

    def __init__(self, currency: Currency) -> None:
        super().__init__(currency)
        self.currency = currency


class Accounts:
    """Reads and writes accounts; raises `Away` when only the database could answer and it is away. Thread-safe."""

    def __init__(self, engine: Engine, cache: Cache, health: Health) -> None:
        self._engine = engine
        self._cache = cache
        self._health = health
        self._untold: set[tuple[Tenant, AccountId]] = set()

    def terms(self, tenant: Tenant, account_ids: Iterable[AccountId]) -> dict[AccountId, Terms]:
        """How those accounts pay that there are, from Redis or else from the database."""
        keys = {account_id: terms_cache_key(tenant, account_id) for account_id in account_ids}
        return read_through(self._cache, keys, Terms, partial(self._stored_terms, tenant), lambda _: True)

    def find(self, tenant: Tenant, account_id: AccountId) -> AccountView | None:
        """The account with its balance, from the database."""
        with reading(self._engine, self._health) as connection:
            row = connection.execute(account_of(tenant, account_id)).one_or_none()
        return account_view(row) if row else None

    def _stored_terms(self, tenant: Tenant, account_ids: Iterable[AccountId]) -> dict[AccountId, Terms]:
        wanted = select(accounts.c.id, accounts.c.billing_type, accounts.c.currency).where(
            accounts.c.tenant == tenant, accounts.c.id.in_(account_ids)
        )
        with reading(self._engine, self._health) as connection:
            rows = connection.execute(wanted).all()
        return {row.id: _terms(row) for row in rows}

    def save(self, change: AccountChange, deadline: float) -> AccountView:
        """Creates the account or changes how it pays; raises as `changing` does, and `CurrencyFixed`."""
        told = False
        try:
            with changing(self._engine, self._health, deadline) as connection:
                saved = _upserted(connection, change)
                put = self._tell(change.tenant, change.id, change.terms)
            told = put
        finally:
            if not told:  # also when the commit failed: then Redis has what the database may not have
                self._untold.add((change.tenant, change.id))
        return saved

    def tell_untold(self) -> bool:
        """Tells Redis what it could not be told; to be called again and again. Whether nothing is left."""
        for tenant, account_id in list(self._untold):
            if self._told_anew(tenant, account_id):
                self._untold.discard((tenant, account_id))
        return not self._untold

    def _told_anew(self, tenant: Tenant, account_id: AccountId) -> bool:
        with suppress(Away), reading(self._engine, self._health) as connection:
            row = connection.execute(account_of(tenant, account_id).with_for_update()).one_or_none()
            if row is None:
                return self._cache.drop(terms_cache_key(tenant, account_id))
            return self._tell(tenant, account_id, _terms(account_view(row)))
        return False

    def _tell(self, tenant: Tenant, account_id: AccountId, terms: Terms) -> bool:
        return self._cache.put(terms_cache_key(tenant, account_id), terms.model_dump_json())


def terms_cache_key(tenant: Tenant, account_id: AccountId) -> str:
    """The Redis key under which an account's `Terms` lie."""
    return f"account:{tenant}:{account_id}"


def account_view(row: Row[tuple[object, ...]]) -> AccountView:
    """A row of `accounts` as callers see it."""
    limit = row.credit_limit_micros
    return AccountView(
        id=row.id,
        billing_type=row.billing_type,
        currency=row.currency,
        balance=amount(row.balance_micros),
        credit_limit=None if limit is None else amount(limit),
    )


def account_of(tenant: Tenant, account_id: AccountId) -> Select[Any]:
    """The account's row."""
    return select(accounts).where(accounts.c.tenant == tenant, accounts.c.id == account_id)


def _terms(account: AccountView | Row[*tuple[Any, ...]]) -> Terms:
    return Terms(billing_type=account.billing_type, currency=account.currency)


def _upserted(connection: Connection, change: AccountChange) -> AccountView:
    connection.execute(insert(tenants).values(id=change.tenant).on_conflict_do_nothing())
    terms = {"billing_type": change.terms.billing_type.value, "credit_limit_micros": change.credit_limit_micros}
    new = {"tenant": change.tenant, "id": change.id, "currency": change.terms.currency, "balance_micros": 0} | terms
    statement = (
        insert(accounts)
        .values(new)
        .on_conflict_do_update(
            index_elements=["tenant", "id"], set_=terms, where=accounts.c.currency == change.terms.currency
        )
        .returning(accounts)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise CurrencyFixed(connection.execute(account_of(change.tenant, change.id)).one().currency)
    return account_view(row)
