"""Partitions that a client has stopped reading without a word; `Reader` gives such a client up for another.

Its threads race when the group changes: what starts, seeks or resumes a partition may be thrown away as outdated
(librdkafka 2.16, its issue 5591). Then the client fetches no more, and only Kafka knows that there is more.

Promise: as long as Kafka answers, told of a partition once it has stood still for `STALL_SECONDS` after Kafka had more
of it; never of one that moves, that somebody holds, or whose client has so much that it asks for no more.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from messaging_processors.runtime.connection import QUEUE_KILOBYTES, Statistics
from messaging_processors.runtime.records import Position

STALL_SECONDS = 10.0
_QUEUE_RECORDS = 100_000
"""librdkafka's `queued.min.messages`, as it is unless told otherwise."""


@dataclass
class _Still:
    """A partition at one offset: since when that is known, and where its records ended then, as far as that is."""

    offset: int
    since: float
    end: int | None = None


class Stalls:
    """Which partitions stand still. Not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._still: dict[Position, _Still] = {}
        self._looked = 0.0

    def look(self, statistics: Statistics, read: Collection[Position]) -> None:
        """Once a second; `read` are the partitions that the client is to fetch now."""
        self._looked = statistics["time"]
        still = ((at, self._still.get(at), offset) for at, offset in _next_offsets(statistics).items() if at in read)
        self._still = {
            at: known if known and known.offset == offset else _Still(offset, self._looked)
            for at, known, offset in still
        }

    def find(self, end: Callable[[Position], int | None]) -> Position | None:
        """One that has stopped; asks for the `end`, behind all that is committed, of what has stood still for long.

        How long is what the client itself has told since: it may have read on where nobody has listened to it.
        """
        for position, still in self._still.items():
            if self._looked - still.since < STALL_SECONDS:
                continue
            if still.end is not None and still.end > still.offset:
                return position
            still.since, still.end = self._clock(), end(position)
            if still.end is None:
                break
        return None


def _next_offsets(statistics: Statistics) -> dict[Position, int]:
    """What is fetched next of each partition; of none where their common queue is full."""
    partitions = [
        ((topic["topic"], partition["partition"]), partition)
        for topic in statistics["topics"].values()
        for partition in topic["partitions"].values()
    ]
    full = any(
        one["fetchq_size"] >= QUEUE_KILOBYTES * 1024 or one["fetchq_cnt"] >= _QUEUE_RECORDS for _, one in partitions
    )
    return {} if full else {at: one["next_offset"] for at, one in partitions}
