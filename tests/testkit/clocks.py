"""A clock that only moves when the test says so."""

from dataclasses import dataclass


@dataclass
class Clock:
    """Called, it tells `now`."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now
