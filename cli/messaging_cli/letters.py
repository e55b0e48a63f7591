"""Dead letters as values, pure: what lies in a dead-letter topic, and what goes back to where it came from.

`dead_letters` reads and writes them, `commands.dlq` shows them. A letter is a record as it was, plus `dlq_*` headers.
A replayed letter stays where it is; a marker further on in the same partition says that it was replayed.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from messaging_api.message import DEAD_LETTER_PREFIX, ID_HEADER, DeadLetterHeader

T = TypeVar("T", datetime, int)
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """Where a record lies."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that could not be processed, and why. `headers` are what it had before, and how often it was tried."""

    at: Place
    source: Place
    processor: str
    error: str
    message: str
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    message_id: str
    replayed: bool
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)


@dataclass(frozen=True)
class Selection:
    """Which letters are meant; what is left out is no condition. Processors may share a dead-letter topic.

    `since` and `until` bound the last failure, `first` and `last` the offset in the dead-letter topic; all inclusive.
    """

    processor: str
    error: str | None = None
    key: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    partition: int | None = None
    first: int | None = None
    last: int | None = None

    def __call__(self, letter: Letter) -> bool:
        """Whether this is one of them."""
        return (
            letter.processor == self.processor
            and self.error in (None, letter.error)
            and (self.key is None or self.key.encode() == letter.key)
            and self.partition in (None, letter.at.partition)
            and _within(self.since, letter.last_failed_at, self.until)
            and _within(self.first, letter.at.offset, self.last)
        )


@dataclass
class Summary:
    """The letters of one processor in one topic."""

    count: int = 0
    replayed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    oldest: datetime | None = None
    newest: datetime | None = None

    def add(self, letter: Letter) -> None:
        """One more."""
        self.count += 1
        self.replayed += letter.replayed
        self.errors[letter.error] += 1
        self.oldest = min(self.oldest or letter.last_failed_at, letter.last_failed_at)
        self.newest = max(self.newest or letter.last_failed_at, letter.last_failed_at)


def read_letter(
    at: Place, key: bytes | None, value: bytes | None, headers: Headers, replayed: bool = False
) -> Letter | None:
    """None for what is no dead letter: a marker, or a record of somebody else's."""
    said = {name: readable(text or b"") for name, text in headers}  # of several the last one: ours come last
    try:
        return Letter(
            at,
            Place(
                said[DeadLetterHeader.TOPIC],
                int(said[DeadLetterHeader.PARTITION]),
                int(said[DeadLetterHeader.OFFSET]),
            ),
            said[DeadLetterHeader.PROCESSOR],
            said[DeadLetterHeader.ERROR_CLASS],
            said[DeadLetterHeader.ERROR_MESSAGE],
            attempts(headers),
            datetime.fromisoformat(said[DeadLetterHeader.FIRST_FAILED_AT]),
            datetime.fromisoformat(said[DeadLetterHeader.LAST_FAILED_AT]),
            said.get(ID_HEADER) or _id_within(value),
            replayed,
            key,
            value,
            restored(headers),
        )
    except (KeyError, ValueError):
        return None


def _within(least: T | None, value: T, most: T | None) -> bool:
    return (least is None or least <= value) and (most is None or value <= most)


def restored(headers: Headers) -> Headers:
    """What the record carries back to its source: its own headers, and how often it was tried so far."""
    own = tuple((name, text) for name, text in headers if not name.startswith(DEAD_LETTER_PREFIX))
    return (*own, (DeadLetterHeader.ATTEMPTS.value, str(attempts(headers)).encode()))


def attempts(headers: Headers) -> int:
    """In total: a replayed record brings the number of its earlier attempts along."""
    return sum(int(text) for name, text in headers if name == DeadLetterHeader.ATTEMPTS and text and text.isdigit())


def marker(letter: Letter) -> Headers:
    """What says, in the letter's own partition, that it was replayed."""
    return ((DeadLetterHeader.REPLAYED.value, str(letter.at.offset).encode()),)


def marked(at: Place, value: bytes | None, headers: Headers) -> Place | None:
    """The letter that the record at `at` says was replayed, if it is a marker."""
    match headers:
        case ((DeadLetterHeader.REPLAYED.value, bytes(offset)),) if not value and offset.isdigit():
            return Place(at.topic, at.partition, int(offset))
        case _:
            return None


def summaries(letters: Iterable[Letter]) -> dict[tuple[str, str], Summary]:
    """By processor and dead-letter topic."""
    found: dict[tuple[str, str], Summary] = {}
    for letter in letters:
        found.setdefault((letter.processor, letter.at.topic), Summary()).add(letter)
    return found


def readable(raw: bytes) -> str:
    """Text that is safe in a terminal, whatever a client has sent."""
    text = raw.decode(errors="backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _id_within(value: bytes | None) -> str:
    try:
        match json.loads(value or b""):
            case {"id": str(found)}:
                return readable(found.encode(errors="backslashreplace"))
    except (ValueError, RecursionError):
        pass
    return ""
