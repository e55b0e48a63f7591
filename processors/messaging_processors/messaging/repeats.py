"""What is known of a message that was accepted under the same `Idempotency-Key`: Redis, else the ledger.

Promise: best effort, to tell a caller at once what it would else learn from a dead letter. Whatever is missed here, the
ledger decides: a message's id is made of its key, and it is charged once.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Engine, select

from messaging_api.message import AcceptedMessage, payload_hash
from messaging_processors.messaging.storing import reading
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.schema import ledger_entries


class Repeats:
    """Remembers what was asked for under a key. Thread-safe."""

    def __init__(self, engine: Engine, cache: Cache, health: Health) -> None:
        self._engine = engine
        self._cache = cache
        self._health = health

    def contradicting(self, messages: Sequence[AcceptedMessage]) -> list[AcceptedMessage]:
        """Those before which another message is known to have come under the same key, be it one of `messages`."""
        hashes = [payload_hash(message).hex() for message in messages]
        remembered = self._cache.get_all([_key(message) for message in messages])
        known = list(zip(messages, hashes, remembered, strict=True))
        # Of two that came at once Redis may have the other one.
        charged = self._charged({message.id for message, wanted, found in known if found != wanted})
        first: dict[UUID, str] = {}
        return [
            message
            for message, wanted, found in known
            if (charged.get(message.id) or found or first.setdefault(message.id, wanted)) != wanted
        ]

    def remember(self, messages: Sequence[AcceptedMessage]) -> None:
        """To be told of every message that Kafka has, or may have."""
        self._cache.put_absent({_key(message): payload_hash(message).hex() for message in messages})

    def _charged(self, ids: set[UUID]) -> dict[UUID, str]:
        """The payloads that billing has seen; nothing also when the database is away."""
        if not ids:
            return {}
        seen = select(ledger_entries.c.id, ledger_entries.c.payload_hash).where(
            ledger_entries.c.id.in_(ids), ledger_entries.c.payload_hash.is_not(None)
        )
        try:
            with reading(self._engine, self._health) as connection:
                return {row.id: bytes(row.payload_hash).hex() for row in connection.execute(seen)}
        except Away:
            return {}


def _key(message: AcceptedMessage) -> str:
    return f"idempotency:{message.tenant}:{message.id}"
