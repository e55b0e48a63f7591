"""What became of a message: Redis, else the row that its sink wrote, else the ledger. be-messaging only reads here.

Promise: what is put back into Redis is a state that stays, or `sent`, which only a provider's receipt replaces: its
sink tells Redis by itself, and a state of a lower rank never replaces one of a higher. A dead letter may be replayed,
and what was charged goes on: these are asked of the database each time. Of a message whose row may have gone with its
time (`retention`) the ledger alone says nothing: it would be `charged` again.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, Select, func, literal, select, true, union_all

from messaging_api.access import Tenant
from messaging_api.account import EntryKind
from messaging_api.message import MessageState, MessageView, message_cache_key
from messaging_api.topology import Retention
from messaging_processors.messaging.reading import read_through
from messaging_processors.messaging.retention import age
from messaging_processors.messaging.storing import reading
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.schema import ledger_entries, messages

_BILLED = {
    EntryKind.CHARGE.value: MessageState.CHARGED,
    EntryKind.REFUSAL.value: MessageState.REFUSED,
    EntryKind.EXPIRY.value: MessageState.EXPIRED,
}
_REMEMBERED = frozenset(
    {MessageState.SENT, MessageState.DELIVERED, MessageState.FAILED, MessageState.REFUSED, MessageState.EXPIRED}
)


class Messages:
    """Finds messages; raises `Away` when only the database could answer and it is away. Thread-safe."""

    def __init__(self, engine: Engine, cache: Cache, health: Health, retention: Retention) -> None:
        self._engine = engine
        self._cache = cache
        self._health = health
        self._has_its_row = _younger_than(retention)

    def find(self, tenant: Tenant, message_id: UUID) -> MessageView | None:
        """The message's state; None before it is stored, after its retention, and for other tenants'."""
        keys = {message_id: message_cache_key(tenant, message_id)}
        found = read_through(self._cache, keys, MessageView, lambda _: self._stored(tenant, message_id), _is_remembered)
        return found.get(message_id)

    def _stored(self, tenant: Tenant, message_id: UUID) -> dict[UUID, MessageView]:
        with reading(self._engine, self._health) as connection:
            row = connection.execute(_row_or_entry(tenant, message_id, self._has_its_row)).first()
        if row is None:
            return {}
        state = _BILLED.get(row.state) or MessageState(row.state)
        return {message_id: MessageView(id=message_id, state=state, reason=row.reason)}


def _younger_than(retention: Retention) -> ColumnElement[bool]:
    if not retention.messages:
        return true()
    return ledger_entries.c.recorded_at > func.now() - timedelta(seconds=age(retention.messages))


def _row_or_entry(tenant: Tenant, message_id: UUID, counts: ColumnElement[bool]) -> Select[tuple[str, str]]:
    """One statement, so that a row that appears meanwhile is not missed between two."""
    row = select(literal(0).label("place"), messages.c.state.label("state"), messages.c.reason.label("reason")).where(
        messages.c.tenant == tenant, messages.c.id == message_id
    )
    entry = select(literal(1), ledger_entries.c.kind, ledger_entries.c.reason).where(
        ledger_entries.c.tenant == tenant, ledger_entries.c.id == message_id, ledger_entries.c.kind.in_(_BILLED), counts
    )
    found = union_all(row, entry).subquery()
    return select(found.c.state, found.c.reason).order_by(found.c.place).limit(1)


def _is_remembered(message: MessageView) -> bool:
    return message.state in _REMEMBERED
