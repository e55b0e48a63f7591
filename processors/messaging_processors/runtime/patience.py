"""What a client of Kafka's gets over by itself, and for how long; `Reader` gives up one that does not get over it.

Promise: what was not seen again after its time is not `spent`, nor is what has ended since.
"""

import time
from collections.abc import Callable
from enum import StrEnum


class Trouble(StrEnum):
    """What passes, as a rule."""

    UNSETTLED = "the group has told it nothing for long"
    UNMOVED = "partitions could not be rewound for long"
    REFUSED = "the group has taken no offsets of it for long"


SECONDS = {
    # More than a group waits for its members (`max.poll.interval.ms`).
    Trouble.UNSETTLED: 90.0,
    Trouble.REFUSED: 90.0,
    Trouble.UNMOVED: 15.0,
}


class Patience:
    """Since when, and when last, each trouble was seen. Not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[Trouble, tuple[float, float]] = {}

    def note(self, trouble: Trouble, lasts: bool) -> None:
        """Whenever it is known."""
        if lasts:
            now = self._clock()
            self._seen[trouble] = self._seen.get(trouble, (now, now))[0], now
        else:
            self._seen.pop(trouble, None)

    def spent(self) -> Trouble | None:
        """One that has lasted for too long."""
        return next((one for one, (first, last) in self._seen.items() if last - first > SECONDS[one]), None)
