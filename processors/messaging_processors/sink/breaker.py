"""When a provider that fails is left alone, and how often it is asked again; pure but for the clock.

`third_party` asks both before every call. A circuit breaker (Nygard, Release It!) keeps calls away from a provider that
fails most of them. A retry budget (Finagle's) keeps those that are made few: a provider that stumbles under its load
must not get more of it.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from messaging_api.base import seconds
from messaging_api.topology import CircuitBreaker

FEWEST_CALLS = 5
"""In the window; the ratio of fewer says nothing."""
RETRY_RATIO = 0.1
"""Repetitions for each first attempt."""
RETRY_SAVINGS = 100.0
"""The most that first attempts leave for later."""
RETRY_RESERVE = 10.0
RETRIES_PER_SECOND = 1.0
"""Where there are no first attempts any more, what waits must go on all the same."""


class BreakerState(StrEnum):
    """What becomes of calls."""

    CLOSED = "closed"
    OPEN = "open"
    """None is made."""
    HALF_OPEN = "half-open"
    """One is made, to see."""


@dataclass(frozen=True, slots=True)
class Call:
    """One that is under way. What becomes of it says nothing any more once the state has changed."""

    generation: int


class Breaker:
    """Opens for `openFor` once `failureRatio` of the calls in `window` failed; then one call decides."""

    def __init__(self, config: CircuitBreaker, clock: Callable[[], float] = time.monotonic) -> None:
        self._ratio = float(config.failure_ratio)
        self._window = seconds(config.window)
        self._open_for = seconds(config.open_for)
        self._clock = clock
        self._calls: deque[tuple[float, bool]] = deque()
        self._failures = 0
        self._open_until = 0.0
        self._generation = 0
        self._probing = False
        self._state = BreakerState.CLOSED

    @property
    def state(self) -> BreakerState:
        """Now."""
        if self._state is BreakerState.OPEN and not self.remaining():
            self._become(BreakerState.HALF_OPEN)
        return self._state

    def remaining(self) -> float:
        """Seconds for which it stays open."""
        return max(0.0, self._open_until - self._clock()) if self._state is BreakerState.OPEN else 0.0

    @property
    def allows(self) -> bool:
        """Whether a call may be made now."""
        return self.state is not BreakerState.OPEN and not self._probing

    def begin(self) -> Call:
        """A call that it `allows` is made; its `end` must be told."""
        self._probing = self.state is BreakerState.HALF_OPEN
        return Call(self._generation)

    def end(self, call: Call, failed: bool) -> None:
        """What became of a call."""
        if call.generation != self._generation:
            return
        if self._state is BreakerState.HALF_OPEN:
            self._become(BreakerState.OPEN if failed else BreakerState.CLOSED)
        else:
            self._count(failed)

    def _count(self, failed: bool) -> None:
        now = self._clock()
        self._calls.append((now, failed))
        self._failures += failed
        while self._calls[0][0] <= now - self._window:
            self._failures -= self._calls.popleft()[1]
        if failed and len(self._calls) >= FEWEST_CALLS and self._failures >= self._ratio * len(self._calls):
            self._become(BreakerState.OPEN)

    def _become(self, state: BreakerState) -> None:
        self._state = state
        self._generation += 1
        self._probing = False
        self._calls.clear()
        self._failures = 0
        if state is BreakerState.OPEN:
            self._open_until = self._clock() + self._open_for


class RetryBudget:
    """A token bucket: first attempts and time fill it, each repetition takes one. Not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens = RETRY_RESERVE
        self._filled_at = clock()

    def first(self) -> None:
        """A message is tried for the first time."""
        self._tokens = min(RETRY_SAVINGS, self._tokens + RETRY_RATIO)

    def spend(self) -> bool:
        """Whether a message may be tried again now; that is taken."""
        self._fill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def remaining(self) -> float:
        """Seconds until time alone allows for the next one."""
        self._fill()
        return max(0.0, (1 - self._tokens) / RETRIES_PER_SECOND)

    def _fill(self) -> None:
        """Time alone fills the reserve and no more."""
        now = self._clock()
        earned = (now - self._filled_at) * RETRIES_PER_SECOND
        self._filled_at = now
        self._tokens = max(self._tokens, min(RETRY_RESERVE, self._tokens + earned))
