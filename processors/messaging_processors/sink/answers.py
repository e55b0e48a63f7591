"""What a third party's answers mean, pure; `third_party` asks.

2xx, whatever its content            sent
401, 402, 403, 404, 405, 407, 408,   the third party cannot be used, be it for want of money (402): nobody's message
421, 425, 426, 429, 5xx, 3xx         is at fault
409, 502, 504                        the same, and it may have taken the message: an earlier attempt may still be
                                     under way, or a proxy in front of it did not wait
any other 4xx                        this message is refused for good
"""

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

_NOT_THE_MESSAGE_S_FAULT = (401, 402, 403, 404, 405, 407, 408, 409, 421, 425, 426, 429)
_PERHAPS_TAKEN = (409, 502, 504)


@dataclass(frozen=True, slots=True)
class Sent:
    """The third party took the message."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The third party will never take this message."""

    status: int


@dataclass(frozen=True, slots=True)
class Late:
    """The message's time was over before it could be sent."""


Answer = Sent | Refused | Late


def meaning(status: int) -> Answer | None:
    """What an HTTP status says of the message; None where it says nothing."""
    if 200 <= status < 300:
        return Sent()
    if 400 <= status < 500 and status not in _NOT_THE_MESSAGE_S_FAULT:
        return Refused(status)
    return None


def may_be_taken(status: int) -> bool:
    """Whether the third party may have the message in spite of what it answered."""
    return status in _PERHAPS_TAKEN


def retry_after(text: str, now: datetime) -> float | None:
    """Seconds until the third party wants to be asked again: it gives them, or a date (RFC 9110, 10.2.3)."""
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # the last one: a date beyond all calendars
        return None
