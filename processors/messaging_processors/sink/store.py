"""The sinks' rows; `loop` calls it. Every call is one transaction of a fixed number of statements, whatever the batch.

Raises `Away` when the database is. A row stands for a message that arrived here, whether it was read once or often; its
state only moves forward, and what ends a charged message without its arrival pays it back in the same transaction.
Locks: messages in the order of their ids, then what `reversals` takes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, exc, text

from messaging_api.message import BilledMessage, MessageState, MessageView
from messaging_api.money import micros
from messaging_processors.runtime.database import probe, transaction
from messaging_processors.runtime.migrating import ensure_schema
from messaging_processors.runtime.schema import TOLD_BY_PROVIDERS
from messaging_processors.sink.reversals import ENDS_UNDELIVERED, reversal_id, reverse
from messaging_processors.sink.rows import Change, Row

_TYPES = {
    "id": "uuid",
    "tenant": "text",
    "account_id": "text",
    "billing_type": "text",
    "domain": "text",
    "recipient": "text",
    "body": "text",
    "amount_micros": "bigint",
    "currency": "text",
    "state": "text",
    "reason": "text",
    "accepted_at": "timestamptz",
}
_PERSONAL = ("recipient", "body")
_CLOCKS_APART = "5 seconds"
"""Who accepts has another clock than who erases. Erased is only what is stored; the message is sent."""
_STORED = [
    f"CASE WHEN erased.tenant IS NULL THEN new.{name} ELSE '' END" if name in _PERSONAL else f"new.{name}"
    for name in _TYPES
]
# Arrays keep the statement the same for every batch size: nothing to compile or to plan anew for each. In one order
# everywhere, or two sinks that store the same messages could wait for each other.
_INSERT = text(
    f"INSERT INTO messages ({', '.join(_TYPES)})"
    f" SELECT {', '.join(_STORED)}"
    f" FROM unnest({', '.join(f'CAST(:{name} AS {type_}[])' for name, type_ in _TYPES.items())})"
    f" AS new({', '.join(_TYPES)})"
    " LEFT JOIN erasures erased ON erased.tenant = new.tenant"
    " AND erased.recipient_hash = sha256(convert_to(new.recipient, 'UTF8'))"
    f" AND new.accepted_at <= erased.requested_at + interval '{_CLOCKS_APART}'"
    " ORDER BY new.id ON CONFLICT (id) DO UPDATE SET possibly_sent = true"
    f" WHERE messages.state = '{MessageState.CHARGED}' RETURNING id, possibly_sent"
)
_LOCK = text("SELECT 1 FROM messages WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")
_ROWS = text("SELECT id, tenant, account_id, domain, state, reason FROM messages WHERE id = ANY(CAST(:ids AS uuid[]))")
_REPLAYED = (
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:reversal_ids AS uuid[])) AS replayed(id, reversal_id)"
    " WHERE messages.id = replayed.id"
)
_PAID_BACK = "EXISTS (SELECT FROM ledger_entries WHERE id = replayed.reversal_id)"
_REOPEN = text(
    f"UPDATE messages SET state = '{MessageState.CHARGED}', possibly_sent = false, reason = '', updated_at = now()"
    f" {_REPLAYED} AND state = '{MessageState.DEAD_LETTERED}' AND NOT {_PAID_BACK} RETURNING messages.id"
)
_CLOSE = text(
    f"UPDATE messages SET state = '{MessageState.DEAD_LETTERED}', reason = 'PaidBack', updated_at = now()"
    f" {_REPLAYED} AND state = '{MessageState.CHARGED}' AND {_PAID_BACK}"
)
_CHANGE = text(
    "UPDATE messages SET state = news.state, updated_at = now(),"
    f" reason = CASE WHEN recipient = '' AND news.state IN ({TOLD_BY_PROVIDERS}) THEN '' ELSE news.reason END"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:accounts AS text[]), CAST(:domains AS text[]), CAST(:states AS text[]),"
    " CAST(:reasons AS text[])) AS news(id, account_id, domain, state, reason)"
    " WHERE messages.id = news.id AND messages.account_id = news.account_id AND messages.domain = news.domain"
    " AND messages.state = ANY(CAST(:replaced AS text[]))"
    f" AND NOT (messages.possibly_sent AND news.state = '{MessageState.EXPIRED}') RETURNING messages.id, messages.state"
)
_UNSENT = (MessageState.CHARGED,)
_NOT_TOLD_OF = (MessageState.CHARGED, MessageState.SENT)


@dataclass
class Kept:
    """What the database has of messages, and why some could not be stored as they are."""

    rows: dict[UUID, Row] = field(default_factory=dict)
    fresh: set[UUID] = field(default_factory=set)
    """Stored or opened again just now: nobody else has had them in hand. Of others the database notes that."""
    unstorable: dict[UUID, str] = field(default_factory=dict)


class Store:
    """Rows of the table `messages`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def prepare(self) -> None:
        """Brings the tables up to date; raises `SchemaTooNew`."""
        ensure_schema(self._engine)

    def probe(self) -> None:
        """Raises `Away` unless the database answers."""
        probe(self._engine)

    def close(self) -> None:
        """Ends the connections."""
        self._engine.dispose()

    def keep(self, messages: Sequence[BilledMessage], replayed: Collection[UUID] = ()) -> Kept:
        """Stores what is not there yet in the state that billing gave it, and tells the state of all.

        A message that was `replayed` from the dead letters is open again, the only way back for a state, unless it was
        paid back: that counts also where its row has gone with its time. Of subscribers that were erased meanwhile
        neither number nor text is stored.
        """
        rows, kept = [_row(message) for message in messages], Kept()
        try:
            self._keep(rows, replayed, kept)
            return kept
        except (exc.DataError, exc.IntegrityError):
            pass
        for row in rows:  # One row spoils the whole statement: find out which.
            self._keep_alone(row, {row["id"]} & {*replayed}, kept)
        return kept

    def _keep_alone(self, row: Mapping[str, Any], replayed: Collection[UUID], kept: Kept) -> None:
        try:
            self._keep([row], replayed, kept)
        except (exc.DataError, exc.IntegrityError) as error:
            kept.unstorable[row["id"]] = _explain(error)
            self._keep([{**row, "body": "", "reason": ""}], replayed, kept)  # a charge needs its row

    def _keep(self, rows: Sequence[Mapping[str, Any]], replayed: Collection[UUID], kept: Kept) -> None:
        with transaction(self._engine) as connection:
            open_rows = connection.execute(_INSERT, {name: [row[name] for row in rows] for name in _TYPES})
            fresh = {row.id for row in open_rows if not row.possibly_sent}
            fresh |= _reopen(connection, replayed) if replayed else set()
            found = _read(connection, [row["id"] for row in rows])
        kept.rows |= found
        kept.fresh |= fresh

    def advance(self, changes: Sequence[Change]) -> dict[UUID, Row]:
        """Records what became of messages that were to be sent, and tells what they are now.

        One that somebody else has had in hand meanwhile does not expire; it is still to be sent.
        """
        return self._change(changes, _UNSENT)

    def receive(self, changes: Sequence[Change]) -> dict[UUID, Row]:
        """Records what receipts say, the first of each message, and tells what those messages are now.

        A third party that knows what became of a message has taken it, whether we heard of that or not.
        """
        first = {(change.id, change.account_id, change.domain): change for change in reversed(changes)}
        return self._change([*first.values()], _NOT_TOLD_OF)

    def _change(self, changes: Sequence[Change], replaced: Iterable[MessageState]) -> dict[UUID, Row]:
        ids = [change.id for change in changes]
        with transaction(self._engine) as connection:
            connection.execute(_LOCK, {"ids": ids})
            changed = connection.execute(_CHANGE, _arrays(changes) | {"replaced": [state.value for state in replaced]})
            states = {row.id: MessageState(row.state) for row in changed}
            if ended := {key: state for key, state in states.items() if state in ENDS_UNDELIVERED}:
                reverse(connection, ended)
            return _read(connection, ids)


def _reopen(connection: Connection, replayed: Collection[UUID]) -> set[UUID]:
    ids = [*replayed]
    both = {"ids": ids, "reversal_ids": [reversal_id(key) for key in ids]}
    connection.execute(_CLOSE, both)
    return {*connection.scalars(_REOPEN, both)}


def _read(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Row]:
    return {
        row.id: Row(row.tenant, row.account_id, row.domain, MessageView(id=row.id, state=row.state, reason=row.reason))
        for row in connection.execute(_ROWS, {"ids": ids})
    }


def _arrays(changes: Sequence[Change]) -> dict[str, list[Any]]:
    return {
        "ids": [change.id for change in changes],
        "accounts": [change.account_id for change in changes],
        "domains": [change.domain for change in changes],
        "states": [change.state.value for change in changes],
        "reasons": [change.reason for change in changes],
    }


def _explain(error: exc.DBAPIError) -> str:
    """The kind of error: what PostgreSQL says of it may repeat the value."""
    code = getattr(error.orig, "sqlstate", None)
    return f"{type(error.orig).__name__} ({code})" if code else str(error.orig)


def _row(message: BilledMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "tenant": message.tenant,
        "account_id": message.account_id,
        "billing_type": message.billing_type.value,
        "domain": message.domain,
        "recipient": message.to,
        "body": message.body,
        "amount_micros": micros(message.charge.amount),
        "currency": message.charge.currency,
        "state": message.outcome.value,
        "reason": message.reason,
        "accepted_at": message.accepted_at,
    }
