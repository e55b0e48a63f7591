"""Accounts and how they pay: PostgreSQL, with Redis in front for the lookup that every message needs.

Promise: a changed billing type counts on all pods with the next message. Nothing is remembered in the process; Redis is
told inside the database's transaction, whose row lock puts concurrent changes in one order for both; and what was read
before a change never overwrites it (`put_absent`). What Redis missed, it is told within seconds of its return.
"""

import time

from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert

from messaging_api.message import AccountId, AccountView, account_cache_key
from messaging_processors.messaging.reading import read_through
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.database import DATABASE, transaction
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.schema import accounts
from messaging_processors.runtime.watching import require


class ChangeUnknown(Exception):
    """The account may have been changed, or not."""


class Accounts:
    """Reads and writes accounts; raises `Away` when only the database could answer and it is away. Thread-safe."""

    def __init__(self, engine: Engine, cache: Cache, health: Health) -> None:
        self._engine = engine
        self._cache = cache
        self._health = health
        self._untold: set[str] = set()

    def find(self, account_id: AccountId) -> AccountView | None:
        """The account, from Redis or else from the database."""
        key = account_cache_key(account_id)
        return read_through(self._cache, key, AccountView, lambda: self._stored(account_id), lambda _: True)

    def save(self, account: AccountView, deadline: float) -> None:
        """Creates the account or changes how it pays; raises `Away` only where nothing was tried.

        After the `deadline` of the monotonic clock nothing is begun: who is no longer waited for must not come in late
        between two others.
        """
        require(self._health, DATABASE)
        key = account_cache_key(account.id)
        row = {"id": account.id, "billing_type": account.billing_type.value}
        statement = insert(accounts).values(row).on_conflict_do_update(index_elements=["id"], set_=row)
        told = False
        try:
            with transaction(self._engine) as connection:
                if time.monotonic() >= deadline:
                    raise Away(DATABASE, "no connection in time")
                connection.execute(statement)
                put = self._cache.put(key, account.model_dump_json())
            told = put
        except Away as error:  # the connection may have been lost under the commit
            raise ChangeUnknown(error.why) from error
        finally:
            if not told:  # also when the commit failed: then Redis has what the database may not have
                self._untold.add(key)

    def tell_untold(self) -> None:
        """Makes Redis forget what it could not be told; to be called again and again."""
        for key in list(self._untold):
            if self._cache.drop(key):
                self._untold.discard(key)

    def _stored(self, account_id: AccountId) -> AccountView | None:
        require(self._health, DATABASE)
        with transaction(self._engine) as connection:
            row = connection.execute(select(accounts).where(accounts.c.id == account_id)).one_or_none()
        return AccountView(id=row.id, billing_type=row.billing_type) if row else None
