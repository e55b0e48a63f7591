"""Erases what is stored about a subscriber: the number and the texts of a tenant's messages, never the ledger."""

from hashlib import sha256

from sqlalchemy import Engine, func, text
from sqlalchemy.dialects.postgresql import insert

from messaging_api.access import Tenant
from messaging_api.message import PhoneNumber, message_cache_key
from messaging_processors.messaging.storing import changing
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.schema import REASON_WITHOUT_WORDS, erasures

# A sink that is just storing a message of this number has its erasures looked up either after our commit, or is waited
# for here: its INSERT and this lock exclude each other, and so do its row locks, or it could wait for us while we wait
# for one of its rows. Reads go on.
_NOBODY_STORES = text("LOCK TABLE messages IN EXCLUSIVE MODE")
_ERASE = text(
    f"UPDATE messages SET recipient = '', body = '', reason = {REASON_WITHOUT_WORDS}"
    " WHERE tenant = :tenant AND recipient = :number RETURNING id"
)


class Erasures:
    """Thread-safe."""

    def __init__(self, engine: Engine, cache: Cache, health: Health) -> None:
        self._engine = engine
        self._cache = cache
        self._health = health

    def erase(self, tenant: Tenant, number: PhoneNumber, deadline: float) -> int:
        """Erases the stored messages and gives their number; raises as `changing` does.

        It is recorded, too, for the sinks: what was accepted before and is stored later is stored without number and
        text. Redis forgets what a provider said of the messages, at the latest when their time there is over.
        """
        record = insert(erasures).values(tenant=tenant, recipient_hash=recipient_hash(number), requested_at=func.now())
        again = record.on_conflict_do_update(
            index_elements=["tenant", "recipient_hash"], set_={"requested_at": func.now()}
        )
        with changing(self._engine, self._health, deadline) as connection:
            connection.execute(_NOBODY_STORES)
            connection.execute(again)
            erased = connection.scalars(_ERASE, {"tenant": tenant, "number": number}).all()
        if erased:
            self._cache.drop(*(message_cache_key(tenant, message_id) for message_id in erased))
        return len(erased)


def recipient_hash(number: PhoneNumber) -> bytes:
    """SHA-256: what the record of an erasure has instead of the number."""
    return sha256(number.encode()).digest()
