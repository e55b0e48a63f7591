"""Rows of PostgreSQL as billing and the sinks write them, and one look at them, for tests of those who only read."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from messaging_processors.runtime.schema import ledger_entries, messages

NUMBER = "+12025550101"
_MESSAGE = {
    "tenant": "shop",
    "account_id": "a",
    "billing_type": "Postpaid",
    "domain": "marketing",
    "recipient": NUMBER,
    "body": "b",
    "amount_micros": 7500,
    "currency": "USD",
    "reason": "",
    "accepted_at": sa.func.now(),
    "updated_at": sa.func.now(),
}
_ENTRY = {
    "tenant": "shop",
    "kind": "charge",
    "domain": "marketing",
    "billing_type": "Postpaid",
    "amount_micros": -7500,
    "currency": "USD",
    "balance_micros": -7500,
    "segments": 1,
    "free_segments": 0,
    "refundable": 0,
    "reason": "",
}


def execute(database_url: str, statement: sa.Executable) -> Sequence[sa.Row[Any]]:
    """The rows that it gives, in a transaction of its own."""
    with sa.create_engine(_driver(database_url), poolclass=sa.NullPool).begin() as connection:
        result = connection.execute(statement)
        return result.all() if result.returns_rows else []


def store_message(database_url: str, state: str, **changes: object) -> UUID:
    """A row of `messages` as a sink writes it."""
    message_id = uuid4()
    row = _MESSAGE | {"id": message_id, "state": state} | changes
    execute(database_url, sa.insert(messages).values(row))
    return UUID(str(row["id"]))


def record_entry(database_url: str, account: str, **changes: object) -> UUID:
    """An entry of the ledger as billing writes it; the account must exist."""
    message_id = uuid4()
    row = _ENTRY | {"id": message_id, "message_id": message_id, "account_id": account} | changes
    execute(database_url, sa.insert(ledger_entries).values(row))
    return UUID(str(row["id"]))


def _driver(url: str) -> sa.URL:
    return sa.make_url(url).set(drivername="postgresql+psycopg")
