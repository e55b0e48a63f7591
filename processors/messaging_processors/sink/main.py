"""Sink: stores the messages of a domain, hands them to the third party, tells Redis what became of them.

It works on one batch at a time:

1. read it and decode it;
2. one database transaction: insert each message once, as charged, and learn which are not sent yet;
3. third-party calls for those;
4. dead letters, of poison and of what the third party refuses for good: written and acknowledged;
5. one database transaction: the outcomes;
6. Redis, best effort;
7. the offsets.

Where a dependency is away the batch stays in hand with all that is known of it, its partitions are paused, polling goes
on, and the next attempt does only what is missing. A partition that is taken from us meanwhile is dropped from the
batch; whoever reads its records again finds the rows and repeats nothing that was recorded.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import structlog

from messaging_api.base import seconds
from messaging_api.message import MessageState
from messaging_api.processor import SinkConfig
from messaging_processors.runtime import database, metrics
from messaging_processors.runtime.backoff import Backoff
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.connection import Connection
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.kafka import Reader
from messaging_processors.runtime.process import Runtime, turn
from messaging_processors.runtime.records import Failure, next_offsets
from messaging_processors.runtime.watching import reporting, watch
from messaging_processors.runtime.writing import DeadLetterWriter
from messaging_processors.sink.batch import Batch
from messaging_processors.sink.decoding import DeadLetter, decode, poison
from messaging_processors.sink.states import States
from messaging_processors.sink.store import Store
from messaging_processors.sink.third_party import THIRD_PARTY, Answer, Provider, Refused

BATCH_RECORDS = 500
READ_SECONDS = 0.1
CALL_SECONDS = 2.0
"""After that the calls of a batch are interrupted, so that the group hears from us."""
_LONGEST_POLL = 0.5
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
    waits_for: str = ""
    """The dependency without which the batch in hand cannot go on."""
    _batch: Batch | None = None
    _prepared: bool = False
    _backoff: Backoff = field(default_factory=Backoff)

    def close(self) -> None:
        """Ends calls and connections, and leaves the group."""
        self.provider.close()
        self.reader.close()
        self.store.close()
        self.states.close()

    def step(self) -> None:
        """One turn of the loop."""
        if wait := self._backoff.remaining():
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
            self._backoff.succeeded()
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
            self.states.tell({})
            return
        decoded = decode(records, self.config, datetime.now(UTC))
        self._batch = Batch(records, {item.message.id: item for item in decoded.items}, decoded.dead_letters)
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
        self.runtime.health.back(THIRD_PARTY)

    def _advance(self, batch: Batch) -> None:
        """The steps that are still to be done."""
        with metrics.BATCH_SECONDS.time():
            self._keep(batch)
            away = self._send(batch)
            self._write_dead_letters(batch)
            self._record(batch)
            if away:
                raise away
            if not batch.unsent:
                self._finish(batch)

    def _keep(self, batch: Batch) -> None:
        if not batch.unstored:
            return
        kept = self.store.keep(batch.unstored, batch.replayed)
        self.runtime.health.back(database.DATABASE)
        now = datetime.now(UTC)
        for key, why in kept.unstorable.items():
            failure = Failure("Unstorable", why, now, now)
            batch.reject(poison(batch.items[key].record, self.config, failure), key)
        batch.learn(kept.states)
        self.states.tell({key: state for key, state in kept.states.items() if state is not MessageState.CHARGED})

    def _send(self, batch: Batch) -> Away | None:
        if not batch.unsent:
            return None
        end = time.monotonic() + CALL_SECONDS
        attempt = self.provider.attempt(batch.unsent, lambda: time.monotonic() >= end or self.runtime.shutdown.is_set())
        for key, answer in attempt.answers.items():
            self._note(batch, key, answer)
        batch.failed(attempt.failed, datetime.now(UTC))
        if attempt.answers and not attempt.away:
            self.runtime.health.back(THIRD_PARTY)
        return attempt.away

    def _note(self, batch: Batch, key: UUID, answer: Answer) -> None:
        if not isinstance(answer, Refused):
            batch.outcomes[key] = MessageState.SENT
            return
        failure = batch.refused(key, f"the third party answered HTTP {answer.status}", datetime.now(UTC))
        batch.dead_letters.append(poison(batch.items[key].record, self.config, failure))
        batch.outcomes[key] = MessageState.DEAD_LETTERED

    def _write_dead_letters(self, batch: Batch) -> None:
        """Before the outcomes: a message must not be dead-lettered in the database alone."""
        if batch.dead_letters:
            self.dead_letters.write(
                [(letter.outgoing, partial(_written, batch, letter)) for letter in batch.dead_letters]
            )

    def _record(self, batch: Batch) -> None:
        if not batch.outcomes:
            return
        outcomes = dict(batch.outcomes)
        self.store.advance(outcomes)
        self.runtime.health.back(database.DATABASE)
        batch.learn(outcomes)
        metrics.SENT.inc(sum(state is MessageState.SENT for state in outcomes.values()))
        self.states.tell(outcomes)

    def _finish(self, batch: Batch) -> None:
        self.reader.commit(next_offsets(batch.records))
        self._batch = None

    def _postpone(self, away: Away) -> None:
        self.waits_for = away.dependency
        self.runtime.health.away(away.dependency, away.why, required=away.dependency != THIRD_PARTY)
        self.reader.hold()
        wait = self._backoff.failed(away.retry_after)
        _log.warning("waiting for a dependency", dependency=away.dependency, why=away.why, wait=round(wait, 1))


def _written(batch: Batch, letter: DeadLetter) -> None:
    """The letter is written, and is not to be written again because another one could not be."""
    if letter not in batch.dead_letters:  # reported late, after another attempt
        return
    batch.dead_letters.remove(letter)
    metrics.DEAD_LETTERS.labels(letter.error).inc()
    at = letter.record
    _log.warning("dead letter", topic=at.topic, partition=at.partition, offset=at.offset, error=letter.error)


def assemble(config: SinkConfig, runtime: Runtime) -> Sink:
    """A sink with all its parts."""
    connection = Connection(config.bootstrap_servers, runtime.health)
    return Sink(
        config,
        runtime,
        Reader(connection, config.group_id, config.inputs),
        DeadLetterWriter(connection),
        Store(database.connect(runtime.secrets.database_url)),
        Provider(config.third_party),
        States(Cache(runtime.secrets.cache_url, seconds(config.cache_ttl), runtime.health)),
    )


def run(config: SinkConfig, runtime: Runtime) -> None:
    """Works until the process has to end; what is unfinished then is read again."""
    sink = assemble(config, runtime)
    look = reporting(runtime.health, database.DATABASE, sink.store.probe)
    # While the loop itself waits for the database it knows better: a probe works on a full disk, too.
    watch(runtime, lambda: None if sink.waits_for == database.DATABASE else look())
    watch(runtime, sink.states.probe)
    turn(sink.step, runtime)
    sink.close()
