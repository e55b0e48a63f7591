"""Kafka records as values, pure: what was read, what is to be written, and dead letters.

A dead letter is the record as it came, bytes, key and headers untouched, plus `dlq_*` headers that say what was wrong
with it and where it comes from.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from traceback import extract_tb

from pydantic import ValidationError

from messaging_api.message import DeadLetterHeader

Headers = tuple[tuple[str, bytes | None], ...]
Position = tuple[str, int]
"""A topic and one of its partitions."""

UNREADABLE_HEADERS: Headers = ((DeadLetterHeader.HEADERS_LOST.value, b"a header's name is not UTF-8"),)
"""What stands for headers that no client could read."""
LONGEST_ERROR = 300
"""A dead letter is larger than its record: its topic has more room, and what is added is kept short."""
OUR_FAULT = "ProcessorFault"
"""The error class of a record that our own code failed on; were it every record, the rate of dead letters stops it."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int = 0

    @property
    def position(self) -> Position:
        """Where it was read."""
        return self.topic, self.partition


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be written."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record can never be processed, and how often and since when that was tried."""

    error_class: str
    message: str
    first_failed_at: datetime
    last_failed_at: datetime
    attempts: int = 1


def header(headers: Headers, name: str) -> bytes | None:
    """The value of the header `name`; None unless there is exactly one, so that all readers see the same."""
    values = [value for key, value in headers if key == name]
    return values[0] if len(values) == 1 else None


def is_replayed(record: Record) -> bool:
    """Whether somebody put it back from the dead letters."""
    return header(record.headers, DeadLetterHeader.ATTEMPTS) is not None


def next_offsets(records: Iterable[Record]) -> dict[Position, int]:
    """Where reading goes on after `records`, by partition; taken from the records alone."""
    offsets: dict[Position, int] = {}
    for record in records:
        offsets[record.position] = max(record.offset + 1, offsets.get(record.position, 0))
    return offsets


def dead_letter(record: Record, failure: Failure, topic: str, processor: str) -> Outgoing:
    """The record as it came, with `dlq_*` headers."""
    about = {
        DeadLetterHeader.PROCESSOR: processor,
        DeadLetterHeader.ERROR_CLASS: failure.error_class,
        DeadLetterHeader.ERROR_MESSAGE: failure.message[:LONGEST_ERROR],
        DeadLetterHeader.ATTEMPTS: str(failure.attempts),
        DeadLetterHeader.TOPIC: record.topic,
        DeadLetterHeader.PARTITION: str(record.partition),
        DeadLetterHeader.OFFSET: str(record.offset),
        DeadLetterHeader.FIRST_FAILED_AT: failure.first_failed_at.isoformat(),
        DeadLetterHeader.LAST_FAILED_AT: failure.last_failed_at.isoformat(),
    }
    added = tuple((name.value, text.encode()) for name, text in about.items())
    return Outgoing(topic, record.key, record.value, record.headers + added)


def explain(error: ValidationError) -> str:
    """What is wrong with a value, field by field, without the value: it may hold a number or a text."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'value'}: {problem['msg']}" for problem in problems)


def fault_at(error: Exception) -> str:
    """Where our own code failed; without the error's words, which may hold a number or a text."""
    place = extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {PurePath(place.filename).name}:{place.lineno}"
