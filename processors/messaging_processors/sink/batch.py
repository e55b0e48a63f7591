"""The batch that a sink works on, and how far it is; `main` changes it, step by step, over many attempts if need be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from messaging_api.message import ChargedMessage, DeadLetterHeader, MessageState
from messaging_processors.runtime.records import Failure, Position, Record, header
from messaging_processors.sink.decoding import DeadLetter, Item


@dataclass(frozen=True, slots=True)
class Failures:
    """How often, and since when, the third party had no answer for a message."""

    since: datetime
    count: int = 0


@dataclass
class Batch:
    """Records, the messages in them, and what is known of each message."""

    records: list[Record]
    items: dict[UUID, Item]
    dead_letters: list[DeadLetter] = field(default_factory=list)
    """Still to be written."""
    states: dict[UUID, MessageState] = field(default_factory=dict)
    """As the database has them; empty until it was asked."""
    outcomes: dict[UUID, MessageState] = field(default_factory=dict)
    """What the database has still to be told."""
    failures: dict[UUID, Failures] = field(default_factory=dict)
    """Of messages that were tried in vain."""

    @property
    def unstored(self) -> list[ChargedMessage]:
        """Messages that the database was not asked about."""
        return [item.message for key, item in self.items.items() if key not in self.states]

    @property
    def replayed(self) -> set[UUID]:
        """Messages that somebody put back from the dead letters."""
        return {key for key, item in self.items.items() if header(item.record.headers, DeadLetterHeader.ATTEMPTS)}

    @property
    def unsent(self) -> list[ChargedMessage]:
        """Messages that the third party has not answered for, in the order in which they were read."""
        open_ones = {key for key, state in self.states.items() if state is MessageState.CHARGED} - self.outcomes.keys()
        return [item.message for key, item in self.items.items() if key in open_ones]

    def learn(self, states: Mapping[UUID, MessageState]) -> None:
        """The database has these states now."""
        self.states |= states
        self.outcomes = {key: state for key, state in self.outcomes.items() if key not in states}

    def failed(self, keys: Iterable[UUID], now: datetime) -> None:
        """The third party had no answer for these."""
        for key in keys:
            before = self.failures.get(key, Failures(now))
            self.failures[key] = Failures(before.since, before.count + 1)

    def refused(self, key: UUID, why: str, now: datetime) -> Failure:
        """The end of a message that the third party refuses, with the attempts before."""
        before = self.failures.get(key, Failures(now))
        return Failure("Refused", why, before.since, now, before.count + 1)

    def reject(self, letter: DeadLetter, key: UUID) -> None:
        """The message cannot even be stored: it leaves the batch as a dead letter."""
        self.dead_letters.append(letter)
        del self.items[key]

    def forget(self, lost: Iterable[Position]) -> None:
        """These partitions are somebody else's now."""
        gone = set(lost)
        self.records = [record for record in self.records if record.position not in gone]
        self.dead_letters = [letter for letter in self.dead_letters if letter.record.position not in gone]
        self.items = {key: item for key, item in self.items.items() if item.record.position not in gone}
        self.states = {key: state for key, state in self.states.items() if key in self.items}
        self.outcomes = {key: state for key, state in self.outcomes.items() if key in self.items}
        self.failures = {key: failures for key, failures in self.failures.items() if key in self.items}
