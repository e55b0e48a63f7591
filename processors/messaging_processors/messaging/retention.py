"""Ends what is personal when its time is over, counted from acceptance: texts and numbers, then the rows. Never the
ledger.

Promise: one replica at a time, in chunks that a statement's deadline covers, and rows that a sink works on are left for
the next time. A message that was charged and is not sent yet keeps its row, however old, and so does one whose state is
young: what ends it may have to pay it back. With nothing left to do it costs two looks into an index a minute.
"""

import threading
from collections.abc import Sequence

from sqlalchemy import Connection, Engine, TextClause, text

from messaging_api.base import Duration, seconds
from messaging_api.message import MessageState
from messaging_api.topology import Retention
from messaging_processors.runtime.database import DATABASE, transaction
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.process import Runtime
from messaging_processors.runtime.schema import REASON_WITHOUT_WORDS
from messaging_processors.runtime.watching import reporting, require

RETENTION = "retention"
"""Health's name for it; what cannot be erased now makes nobody unready."""
EVERY = 60.0
_PAUSE = 0.1
CHUNK = 1000
_LOCK = 0x72657461
"""Any number of our own, the same in every replica."""
_LONGEST = 100 * 365 * 86400.0
"""PostgreSQL's calendar does not go back as far as a duration may."""

_TURN = text("SELECT pg_try_advisory_xact_lock(:lock)")
_BEGIN = "now() - make_interval(secs => :seconds)"
_OLD = f"accepted_at < {_BEGIN}"
_ENDED_LONG_AGO = f"state <> '{MessageState.CHARGED}' AND updated_at < {_BEGIN}"
_SOME = "ORDER BY accepted_at LIMIT :chunk FOR UPDATE SKIP LOCKED"
_ERASE_BODIES = text(
    f"UPDATE messages SET body = '', recipient = '', reason = {REASON_WITHOUT_WORDS}"
    f" WHERE id IN (SELECT id FROM messages WHERE recipient <> '' AND {_OLD} {_SOME})"
)
_DELETE_MESSAGES = text(
    f"DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE {_ENDED_LONG_AGO} AND {_OLD} {_SOME})"
)
_DELETE_ERASURES = text(
    "DELETE FROM erasures WHERE (tenant, recipient_hash) IN (SELECT tenant, recipient_hash FROM erasures"
    f" WHERE requested_at < {_BEGIN} LIMIT :chunk FOR UPDATE SKIP LOCKED)"
)


class Sweeper:
    """Erases by and by what `retention` says."""

    def __init__(self, engine: Engine, retention: Retention, health: Health) -> None:
        self._engine = engine
        self._health = health
        self._statements: list[tuple[TextClause, float]] = []
        if retention.messages:
            self._statements = [(one, age(retention.messages)) for one in (_DELETE_MESSAGES, _DELETE_ERASURES)]
        if ages := [age(lasts) for lasts in (retention.bodies, retention.messages) if lasts]:
            self._statements.append((_ERASE_BODIES, min(ages)))
        self._more = False

    @property
    def pause(self) -> float:
        """Seconds until the next sweep."""
        return _PAUSE if self._more else EVERY

    def sweep(self) -> None:
        """One chunk of each; raises `Away` when the database is."""
        self._more = False
        if not self._statements:
            return
        require(self._health, DATABASE)
        with transaction(self._engine) as connection:
            if connection.scalar(_TURN, {"lock": _LOCK}):
                self._more = max(self._swept(connection)) == CHUNK

    def _swept(self, connection: Connection) -> Sequence[int]:
        return [
            connection.execute(statement, {"seconds": age, "chunk": CHUNK}).rowcount
            for statement, age in self._statements
        ]


def keep_sweeping(sweeper: Sweeper, runtime: Runtime) -> None:
    """Sweeps from a thread of its own until the process ends."""
    look = reporting(runtime.health, RETENTION, sweeper.sweep, required=False)

    def sweep_on() -> None:
        look()
        while not runtime.shutdown.wait(sweeper.pause):
            look()

    threading.Thread(target=sweep_on, name="retention", daemon=True).start()


def age(duration: Duration) -> float:
    """Seconds that PostgreSQL's calendar goes back."""
    return min(seconds(duration), _LONGEST)
