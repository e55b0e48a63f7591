"""Accounts and ledger entries in PostgreSQL; `main` calls it.

A batch is one transaction of a fixed number of statements:

1. lock the accounts of its messages, in the order that all keep;
2. read the entries that exist, and the free segments used up;
3. decide, pure;
4. insert the new entries, update the accounts, note the free segments.

Promises: a message id has one entry for ever; whoever is told `Away`, when the commit is not answered, too, finds by a
repeat what was decided and decides nothing twice; a message that the database refuses spoils no other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, TextClause, exc, text

from messaging_api.account import EntryKind
from messaging_api.tariff import Tariff
from messaging_processors.billing.deciding import (
    Account,
    AccountKey,
    Books,
    Decided,
    Decision,
    Emission,
    Entry,
    FreeKey,
    decide,
    free_key,
)
from messaging_processors.billing.handling import Letter, Priced
from messaging_processors.runtime.database import DATABASE, describe, probe, transaction
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.migrating import ensure_schema

_ATTEMPTS = 5
_COLUMNS = [field.name for field in fields(Entry)]
_TYPES = dict.fromkeys(_COLUMNS, "text") | {
    "id": "uuid",
    "amount_micros": "bigint",
    "balance_micros": "bigint",
    "segments": "integer",
    "free_segments": "integer",
    "refundable": "integer",
    "payload_hash": "bytea",
    "source_partition": "integer",
    "source_offset": "bigint",
}
_ACCOUNT_TYPES = {"tenant": "text", "id": "text", "balance": "bigint"}
_FREE_TYPES = {"tenant": "text", "account_id": "text", "domain": "text", "month": "date", "used": "integer"}


def _table(types: dict[str, str]) -> str:
    """Arrays keep a statement the same for every batch size: nothing to compile or to plan anew for each."""
    return f"unnest({', '.join(f'CAST(:{name} AS {type_}[])' for name, type_ in types.items())})"


_LOCK = text(
    "SELECT tenant, id, currency, balance_micros, credit_limit_micros FROM accounts WHERE (tenant, id) IN"
    f" (SELECT * FROM {_table({'tenant': 'text', 'id': 'text'})}) ORDER BY tenant, id FOR UPDATE"
)
_ENTRIES = text(f"SELECT {', '.join(_COLUMNS)} FROM ledger_entries WHERE id = ANY(CAST(:ids AS uuid[]))")
_USED = text(
    "SELECT tenant, account_id, domain, month, used FROM free_segments WHERE (tenant, account_id, domain, month) IN"
    f" (SELECT * FROM {_table({name: type_ for name, type_ in _FREE_TYPES.items() if name != 'used'})})"
)
# Numbered in the order of the decisions, as the account's balances follow each other; inserted in the order of the
# ids, or two processors that insert the same ones could wait for each other.
_INSERT = text(
    "WITH numbered AS MATERIALIZED ("
    "SELECT nextval(pg_get_serial_sequence('ledger_entries', 'sequence')) AS sequence, news.*"
    f" FROM {_table(_TYPES)} AS news({', '.join(_COLUMNS)}))"
    f" INSERT INTO ledger_entries (sequence, message_id, {', '.join(_COLUMNS)}) OVERRIDING SYSTEM VALUE"
    f" SELECT sequence, id, {', '.join(_COLUMNS)} FROM numbered ORDER BY id ON CONFLICT (id) DO NOTHING RETURNING id"
)
_BALANCES = text(
    f"UPDATE accounts SET balance_micros = news.balance FROM {_table(_ACCOUNT_TYPES)} AS news(tenant, id, balance)"
    " WHERE accounts.tenant = news.tenant AND accounts.id = news.id"
)
_USE = text(
    f"INSERT INTO free_segments ({', '.join(_FREE_TYPES)}) SELECT * FROM {_table(_FREE_TYPES)}"
    " ON CONFLICT (tenant, account_id, domain, month) DO UPDATE SET used = excluded.used"
)


class _Overtaken(Exception):
    """Another processor inserted an entry of the same id, under another account, since we looked."""


@dataclass(frozen=True)
class Ledger:
    """The accounts of all tenants, and what was charged to them by `tariff`."""

    engine: Engine
    tariff: Tariff

    def prepare(self) -> None:
        """Has the tables as they must be; raises `SchemaTooNew` where they cannot."""
        ensure_schema(self.engine)

    def probe(self) -> None:
        """Raises `Away` unless the database answers."""
        probe(self.engine)

    def close(self) -> None:
        """Ends the connections."""
        self.engine.dispose()

    def settle(self, items: Sequence[Priced | Letter], now: datetime, room: int) -> list[Decision]:
        """A committed decision for each of the first items, up to the first letter beyond `room`; `Away` or none."""
        try:
            return self._settle(items, now, room)
        except (exc.DataError, exc.IntegrityError) as error:
            if len(items) == 1:
                alone = Letter(items[0].record, "Unstorable", describe(error))
                return [alone] if room else []
        # One of them spoils the whole transaction: find out which.
        half = len(items) // 2
        first = self.settle(items[:half], now, room)
        if len(first) < half:
            return first
        return first + self.settle(items[half:], now, room - sum(isinstance(one, Letter) for one in first))

    def _settle(self, items: Sequence[Priced | Letter], now: datetime, room: int) -> list[Decision]:
        messages = [item for item in items if isinstance(item, Priced)]
        if not messages:
            return decide(items, Books({}, {}, {}), self.tariff, now, room).decisions
        for _ in range(_ATTEMPTS):
            try:
                with transaction(self.engine) as connection:
                    books = _open(connection, messages)
                    decided = decide(items, books, self.tariff, now, room)
                    _close(connection, books, decided)
                return decided.decisions
            except _Overtaken:
                continue
        raise Away(DATABASE, f"others inserted the same ledger entries {_ATTEMPTS} times while we decided")


def _open(connection: Connection, messages: Sequence[Priced]) -> Books:
    keys = {(one.message.tenant, one.message.account_id) for one in messages}
    accounts = connection.execute(_LOCK, _columns(("tenant", "id"), keys))
    entries = connection.execute(_ENTRIES, {"ids": [one.message.id for one in messages]})
    used = connection.execute(_USED, _columns(tuple(_FREE_TYPES)[:-1], {free_key(one) for one in messages}))
    return Books(dict(map(_account, accounts)), {row.id: _entry(row) for row in entries}, dict(map(_use, used)))


def _close(connection: Connection, before: Books, decided: Decided) -> None:
    entries = [one.entry for one in decided.decisions if isinstance(one, Emission) and not one.again]
    if entries:
        rows = [[getattr(entry, name) for name in _COLUMNS] for entry in entries]
        inserted = connection.execute(_INSERT, _columns(_COLUMNS, rows)).all()
        if len(inserted) < len(entries):
            raise _Overtaken
    after = decided.books
    balances = [(*key, one.balance) for key, one in after.accounts.items() if one != before.accounts[key]]
    _write(connection, _BALANCES, _ACCOUNT_TYPES, balances)
    _write(connection, _USE, _FREE_TYPES, [(*key, used) for key, used in after.used.items() - before.used.items()])


def _write(connection: Connection, statement: TextClause, types: dict[str, str], rows: list[Any]) -> None:
    if rows:
        connection.execute(statement, _columns(types, rows))


def _columns(names: Iterable[str], rows: Iterable[Sequence[Any]]) -> dict[str, list[Any]]:
    """Rows as arrays by name."""
    names = tuple(names)
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _account(row: Row[Any]) -> tuple[AccountKey, Account]:
    return (row.tenant, row.id), Account(row.currency, row.balance_micros, row.credit_limit_micros)


def _entry(row: Row[Any]) -> Entry:
    return Entry(**{**row._mapping, "kind": EntryKind(row.kind)})


def _use(row: Row[Any]) -> tuple[FreeKey, int]:
    return (row.tenant, row.account_id, row.domain, row.month), row.used
