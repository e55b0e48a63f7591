"""How long to wait before the next attempt; billing and sinks call it."""

import random
import time
from collections.abc import Callable

_FIRST = 0.2
_FACTOR = 2.0
_LONGEST = 10.0
LONGEST_ASKED_FOR = 300.0
"""Seconds; who asks for more is asked again all the same."""
_JITTER = 0.2
LONGEST_WAIT = _LONGEST * (1 + _JITTER)
"""Between two attempts, where the other side does not ask for more."""


class Backoff:
    """Grows with every failure in a row. It only says when to go on: nobody sleeps."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._until = 0.0

    def failed(self, retry_after: float | None = None) -> float:
        """Notes a failure and returns the seconds to wait: as long as the other side asked for, if it did."""
        longer = min(_LONGEST, _FIRST * _FACTOR**self._failures) * random.uniform(1 - _JITTER, 1 + _JITTER)
        self._failures = min(self._failures + 1, 30)
        seconds = longer if retry_after is None else max(longer, min(retry_after, LONGEST_ASKED_FOR))
        self._until = self._clock() + seconds
        return seconds

    def succeeded(self) -> None:
        """The next failure is the first again."""
        self._failures = 0
        self._until = 0.0

    def remaining(self) -> float:
        """Seconds left to wait."""
        return max(0.0, self._until - self._clock())
