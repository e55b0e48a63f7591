"""The batch that a sink works on, and how far it is; `loop` changes it, step by step, over many attempts if need be."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from messaging_api.message import BilledMessage
from messaging_processors.runtime.records import Failure, Position, Record, is_replayed
from messaging_processors.sink.decoding import DeadLetter, Decoded, Item, Told
from messaging_processors.sink.rows import Change


@dataclass(frozen=True, slots=True)
class Failures:
    """How often, and since when, the third party had no answer for a message."""

    since: datetime
    count: int = 0


@dataclass
class Batch:
    """Records, the messages and receipts in them, and what is still to be done for each."""

    records: list[Record]
    items: dict[UUID, Item]
    receipts: list[Told] = field(default_factory=list)
    """Still to be applied."""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    """Still to be written."""
    kept: bool = False
    """The database has its messages."""
    to_send: set[UUID] = field(default_factory=set)
    doubtful: set[UUID] = field(default_factory=set)
    """Of those, what the third party may have: it never answered, or somebody else had them in hand before."""
    outcomes: dict[UUID, Change] = field(default_factory=dict)
    """What the database has still to be told."""
    failures: dict[UUID, Failures] = field(default_factory=dict)
    """Of messages that were tried in vain."""

    @classmethod
    def of(cls, records: list[Record], decoded: Decoded) -> "Batch":
        """A batch that was just read."""
        return cls(records, decoded.items, decoded.receipts, decoded.dead_letters)

    @property
    def messages(self) -> list[BilledMessage]:
        """All of them."""
        return [item.message for item in self.items.values()]

    @property
    def replayed(self) -> set[UUID]:
        """Messages that somebody put back from the dead letters."""
        return {key for key, item in self.items.items() if is_replayed(item.record)}

    @property
    def unsent(self) -> list[BilledMessage]:
        """Messages that the third party has not answered for, in the order in which they were read."""
        return [item.message for key, item in self.items.items() if key in self.to_send]

    @property
    def due_receipts(self) -> list[Told]:
        """Those whose message is not waiting for something else in this batch."""
        waiting = self.to_send | self.outcomes.keys()
        waiting |= {letter.ends.id for letter in self.dead_letters if letter.ends}
        return [told for told in self.receipts if told.receipt.id not in waiting]

    @property
    def is_done(self) -> bool:
        """True once its offsets may be committed."""
        return self.kept and not (self.to_send or self.outcomes or self.receipts or self.dead_letters)

    def ends(self, change: Change) -> None:
        """A message has its outcome."""
        self.to_send.discard(change.id)
        self.outcomes[change.id] = change

    def reopen(self, keys: Iterable[UUID]) -> None:
        """These are to be sent after all: the third party may have them."""
        found = {*keys}
        self.to_send |= found
        self.doubtful |= found

    def bury(self, letter: DeadLetter) -> None:
        """A record ends as a dead letter; its message does so as soon as that is written."""
        self.dead_letters.append(letter)
        if letter.ends:
            self.to_send.discard(letter.ends.id)

    def buried(self, letter: DeadLetter) -> None:
        """The letter is written."""
        self.dead_letters.remove(letter)
        if letter.ends:
            self.ends(letter.ends)

    def failed(self, keys: Iterable[UUID], now: datetime) -> None:
        """The third party had no answer for these."""
        for key in keys:
            before = self.failures.get(key, Failures(now))
            self.failures[key] = Failures(before.since, before.count + 1)

    def refused(self, key: UUID, why: str, now: datetime) -> Failure:
        """The end of a message that the third party refuses, with the attempts before."""
        before = self.failures.get(key, Failures(now))
        return Failure("Refused", why, before.since, now, before.count + 1)

    def forget(self, lost: Iterable[Position]) -> None:
        """These partitions are somebody else's now."""
        gone = set(lost)
        self.records = [record for record in self.records if record.position not in gone]
        self.dead_letters = [letter for letter in self.dead_letters if letter.record.position not in gone]
        self.receipts = [told for told in self.receipts if told.record.position not in gone]
        self.items = {key: item for key, item in self.items.items() if item.record.position not in gone}
        self.to_send &= self.items.keys()
        self.outcomes = {key: change for key, change in self.outcomes.items() if key in self.items}
        self.failures = {key: failures for key, failures in self.failures.items() if key in self.items}
