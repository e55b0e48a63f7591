"""How many dead letters a processor may write: billing and sinks ask before they put a record aside.

A version that misreads every record must not empty a topic into its dead letters. Promise: beyond the `_BURST` that
came together in quiet times, and the `_SHARE` of the records that went well, a processor writes one letter in
`_SECONDS_A_LETTER`; those that say nothing of the version are not counted. Who asks leaves the first record that has no
room, and all behind it, in its topic.
"""

import time
from collections.abc import Callable

DEAD_LETTER_RATE = "dead-letter-rate"
_BURST = 100.0
_SHARE = 0.05
_SECONDS_A_LETTER = 6.0
_OPENS_AT = 10.0


class DeadLetterRate:
    """A token bucket. Once empty it stays shut until `_OPENS_AT` letters have room: health shall not flutter."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens = _BURST
        self._seen = clock()
        self._shut = False

    def room(self) -> int:
        """How many letters may be written now."""
        self._refill()
        self._shut = self._shut and self._tokens < _OPENS_AT
        return 0 if self._shut else int(self._tokens)

    def written(self, letters: int, good: int) -> None:
        """So many letters were written, and so many records went well."""
        self._tokens -= letters
        self._refill(good * _SHARE)
        self._shut = self._shut or self._tokens < 1

    def seconds(self) -> float:
        """Until there is room again if nothing goes well meanwhile; 0 while there is."""
        return 0.0 if self.room() else (_OPENS_AT - self._tokens) * _SECONDS_A_LETTER

    @property
    def why(self) -> str:
        """What health is told while there is no room."""
        return (
            f"more than {_BURST:g} records went to the dead letters, and the next would, too: the rest waits in its"
            f" topic, for {self.seconds():.0f} s; look at the newest letters' errors, and at what was changed last"
        )

    def _refill(self, more: float = 0.0) -> None:
        now = self._clock()
        self._tokens = min(_BURST, self._tokens + more + (now - self._seen) / _SECONDS_A_LETTER)
        self._seen = now
