"""Billing: charges the messages of one domain and republishes them, each exactly once.

Every turn of the loop

1. has the database's tables, and a producer that turns away what an earlier one may have left under way; a fresh one
   begins with where the group is, and with what is hidden under its id;
2. reads a batch, only what is committed, with the proof of the membership under which its partitions are ours;
3. decodes and prices: records of other domains are dropped by their header, poison becomes a dead letter;
4. settles it with the ledger in one database transaction: each message is charged, refused or expired for ever;
5. notes once that its transactions may hold these partitions' offsets (`predecessors`), and writes outcomes, dead
   letters and the batch's own offsets in one Kafka transaction;
6. if 4 or 5 is not surely committed: goes back to where the group is, and waits longer each time.

Where 5 fails after 4 the repeat finds the entries and tells what they say. A rebalance cannot come between 2 and 5:
nothing is polled in between, and the reader drops what saw one. A batch ends before the first dead letter that has no
room (`dead_letter_rate`); what is behind it stays in its topic. No batch is kept in hand: what waits, waits there.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from messaging_api.processor import BillingConfig
from messaging_processors.billing import counting, emitting
from messaging_processors.billing.deciding import Decision, Emission
from messaging_processors.billing.handling import Letter, Priced, handle
from messaging_processors.billing.ledger import Ledger
from messaging_processors.billing.predecessors import Predecessors
from messaging_processors.billing.rating import Rates
from messaging_processors.runtime import database, metrics
from messaging_processors.runtime.backoff import Backoff
from messaging_processors.runtime.connection import Connection
from messaging_processors.runtime.dead_letter_rate import DEAD_LETTER_RATE, DeadLetterRate
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.kafka import Batch, Reader
from messaging_processors.runtime.process import Runtime, turn
from messaging_processors.runtime.records import Record, next_offsets
from messaging_processors.runtime.watching import reporting, watch
from messaging_processors.runtime.writing import NotCommitted, TransactionalWriter

BATCH_RECORDS = 500
BATCH_SECONDS = 0.1
_LONGEST_POLL = 0.5
_log = structlog.get_logger()


@dataclass
class Billing:
    """One billing processor's loop."""

    config: BillingConfig
    health: Health
    reader: Reader
    writer: TransactionalWriter
    ledger: Ledger
    predecessors: Predecessors
    waits_for: str = ""
    """The dependency without which nothing can be charged."""
    rate: DeadLetterRate = field(default_factory=DeadLetterRate)
    _prepared: bool = False
    _in_doubt: bool = False
    """The producer is a fresh one: how the last transaction has ended is not certain."""
    _backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        self._rates = Rates(self.config.tariff, self.config.rates)

    def close(self) -> None:
        """Ends the connections, and leaves the group."""
        self.writer.close()
        self.reader.close()
        self.ledger.close()

    def step(self) -> None:
        """One turn of the loop."""
        if wait := self._backoff.remaining():
            self.reader.idle(min(wait, _LONGEST_POLL))
            return
        try:
            self._prepare()
        except (Away, NotCommitted) as error:
            self._wait(error)
            return
        if self._in_doubt:
            self.reader.idle(_LONGEST_POLL)
            return
        self.reader.release()
        batch = self.reader.read(BATCH_RECORDS, BATCH_SECONDS)
        try:
            if batch.records:
                self._charge(batch)
            self.waits_for = ""
        except (Away, NotCommitted) as error:
            self._give_up(batch.records)
            self._wait(error)

    def _prepare(self) -> None:
        if self.rate.room():
            self.health.back(DEAD_LETTER_RATE)
        if not self._prepared:
            self.ledger.prepare()
            self.health.back(database.DATABASE)
            self._prepared = True
        self._in_doubt |= self.writer.prepare()
        if self._in_doubt:
            self.reader.rewind(self.reader.assigned)
            self._in_doubt = not self.predecessors.release_ours(self.writer, self.reader)
            self.writer.prepare()

    @metrics.BATCH_SECONDS.time()
    def _charge(self, batch: Batch) -> None:
        """All of the batch, or raises: then what is committed of it is behind the group, and the rest is not."""
        now = datetime.now(UTC)
        handled = [handle(record, self.config, self._rates) for record in batch.records]
        items = [item for item in handled if item]
        decisions = self.ledger.settle(items, now, self.rate.room())
        if any(isinstance(item, Priced) for item in items):
            self.health.back(database.DATABASE)
        cut = handled.index(items[len(decisions)]) if len(decisions) < len(items) else len(handled)
        if cut:
            self._tell(batch.records[:cut], decisions, batch.group, now)
        if cut < len(handled):
            raise Away(DEAD_LETTER_RATE, self.rate.why, self.rate.seconds())
        self._backoff.succeeded()

    def _tell(self, done: list[Record], decisions: list[Decision], group: object, now: datetime) -> None:
        outcomes = [emitting.outcome(one, self.config, now) for one in decisions if isinstance(one, Emission)]
        letters = [emitting.letter(one, self.config, now) for one in decisions if isinstance(one, Letter)]
        offsets = next_offsets(done)
        self.predecessors.succeed(offsets.keys(), self.reader.lost())
        self.writer.write(outcomes + letters, offsets, group)
        counted = sum(isinstance(one, Letter) and not one.is_callers for one in decisions)
        self.rate.written(counted, len(decisions) - len(letters))
        metrics.CONSUMED.inc(len(done))
        for decision in decisions:
            counting.count(decision)

    def _give_up(self, records: list[Record]) -> None:
        metrics.REDELIVERED.inc()
        self.reader.rewind(record.position for record in records)
        first, last = records[0], records[-1]
        _log.warning(
            "batch given up, to be read again",
            records=len(records),
            first=(*first.position, first.offset),
            last=(*last.position, last.offset),
        )

    def _wait(self, error: Away | NotCommitted) -> None:
        self.reader.hold()
        after = None
        if isinstance(error, Away):
            self.waits_for, after = error.dependency, error.retry_after
            self.health.away(error.dependency, error.why)
        else:
            metrics.ABORTED.inc()
        _log.warning("waiting", error=str(error), wait=round(self._backoff.failed(after), 1))


def assemble(config: BillingConfig, runtime: Runtime) -> Billing:
    """Billing with all its parts."""
    connection = Connection(config.bootstrap_servers, runtime.health)
    engine = database.connect(runtime.secrets.database_url)
    transactional_id = f"{config.group_id}.{runtime.secrets.pod_name}"
    outputs = config.output, config.dead_letter_topic
    predecessors = Predecessors(engine, connection, config.group_id, transactional_id, outputs)
    return Billing(
        config,
        runtime.health,
        Reader(connection, config.group_id, config.inputs, predecessors.end),
        TransactionalWriter(connection, transactional_id),
        Ledger(engine, config.tariff),
        predecessors,
    )


def run(config: BillingConfig, runtime: Runtime) -> None:
    """Charges until the process has to end; an unfinished batch is finished, or aborted within its deadline."""
    billing = assemble(config, runtime)
    look = reporting(runtime.health, database.DATABASE, billing.ledger.probe)
    # While the loop itself waits for the database it knows better: a probe works on a full disk, too.
    watch(runtime, lambda: None if billing.waits_for == database.DATABASE else look())
    turn(billing.step, runtime)
    billing.close()
