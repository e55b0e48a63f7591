"""Sink: stores the messages of a domain, hands them to the third party, tells Redis what became of them.

It works on one batch at a time:

1. read it and tell messages from receipts;
2. one database transaction: insert each message once, as billing left it, and learn which are still to be sent;
3. third-party calls for those, unless their time is over and nobody has called before;
4. dead letters, of poison and of what the third party refuses for good: written and acknowledged;
5. one database transaction: the outcomes, and what is paid back for them;
6. one database transaction: what the receipts say, and what is paid back for them; those of unknown messages end as 4;
7. Redis, best effort, after each of the three;
8. the offsets.

Where a dependency is away, or more would end as dead letters than may, the batch stays in hand with all that is known
of it, its partitions are paused, polling goes on, and the next attempt does only what is missing. A partition that is
taken from us meanwhile is dropped from the batch; whoever reads its records again finds the rows and repeats nothing
that was recorded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import structlog

from messaging_api.message import MessageState
from messaging_api.processor import SinkConfig
from messaging_processors.runtime import database, metrics
from messaging_processors.runtime.backoff import Backoff
from messaging_processors.runtime.dead_letter_rate import DEAD_LETTER_RATE, DeadLetterRate
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.kafka import Reader
from messaging_processors.runtime.process import Runtime
from messaging_processors.runtime.records import Failure, next_offsets
from messaging_processors.runtime.writing import DeadLetterWriter
from messaging_processors.sink.answers import Answer, Late, Refused
from messaging_processors.sink.batch import Batch
from messaging_processors.sink.decoding import DeadLetter, Told, decode, poison
from messaging_processors.sink.rows import Change, Row, ending, told
from messaging_processors.sink.states import States
from messaging_processors.sink.store import Store
from messaging_processors.sink.third_party import THIRD_PARTY, Clocks, Provider

BATCH_RECORDS = 500
READ_SECONDS = 0.1
CALL_SECONDS = 2.0
"""After that the calls of a batch are interrupted, so that the group hears from us."""
_LONGEST_POLL = 0.5
_TOLD = (MessageState.DELIVERED, MessageState.FAILED)
_log = structlog.get_logger()


@dataclass
class Sink:
    """One sink's loop."""

    config: SinkConfig
    runtime: Runtime
    reader: Reader
    dead_letters: DeadLetterWriter
    store: Store
    provider: Provider
    states: States
    clocks: Clocks = field(default_factory=Clocks)
    rate: DeadLetterRate = field(default_factory=DeadLetterRate)
    backoff: Backoff = field(default_factory=Backoff)
    waits_for: str = ""
    """The dependency without which the batch in hand cannot go on."""
    _batch: Batch | None = None
    _prepared: bool = False

    def close(self) -> None:
        """Ends calls and connections, and leaves the group."""
        self.provider.close()
        self.reader.close()
        self.store.close()
        self.states.close()

    def step(self) -> None:
        """One turn of the loop."""
        if wait := self.backoff.remaining():
            self._stay(min(wait, _LONGEST_POLL))
            return
        try:
            self._prepare()
            if self._batch:
                self._stay(0)
            else:
                self._take()
            if self._batch:
                self._advance(self._batch)
        except Away as error:
            self._postpone(error)
        else:
            self.backoff.succeeded()
            self.waits_for = ""

    def _prepare(self) -> None:
        if not self._prepared:
            self.store.prepare()
            self.runtime.health.back(database.DATABASE)
            self._prepared = True

    def _take(self) -> None:
        self.reader.release()
        records = self.reader.read(BATCH_RECORDS, READ_SECONDS).records
        self.reader.lost()
        if not records:
            self.states.tell()
            return
        self._batch = Batch.of(records, decode(records, self.config, self.clocks.now()))
        metrics.CONSUMED.inc(len(records))

    def _stay(self, wait: float) -> None:
        """Stays in the group without reading more."""
        self.reader.hold()
        self.reader.idle(wait)
        lost = self.reader.lost()
        if self._batch and lost:
            metrics.REDELIVERED.inc()
            self._batch.forget(lost)
            if not self._batch.records:
                self._drop()

    def _drop(self) -> None:
        """Others read these records; whether the third party answers them is no longer for us to say."""
        self._batch = None
        self.backoff.succeeded()
        self.waits_for = ""
        self.runtime.health.back(THIRD_PARTY)
        self.runtime.health.back(DEAD_LETTER_RATE)

    def _advance(self, batch: Batch) -> None:
        """The steps that are still to be done."""
        with metrics.BATCH_SECONDS.time():
            self._keep(batch)
            away = [self._send(batch), self._bury(batch)]
            self._record(batch)
            self._receive(batch)
            away.append(self._bury(batch))
            for problem in filter(None, reversed(away)):
                raise problem
            if batch.is_done:
                self._finish(batch)

    def _keep(self, batch: Batch) -> None:
        if batch.kept:
            return
        if batch.items:
            kept = self.store.keep(batch.messages, batch.replayed)
            self.runtime.health.back(database.DATABASE)
            batch.to_send = {key for key, row in kept.rows.items() if row.view.state is MessageState.CHARGED}
            batch.doubtful = batch.to_send - kept.fresh
            for key in kept.unstorable.keys() & batch.to_send:
                self._give_up(batch, key, self._failure("Unstorable", kept.unstorable[key]))
            self._tell(batch, (row for row in kept.rows.values() if row.view.state is not MessageState.CHARGED))
        batch.kept = True

    def _send(self, batch: Batch) -> Away | None:
        if not batch.unsent:
            return None
        end = self.clocks.monotonic() + CALL_SECONDS
        attempt = self.provider.attempt(
            batch.unsent,
            batch.failures.keys(),
            lambda: self.clocks.monotonic() >= end or self.runtime.shutdown.is_set(),
            batch.doubtful,
        )
        batch.failed(attempt.failed, self.clocks.now())
        batch.doubtful = attempt.doubtful
        for key, answer in attempt.answers.items():
            self._note(batch, key, answer)
        if attempt.answers and not attempt.away:
            self.runtime.health.back(THIRD_PARTY)
        return attempt.away

    def _note(self, batch: Batch, key: UUID, answer: Answer) -> None:
        if isinstance(answer, Refused):
            why = f"the third party answered HTTP {answer.status}"
            self._give_up(batch, key, batch.refused(key, why, self.clocks.now()))
        elif isinstance(answer, Late):
            batch.ends(ending(batch.items[key].message, MessageState.EXPIRED, "Expired"))
        else:
            batch.ends(ending(batch.items[key].message, MessageState.SENT))

    def _give_up(self, batch: Batch, key: UUID, failure: Failure) -> None:
        """The message ends among the dead letters; in the database only after it is there in Kafka."""
        item = batch.items[key]
        ends = ending(item.message, MessageState.DEAD_LETTERED, failure.error_class)
        batch.bury(poison(item.record, self.config, failure, ends))

    def _bury(self, batch: Batch) -> Away | None:
        """Writes as many dead letters as there is room for."""
        letters = batch.dead_letters[: self.rate.room()]
        waiting = len(batch.dead_letters)
        try:
            if letters:
                self.dead_letters.write([(letter.outgoing, partial(_written, batch, letter)) for letter in letters])
        except Away as error:
            return error
        finally:
            self.rate.written(waiting - len(batch.dead_letters), 0)
        if batch.dead_letters:
            return Away(DEAD_LETTER_RATE, self.rate.why, self.rate.seconds())
        self.runtime.health.back(DEAD_LETTER_RATE)
        return None

    def _record(self, batch: Batch) -> None:
        if not batch.outcomes:
            return
        changes = list(batch.outcomes.values())
        rows = self.store.advance(changes)
        self.runtime.health.back(database.DATABASE)
        batch.outcomes.clear()
        batch.reopen(change.id for change in changes if _has_not_expired(change, rows))
        sent = sum(change.state is MessageState.SENT for change in changes)
        self.rate.written(0, sent)
        metrics.SENT.inc(sent)
        self._tell(batch, rows.values())

    def _receive(self, batch: Batch) -> None:
        receipts = batch.due_receipts
        if not receipts:
            return
        rows = self.store.receive([told(one.receipt) for one in receipts])
        self.runtime.health.back(database.DATABASE)
        batch.receipts = [one for one in batch.receipts if one not in receipts]
        for one in receipts:
            self._compare(batch, one, rows.get(one.receipt.id))
        self._tell(batch, rows.values())

    def _compare(self, batch: Batch, one: Told, row: Row | None) -> None:
        receipt = one.receipt
        if not row or (row.account_id, row.domain) != (receipt.account_id, receipt.domain):
            failure = self._failure("UnknownMessage", "no message of that id, account and domain is stored")
            batch.bury(poison(one.record, self.config, failure))
        elif row.view.state in _TOLD and row.view.state.value != receipt.status.value:
            _log.warning(
                "receipt contradicts an earlier one", message_id=str(receipt.id), account_id=receipt.account_id
            )

    def _tell(self, batch: Batch, rows: Iterable[Row]) -> None:
        self.states.tell(rows, batch.replayed)

    def _failure(self, error: str, why: str) -> Failure:
        now = self.clocks.now()
        return Failure(error, why, now, now)

    def _finish(self, batch: Batch) -> None:
        self.reader.commit(next_offsets(batch.records))
        self._batch = None

    def _postpone(self, away: Away) -> None:
        self.waits_for = away.dependency
        self.runtime.health.away(away.dependency, away.why, required=away.dependency != THIRD_PARTY)
        self.reader.hold()
        wait = self.backoff.failed(away.retry_after)
        _log.warning("waiting for a dependency", dependency=away.dependency, why=away.why, wait=round(wait, 1))


def _has_not_expired(change: Change, rows: Mapping[UUID, Row]) -> bool:
    """Though it was to: somebody who has lost its partition, and may not know that yet, has it in hand as well."""
    row = rows.get(change.id)
    return row is not None and (change.state, row.view.state) == (MessageState.EXPIRED, MessageState.CHARGED)


def _written(batch: Batch, letter: DeadLetter) -> None:
    """The letter is written, and is not to be written again because another one could not be."""
    if letter not in batch.dead_letters:  # reported late, after another attempt
        return
    batch.buried(letter)
    metrics.DEAD_LETTERS.labels(letter.error).inc()
    at = letter.record
    _log.warning("dead letter", topic=at.topic, partition=at.partition, offset=at.offset, error=letter.error)
