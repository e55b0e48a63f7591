"""Ends the transactions of members of the group that are gone for good; `main` wires it in.

A member that dies in mid-transaction hides its partitions' offsets from whoever takes them over, and all records after
its own from everybody who reads what is committed, until Kafka ends the transaction: 10 seconds and more. A restarted
container ends it at once, because it has the same transactional id; a pod that never comes back has left its id here,
and its successor uses that for a moment (docs/decisions/0001-transactional-ids.md).

A live member whose transaction covers a partition that is ours has lost it without knowing: it is turned away, too,
which costs it one batch. Only time depends on any of this: without the database, and where another member's id stands
here, Kafka ends the transaction in its own time.
"""

import threading
from collections.abc import Collection, Iterable

import structlog
from sqlalchemy import Engine, text

from messaging_processors.runtime import connection as kafka
from messaging_processors.runtime import database
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.records import Position
from messaging_processors.runtime.writing import NotCommitted, TransactionalWriter

_NOTE = text("""
    INSERT INTO transactional_ids (group_id, topic, partition, transactional_id)
    SELECT :group, topic, partition, :id
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS integer[])) AS mine (topic, partition)
    ON CONFLICT (group_id, topic, partition) DO UPDATE SET transactional_id = excluded.transactional_id
    WHERE transactional_ids.transactional_id <> excluded.transactional_id
""")
_FIND = text("""
    SELECT DISTINCT transactional_id
    FROM transactional_ids
    JOIN unnest(CAST(:topics AS text[]), CAST(:partitions AS integer[])) AS mine (topic, partition)
    USING (topic, partition)
    WHERE group_id = :group AND transactional_id <> :id
""")
_log = structlog.get_logger()


class Predecessors:
    """Who held which partition of the group before."""

    def __init__(self, engine: Engine, connection: kafka.Connection, group_id: str, transactional_id: str) -> None:
        self._engine = engine
        self._connection = connection
        self._we = {"group": group_id, "id": transactional_id}
        self._noted: set[Position] = set()
        self._ending: set[str] = set()

    def succeed(self, positions: Collection[Position], lost: Collection[Position]) -> None:
        """Our transactions may hold these offsets from now on; says so once, until a partition is among the `lost`.

        Call it before a transaction begins; raises `Away`.
        """
        self._noted.difference_update(lost)
        if new := set(positions) - self._noted:
            with database.transaction(self._engine) as connection:
                connection.execute(_NOTE, self._we | _columns(new))
            self._noted |= new

    def end(self, positions: Iterable[Position]) -> None:
        """Begins to end the transactions that hide these offsets, if it is known whose they are.

        Does not wait for Kafka: the offsets are there before it has a producer ready, and others are read meanwhile.
        """
        try:
            with database.transaction(self._engine) as connection:
                gone = list(connection.scalars(_FIND, self._we | _columns(positions)))
        except Away as error:
            _log.warning("whose transaction is open is not known", error=str(error))
            return
        for transactional_id in gone:
            if transactional_id not in self._ending:
                self._ending.add(transactional_id)
                threading.Thread(target=self._end, args=(transactional_id,), name="predecessor", daemon=True).start()

    def _end(self, transactional_id: str) -> None:
        writer = TransactionalWriter(self._connection, transactional_id)
        try:
            writer.prepare()
        except NotCommitted as error:
            _log.warning("transaction not ended", transactional_id=transactional_id, error=str(error))
        else:
            _log.info("the transaction of a member that is gone is ended", transactional_id=transactional_id)
        finally:
            writer.close()
            self._ending.discard(transactional_id)


def _columns(positions: Iterable[Position]) -> dict[str, list[str] | list[int]]:
    """In one order everywhere, or two members that note the same partitions could wait for each other."""
    ordered = sorted(positions)
    return {"topics": [topic for topic, _ in ordered], "partitions": [partition for _, partition in ordered]}
