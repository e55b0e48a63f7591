"""What one world looked like once it was quiet, as values: what the checker is given.

Amounts are millionths of the currency's unit, as in the database. Times are seconds of this machine's clock.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from messaging_api.account import EntryKind
from messaging_api.message import MessageState
from messaging_api.topology import BillingType
from messaging_processors.runtime.records import Position

Place = tuple[str, int, int]
"""Topic, partition, offset."""
DECISIONS = (EntryKind.CHARGE, EntryKind.REFUSAL, EntryKind.EXPIRY)
"""What billing decides of a message: exactly one of these."""


class Outcome(StrEnum):
    """What a caller knows of its request."""

    OK = "ok"
    FAIL = "fail"
    """Every attempt was refused for certain."""
    UNKNOWN = "unknown"
    """Some attempt may have come through, and none is known to have."""


@dataclass(frozen=True)
class Sending:
    """A message as its sender knows it; `id` is what the key makes it, `answered` what was answered."""

    id: UUID
    key: str
    account: str
    domain: str
    seq: int
    to: str
    body: str
    outcome: Outcome
    t_send: float = 0.0
    t_done: float = 0.0
    attempts: int = 1
    answered: str = ""
    ordered: bool = True
    """Sent after the answer to the one before of the same account and domain."""
    valid_for: str = ""
    """Empty: it has no end."""


@dataclass(frozen=True)
class Payment:
    """A top-up as its sender knows it."""

    id: UUID
    account: str
    micros: int
    outcome: Outcome


@dataclass(frozen=True)
class Account:
    """A row of `accounts`."""

    id: str
    billing_type: BillingType
    balance: int
    credit_limit: int | None = None


@dataclass(frozen=True)
class Entry:
    """A row of `ledger_entries`."""

    id: UUID
    sequence: int
    account: str
    kind: EntryKind
    amount: int
    balance: int
    message_id: UUID | None = None
    domain: str = ""
    segments: int = 0
    free_segments: int = 0
    refundable: bool = False
    reason: str = ""
    source: Place | None = None
    recorded_at: datetime | None = None


@dataclass(frozen=True)
class Row:
    """A row of `messages`."""

    id: UUID
    account: str
    domain: str
    state: MessageState
    amount: int
    accepted_at: datetime
    updated_at: datetime | None = None


@dataclass(frozen=True)
class Remembered:
    """What Redis holds of a message."""

    id: UUID
    state: MessageState


@dataclass(frozen=True)
class Call:
    """What the third party was asked, in the order of arrival; `effective` where it did what it was asked for.

    `refused` where it said that it never will.
    """

    key: UUID
    body: str
    effective: bool
    refused: bool = False


@dataclass(frozen=True)
class Receipt:
    """What the third party says became of a message, as it was accepted."""

    id: UUID
    state: MessageState


@dataclass(frozen=True)
class Billed:
    """A record of a domain topic; `amount` is what it says that the message cost."""

    place: Place
    id: UUID
    amount: int
    replayed: bool = False


@dataclass(frozen=True)
class Content:
    """What a record has itself: nothing of what dead letters add."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass(frozen=True)
class Letter:
    """A dead letter; `original` is the record that it was, at `source`. Where nobody can read an id there is none."""

    place: Place
    processor: str
    error: str
    source: Place
    id: UUID | None = None
    content: Content | None = field(default=None, repr=False)
    original: Content | None = field(default=None, repr=False)

    @property
    def by_billing(self) -> bool:
        """Else by a sink."""
        return self.processor.startswith("billing")


@dataclass(frozen=True)
class Progress:
    """How far a group is in a partition; `end` is the offset behind the last record, and 0 where there is none."""

    group: str
    topic: str
    partition: int
    committed: int
    end: int


@dataclass(frozen=True)
class LogLine:
    """A line that a processor wrote."""

    pod: str
    text: str


@dataclass(frozen=True)
class End:
    """Of a process that nobody had told to end."""

    pod: str
    code: int


@dataclass(frozen=True)
class Freeze:
    """A time in which some process stood still."""

    began: datetime
    ended: datetime


@dataclass(frozen=True)
class Observed:
    """Everything."""

    sendings: tuple[Sending, ...] = ()
    payments: tuple[Payment, ...] = ()
    accounts: tuple[Account, ...] = ()
    entries: tuple[Entry, ...] = ()
    rows: tuple[Row, ...] = ()
    remembered: tuple[Remembered, ...] = ()
    calls: tuple[Call, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    billed: tuple[Billed, ...] = ()
    letters: tuple[Letter, ...] = ()
    markers: tuple[Place, ...] = ()
    """The letter of each record that says that it was put back."""
    inputs: tuple[UUID, ...] = ()
    """The ids on the accepted topics; a retry that came through twice is there twice."""
    progress: tuple[Progress, ...] = ()
    open_topics: tuple[str, ...] = ()
    """Topics with records of a transaction that has not ended."""
    unmarked: tuple[Position, ...] = ()
    """Where Kafka has left a transaction without its end, as often as it said so itself."""
    ends: tuple[End, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    logs: tuple[LogLine, ...] = field(default=(), repr=False)

    @property
    def decisions(self) -> tuple[Entry, ...]:
        """The entries that billing made of messages."""
        return tuple(entry for entry in self.entries if entry.kind in DECISIONS)

    @property
    def replayed(self) -> frozenset[Place]:
        """Letters that were put back."""
        return frozenset(self.markers)
