"""The sinks' rows; `main` calls it. Every call is one transaction of a fixed number of statements, whatever the batch.

Raises `Away` when the database is. A row stands for a message that arrived here, whether it was read once or often.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, exc, text

from messaging_api.message import ChargedMessage, MessageState
from messaging_processors.runtime.database import describe, ensure_schema, probe, transaction

_TYPES = {
    "id": "uuid",
    "account_id": "text",
    "billing_type": "text",
    "domain": "text",
    "recipient": "text",
    "body": "text",
    "amount_micros": "bigint",
    "currency": "text",
    "state": "text",
    "accepted_at": "timestamptz",
}
# Arrays keep the statement the same for every batch size: nothing to compile or to plan anew for each.
_INSERT = text(
    f"INSERT INTO messages ({', '.join(_TYPES)})"
    f" SELECT * FROM unnest({', '.join(f'CAST(:{name} AS {type_}[])' for name, type_ in _TYPES.items())})"
    " ON CONFLICT (id) DO NOTHING"
)
_STATES = text("SELECT id, state FROM messages WHERE id = ANY(CAST(:ids AS uuid[]))")
_REOPEN = text(
    f"UPDATE messages SET state = '{MessageState.CHARGED}', updated_at = now()"
    f" WHERE id = ANY(CAST(:ids AS uuid[])) AND state = '{MessageState.DEAD_LETTERED}'"
)
_ADVANCE = text(
    "UPDATE messages SET state = news.state, updated_at = now()"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS news(id, state)"
    f" WHERE messages.id = news.id AND messages.state = '{MessageState.CHARGED}'"
)


@dataclass
class Kept:
    """The states that messages have in the database, and why some cannot be stored."""

    states: dict[UUID, MessageState] = field(default_factory=dict)
    unstorable: dict[UUID, str] = field(default_factory=dict)


class Store:
    """Rows of the table `messages`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def prepare(self) -> None:
        """Creates the tables where they are missing."""
        ensure_schema(self._engine)

    def probe(self) -> None:
        """Raises `Away` unless the database answers."""
        probe(self._engine)

    def close(self) -> None:
        """Ends the connections."""
        self._engine.dispose()

    def keep(self, messages: Sequence[ChargedMessage], replayed: Collection[UUID] = ()) -> Kept:
        """Stores what is not there yet as charged, and tells the state of all.

        A message that somebody put back from the dead letters is open again: the only way back for a state.
        """
        try:
            with transaction(self._engine) as connection:
                if replayed:
                    connection.execute(_REOPEN, {"ids": sorted(replayed)})
                return Kept(_insert(connection, messages))
        except (exc.DataError, exc.IntegrityError) as error:
            if len(messages) == 1:
                return Kept(unstorable={messages[0].id: describe(error)})
        # One row spoils the whole statement: find out which.
        kept = Kept()
        for message in messages:
            alone = self.keep([message], {message.id} & {*replayed})
            kept.states |= alone.states
            kept.unstorable |= alone.unstorable
        return kept

    def advance(self, states: Mapping[UUID, MessageState]) -> None:
        """Records what became of charged messages; a state never goes back."""
        with transaction(self._engine) as connection:
            connection.execute(_ADVANCE, {"ids": list(states), "states": [state.value for state in states.values()]})


def _insert(connection: Connection, messages: Sequence[ChargedMessage]) -> dict[UUID, MessageState]:
    # In one order everywhere, or two sinks that store the same messages could wait for each other.
    rows = sorted((_row(message) for message in messages), key=lambda row: str(row["id"]))
    connection.execute(_INSERT, {name: [row[name] for row in rows] for name in _TYPES})
    found = connection.execute(_STATES, {"ids": [row["id"] for row in rows]})
    return {row.id: MessageState(row.state) for row in found}


def _row(message: ChargedMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "account_id": message.account_id,
        "billing_type": message.billing_type.value,
        "domain": message.domain,
        "recipient": message.to,
        "body": message.body,
        "amount_micros": int(Decimal(message.charge.amount).scaleb(6)),
        "currency": message.charge.currency,
        "state": MessageState.CHARGED.value,
        "accepted_at": message.accepted_at,
    }
