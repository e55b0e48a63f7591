"""The mistakes; each changes what billing is put together from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from messaging_processors.billing import emitting
from messaging_processors.billing import main as billing
from messaging_processors.billing.deciding import Decision, Emission
from messaging_processors.billing.handling import Letter, Priced
from messaging_processors.billing.ledger import Ledger
from messaging_processors.runtime import connection, kafka, writing
from messaging_processors.runtime.connection import Connection
from messaging_processors.runtime.kafka import Batch, Reader
from messaging_processors.runtime.records import Record
from messaging_processors.runtime.writing import DeadLetterWriter, TransactionalWriter

_POLLS = 30
"""So many that a rebalance begins and ends in them."""


class MetadataAfterAnotherPoll(Reader):
    """Stays in the group while it works, and takes the proof of membership when it needs it."""

    def read(self, limit: int, seconds: float) -> Batch:
        batch = super().read(limit, seconds)
        if not batch.records:
            return batch
        self.hold()
        for _ in range(_POLLS):
            self.idle(0.1)
        self.release()
        return Batch(batch.records, self._consumer.consumer_group_metadata())


class DeadLettersFirst(billing.Billing):
    """Writes them as sinks do: acknowledged, but not in the transaction."""

    @cached_property
    def _letters(self) -> DeadLetterWriter:
        return DeadLetterWriter(Connection(self.config.bootstrap_servers, self.health))

    def _tell(self, done: list[Record], decisions: list[Decision], group: object, now: datetime) -> None:
        letters = [emitting.letter(one, self.config, now) for one in decisions if isinstance(one, Letter)]
        self._letters.write([(letter, lambda: None) for letter in letters])
        super()._tell(done, [one for one in decisions if not isinstance(one, Letter)], group, now)


class ProducerKept(TransactionalWriter):
    """Waits until its commit is answered, whatever became of the first request, and goes on with the producer."""

    def _drop_doubtful(self) -> bool:
        """What is committed is committed."""
        return False


class DedupedByCoordinates(Ledger):
    """Has an entry for each record, and not for each message."""

    def settle(self, items: Sequence[Priced | Letter], now: datetime, room: int) -> list[Decision]:
        decisions = super().settle([_renamed(item) for item in items], now, room)
        return [_back(decision, item) for decision, item in zip(decisions, items, strict=False)]


def _renamed(item: Priced | Letter) -> Priced | Letter:
    if isinstance(item, Letter):
        return item
    place = f"{item.record.topic}/{item.record.partition}/{item.record.offset}"
    return replace(item, message=item.message.model_copy(update={"id": uuid5(NAMESPACE_URL, place)}))


def _back(decision: Decision, item: Priced | Letter) -> Decision:
    return replace(decision, priced=item) if isinstance(decision, Emission) and isinstance(item, Priced) else decision


def _take_metadata_late() -> None:
    vars(billing)["Reader"] = MetadataAfterAnotherPoll


def _commit_automatically() -> None:
    settings = connection.group_settings

    def automatic(group_id: str) -> dict[str, Any]:
        own = {"enable.auto.commit": True, "enable.auto.offset.store": True, "auto.commit.interval.ms": 100}
        return settings(group_id) | own

    vars(kafka)["group_settings"] = automatic


def _write_letters_first() -> None:
    vars(billing)["Billing"] = DeadLettersFirst


def _keep_the_producer() -> None:
    vars(writing)["DEADLINE"] = 30.0
    vars(billing)["TransactionalWriter"] = ProducerKept


def _dedupe_by_coordinates() -> None:
    vars(billing)["Ledger"] = DedupedByCoordinates


MISTAKES: Mapping[str, Callable[[], None]] = {
    "group metadata taken after another poll": _take_metadata_late,
    "offsets committed automatically": _commit_automatically,
    "dead letters outside of the transaction": _write_letters_first,
    "producer reused after a commit that timed out": _keep_the_producer,
    "deduplication by coordinates": _dedupe_by_coordinates,
}
