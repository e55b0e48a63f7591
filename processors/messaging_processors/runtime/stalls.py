"""Partitions that a client has stopped reading without a word; `Reader` gives such a client up for another.

Its threads race when the group changes: what starts, seeks or resumes a partition may be thrown away as outdated
(librdkafka 2.16, its issue 5591). Then the client fetches no more, and only Kafka knows that there is more.

Promise: told of a partition once it has stood still for `STALL_SECONDS` after Kafka had more of it; never of one that
moves, that somebody holds, or whose client has so much that it asks for no more.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from messaging_processors.runtime.connection import QUEUE_KILOBYTES, Statistics
from messaging_processors.runtime.records import Position

STALL_SECONDS = 10.0


@dataclass
class _Still:
    """A partition at one offset: since when that is known, and where its records ended then, -1 if nobody has asked."""

    offset: int
    since: float
    end: int = -1


class Stalls:
    """Which partitions stand still. Not thread-safe."""

    def __init__(self) -> None:
        self._still: dict[Position, _Still] = {}
        self._now = 0.0

    def look(self, statistics: Statistics, read: Collection[Position]) -> None:
        """Once a second; `read` are the partitions that the client is to fetch now."""
        self._now = statistics["ts"] / 1_000_000
        still = ((at, self._still.get(at), offset) for at, offset in _next_offsets(statistics).items() if at in read)
        self._still = {
            at: known if known and known.offset == offset else _Still(offset, self._now) for at, known, offset in still
        }

    def find(self, end: Callable[[Position], int]) -> Position | None:
        """One that has stopped; asks for the `end`, behind all that is committed, of what has stood still for long."""
        for position, still in self._still.items():
            if self._now - still.since < STALL_SECONDS:
                continue
            if still.end > still.offset:
                return position
            still.since = self._now
            still.end = end(position)
        return None


def _next_offsets(statistics: Statistics) -> dict[Position, int]:
    """What is fetched next of each partition of which nothing waits; none where the queue of all is full."""
    partitions = [
        ((topic["topic"], partition["partition"]), partition)
        for topic in statistics["topics"].values()
        for partition in topic["partitions"].values()
    ]
    if sum(partition["fetchq_size"] for _, partition in partitions) >= QUEUE_KILOBYTES * 1024:
        return {}
    return {at: partition["next_offset"] for at, partition in partitions if not partition["fetchq_cnt"]}
