"""Accounts as tests need them, written past the API; their balances and their ledgers, read from the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from messaging_api.money import amount, micros
from messaging_api.topology import BillingType
from messaging_processors.runtime import database, migrating
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.schema import accounts, ledger_entries, tenants
from testkit.samples import TENANT
from testkit.waiting import eventually, must_answer


@contextmanager
def a_database(server_url: str) -> Iterator[str]:
    """The URL of a database that nobody else has, without any table."""
    name = f"test_{uuid4().hex[:12]}"
    server = sa.create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@dataclass(frozen=True)
class Accounts:
    """The accounts in one database."""

    database_url: str

    def register(
        self,
        *ids: str,
        tenant: str = TENANT,
        billing_type: BillingType = BillingType.POSTPAID,
        currency: str = "USD",
        balance: str = "0",
        credit_limit: str | None = None,
    ) -> None:
        """These accounts exist, and are from now on as told; the tables and the tenant are made where they are missing.

        Such a balance stands in no ledger entry.
        """
        migrate(self.database_url)
        values = {
            "billing_type": billing_type.value,
            "currency": currency,
            "balance_micros": micros(balance),
            "credit_limit_micros": None if credit_limit is None else micros(credit_limit),
        }
        rows = [{"tenant": tenant, "id": account, **values} for account in sorted(ids)]
        new = insert(accounts).values(rows)
        with self._connected() as connection:
            connection.execute(insert(tenants).values(id=tenant).on_conflict_do_nothing())
            connection.execute(new.on_conflict_do_update(index_elements=["tenant", "id"], set_=values))

    def balance(self, account: str = "account-1", tenant: str = TENANT) -> str:
        """`"-0.0075"`"""
        with self._connected() as connection:
            return amount(
                connection.execute(
                    sa.select(accounts.c.balance_micros).where(accounts.c.tenant == tenant, accounts.c.id == account)
                ).scalar_one()
            )

    def ledger(self, account: str | None = None, tenant: str = TENANT) -> list[Any]:
        """The rows of an account's entries, or of all, oldest first."""
        wanted = sa.select(ledger_entries).where(ledger_entries.c.tenant == tenant)
        if account is not None:
            wanted = wanted.where(ledger_entries.c.account_id == account)
        with self._connected() as connection:
            return list(connection.execute(wanted.order_by(ledger_entries.c.sequence)))

    def execute(self, statement: str, **parameters: object) -> None:
        """Anything else."""
        with self._connected() as connection:
            connection.execute(sa.text(statement), parameters)

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        engine = sa.create_engine(self.database_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            yield connection


def migrate(database_url: str) -> None:
    """Makes the tables; asks a slow database again, as the processors do."""
    engine = database.connect(database_url)
    eventually(lambda: _is_migrated(engine))
    engine.dispose()


@must_answer(Away)
def _is_migrated(engine: sa.Engine) -> bool:
    migrating.ensure_schema(engine)
    return True
