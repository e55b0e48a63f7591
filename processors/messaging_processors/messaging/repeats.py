"""What is known of a message that was accepted under the same `Idempotency-Key`: Redis, else the ledger.

Promise: best effort, to tell a caller at once what it would else learn from a dead letter. Whatever is missed here, the
ledger decides: a message's id is made of its key, and it is charged once.
"""

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

    def contradicts(self, message: AcceptedMessage) -> bool:
        """True if another message is known to have come under the same key."""
        wanted = payload_hash(message).hex()
        remembered = self._cache.get(_key(message))
        if remembered == wanted:
            return False
        # Of two that came at once Redis may have the other one.
        return (self._charged(message) or remembered or wanted) != wanted

    def remember(self, message: AcceptedMessage) -> None:
        """To be told of every message that Kafka has, or may have."""
        self._cache.put_absent(_key(message), payload_hash(message).hex())

    def _charged(self, message: AcceptedMessage) -> str | None:
        """The payload that billing has seen; None also when the database is away."""
        try:
            with reading(self._engine, self._health) as connection:
                seen = select(ledger_entries.c.payload_hash).where(ledger_entries.c.id == message.id)
                found = connection.scalar(seen)
        except Away:
            return None
        return None if found is None else bytes(found).hex()


def _key(message: AcceptedMessage) -> str:
    return f"idempotency:{message.tenant}:{message.id}"
