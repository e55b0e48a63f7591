"""Ends the transactions that hide the group's offsets; `main` wires it in.

A member that dies in mid-transaction hides its partitions' offsets from whoever takes them over, and all records after
its own from everybody who reads what is committed, until Kafka ends the transaction: 10 seconds and more. A restarted
container ends it at once, because it has the same transactional id; a pod that never comes back has left its id here,
and its successor uses that for a moment (docs/decisions/0001-transactional-ids.md).

A live member whose transaction covers a partition that is ours has lost it without knowing: it is turned away, too,
which costs it one batch. Only time depends on that: without the database, and where another member's id stands here,
Kafka ends the transaction in its own time.

Not so where Kafka has lost sight of a transaction (`TransactionalWriter.release`). What a fresh producer of ours finds
hidden under our id, and what stays hidden although another's was ended, is released.
"""

import math
import threading
import time
from collections.abc import Collection, Iterable, Sequence

import structlog
from sqlalchemy import Engine, text

from messaging_processors.runtime import connection as kafka
from messaging_processors.runtime import database
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.kafka import Reader
from messaging_processors.runtime.records import Position
from messaging_processors.runtime.writing import NotCommitted, TransactionalWriter

_NOTE = text("""
    INSERT INTO transactional_ids (group_id, topic, partition, transactional_id)
    SELECT :group, topic, partition, :id
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS integer[])) AS mine (topic, partition)
    ON CONFLICT (group_id, topic, partition) DO UPDATE SET transactional_id = excluded.transactional_id
    WHERE transactional_ids.transactional_id <> excluded.transactional_id
""")
_OURS = text("SELECT topic, partition FROM transactional_ids WHERE group_id = :group AND transactional_id = :id")
_FIND = text("""
    SELECT DISTINCT transactional_id
    FROM transactional_ids
    JOIN unnest(CAST(:topics AS text[]), CAST(:partitions AS integer[])) AS mine (topic, partition)
    USING (topic, partition)
    WHERE group_id = :group AND transactional_id <> :id
""")
ENDED = "what hid the group's offsets is ended"
_PATIENCE_SECONDS = 2.0
"""What is still hidden so long after its transaction was ended is hidden for ever."""
_FORGOTTEN_SECONDS = 60.0
"""What is hidden then is something new."""
_log = structlog.get_logger()


class Predecessors:
    """Who held which partition of the group before."""

    def __init__(
        self,
        engine: Engine,
        connection: kafka.Connection,
        group_id: str,
        transactional_id: str,
        outputs: Sequence[str],
    ) -> None:
        """`outputs` are the topics that all members write to."""
        self._engine = engine
        self._connection = connection
        self._outputs = outputs
        self._we = {"group": group_id, "id": transactional_id}
        self._noted: set[Position] = set()
        self._ending: set[str] = set()
        self._ended_at: dict[str, float] = {}

    def succeed(self, positions: Collection[Position], lost: Collection[Position]) -> None:
        """Our transactions may hold these offsets from now on; says so once, until a partition is among the `lost`.

        Call it before a transaction begins; raises `Away`.
        """
        self._noted.difference_update(lost)
        if new := set(positions) - self._noted:
            with database.transaction(self._engine) as connection:
                connection.execute(_NOTE, self._we | _columns(new))
            self._noted |= new

    def release_ours(self, writer: TransactionalWriter, reader: Reader) -> bool:
        """False as long as it is not known whether there is something. Call it with a fresh producer of ours.

        Raises `Away` and `NotCommitted`. Where something was released our `writer` has no producer any more.
        """
        with database.transaction(self._engine) as connection:
            ours = [(row.topic, row.partition) for row in connection.execute(_OURS, self._we)]
        hidden = bool(ours) and reader.are_hidden(ours, (self._outputs[-1], 0))
        if hidden:
            writer.release(reader.nobody, self._outputs)
            _log.info(ENDED, transactional_id=self._we["id"])
        return hidden is not None

    def end(self, positions: Collection[Position], nobody: object) -> None:
        """Begins to end what hides these offsets, if it is known whose it is; `nobody` is the reader's.

        Does not wait for Kafka: the offsets are there before it has a producer ready, and others are read meanwhile.
        """
        try:
            with database.transaction(self._engine) as connection:
                gone = list(connection.scalars(_FIND, self._we | _columns(positions)))
        except Away as error:
            _log.warning("whose transaction is open is not known", error=str(error))
            return
        for transactional_id in gone:
            if transactional_id not in self._ending and self._ended_since(transactional_id) >= _PATIENCE_SECONDS:
                self._ending.add(transactional_id)
                threading.Thread(
                    target=self._end, args=(transactional_id, nobody), name="predecessor", daemon=True
                ).start()

    def _ended_since(self, transactional_id: str) -> float:
        return time.monotonic() - self._ended_at.get(transactional_id, -math.inf)

    def _end(self, transactional_id: str, nobody: object) -> None:
        writer = TransactionalWriter(self._connection, transactional_id)
        try:
            if self._ended_since(transactional_id) >= _FORGOTTEN_SECONDS:
                writer.prepare()
                self._ended_at[transactional_id] = time.monotonic()
            else:
                writer.release(nobody, self._outputs)
                del self._ended_at[transactional_id]
        except NotCommitted as error:
            _log.warning("transaction not ended", transactional_id=transactional_id, error=str(error))
        else:
            _log.info(ENDED, transactional_id=transactional_id)
        finally:
            writer.close()
            self._ending.discard(transactional_id)


def _columns(positions: Iterable[Position]) -> dict[str, list[str] | list[int]]:
    """In one order everywhere, or two members that note the same partitions could wait for each other."""
    ordered = sorted(positions)
    return {"topics": [topic for topic, _ in ordered], "partitions": [partition for _, partition in ordered]}
