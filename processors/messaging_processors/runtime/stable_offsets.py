"""What open transactions keep from being read, and for how long one is late. `Reader` shows what its client tells.

Promise: a transaction that nobody ends counts as late before Kafka ends it; one that a successor ends usually does not.
"""

from collections.abc import Collection
from typing import NamedTuple

from messaging_processors.runtime import metrics
from messaging_processors.runtime.connection import QUEUE_KILOBYTES, Statistics, is_connected
from messaging_processors.runtime.records import Position

LATE_SECONDS = 7.5
"""More than a batch takes, or a successor to end its predecessor's; two looks less than Kafka leaves one open."""


_Place = tuple[Position, int]
"""A partition, and the offset at which its first open transaction begins."""


class _Blocked(NamedTuple):
    """A partition that has records behind the beginning of an open transaction."""

    position: Position
    place: _Place
    records: int
    is_fresh: bool


class StableOffsets:
    """Where the first open transaction of each partition begins, and for how long that has been seen.

    Of what is paused the client knows old offsets only: such time does not count, nor does it end what was counted.
    """

    def __init__(self) -> None:
        self._seen: dict[_Place, float] = {}
        """In seconds."""
        self._fresh: set[_Place] = set()
        self._looked = 0.0

    def look(self, statistics: Statistics, assigned: Collection[Position], paused: Collection[Position]) -> None:
        """Once a second."""
        now = statistics["ts"] / 1_000_000
        blocked = [partition for partition in _blocked(statistics) if partition.position in assigned]
        read = [partition for partition in blocked if partition.position not in paused]
        metrics.BLOCKED.set(sum(partition.records for partition in read))
        fresh = {partition.place for partition in read if partition.is_fresh}
        still, passed = fresh & self._fresh, now - self._looked
        self._seen = {one.place: self._seen.get(one.place, 0.0) + passed * (one.place in still) for one in blocked}
        late = max((self._seen[place] for place in still), default=0.0) - LATE_SECONDS
        metrics.LATE.inc(max(0.0, min(late, passed)))
        self._fresh, self._looked = fresh, now


def _blocked(statistics: Statistics) -> list[_Blocked]:
    """As far as is known, which is old where the client is not connected, or has so much that it asks for no more."""
    connected = is_connected(statistics)
    return [
        _Blocked(
            position := (topic["topic"], partition["partition"]),
            (position, partition["ls_offset"]),
            partition["hi_offset"] - partition["ls_offset"],
            connected and partition["fetchq_size"] < QUEUE_KILOBYTES * 1024,
        )
        for topic in statistics["topics"].values()
        for partition in topic["partitions"].values()
        if partition["hi_offset"] > partition["ls_offset"] >= 0
    ]
