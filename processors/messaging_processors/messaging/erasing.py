"""Erases what is stored about a subscriber: the number and the texts of a tenant's messages, never the ledger."""

from hashlib import sha256

from sqlalchemy import Engine, func, text, update
from sqlalchemy.dialects.postgresql import insert

from messaging_api.access import Tenant
from messaging_api.message import PhoneNumber
from messaging_processors.messaging.storing import changing
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.schema import erasures, messages

# A sink that is just storing a message of this number has its erasures looked up either after our commit, or is waited
# for here: its INSERT and this lock exclude each other. Reads go on.
_NOBODY_STORES = text("LOCK TABLE messages IN SHARE ROW EXCLUSIVE MODE")


class Erasures:
    """Thread-safe."""

    def __init__(self, engine: Engine, health: Health) -> None:
        self._engine = engine
        self._health = health

    def erase(self, tenant: Tenant, number: PhoneNumber, deadline: float) -> int:
        """Erases the stored messages and gives their number; raises as `changing` does.

        It is recorded, too, for the sinks: what was accepted before and is stored later is stored without number and
        text.
        """
        record = insert(erasures).values(tenant=tenant, recipient_hash=recipient_hash(number), requested_at=func.now())
        again = record.on_conflict_do_update(
            index_elements=["tenant", "recipient_hash"], set_={"requested_at": func.now()}
        )
        theirs = (messages.c.tenant == tenant, messages.c.recipient == number)
        with changing(self._engine, self._health, deadline) as connection:
            connection.execute(_NOBODY_STORES)
            connection.execute(again)
            return connection.execute(update(messages).where(*theirs).values(recipient="", body="")).rowcount


def recipient_hash(number: PhoneNumber) -> bytes:
    """SHA-256: what the record of an erasure has instead of the number."""
    return sha256(number.encode()).digest()
