"""Billing: charges the messages of one domain and republishes them, each exactly once.

Every turn of the loop

1. has a producer that turns away what an earlier one may have left under way;
2. reads a batch, only what is committed, with the proof of the membership under which its partitions are ours;
3. decodes: records of other domains are dropped by their header, poison becomes a dead letter;
4. prices what is left;
5. writes charged messages, dead letters and the batch's own offsets in one Kafka transaction;
6. if that is not surely committed: goes back to where the group is, and waits longer each time.

A rebalance cannot come between 2 and 5: nothing is polled in between, and the reader drops what saw one.
"""

from datetime import UTC, datetime

import structlog

from messaging_api.processor import BillingConfig
from messaging_processors.billing.handling import Outcome, handle
from messaging_processors.runtime import metrics
from messaging_processors.runtime.backoff import Backoff
from messaging_processors.runtime.connection import Connection
from messaging_processors.runtime.kafka import Batch, Reader
from messaging_processors.runtime.process import Runtime, turn
from messaging_processors.runtime.records import Record, next_offsets
from messaging_processors.runtime.writing import NotCommitted, TransactionalWriter

BATCH_RECORDS = 500
BATCH_SECONDS = 0.1
_LONGEST_POLL = 0.5
_log = structlog.get_logger()


class Billing:
    """One billing processor's loop."""

    def __init__(self, config: BillingConfig, reader: Reader, writer: TransactionalWriter) -> None:
        self._config = config
        self._reader = reader
        self._writer = writer
        self._backoff = Backoff()

    def step(self) -> None:
        """One turn of the loop."""
        if wait := self._backoff.remaining():
            self._reader.idle(min(wait, _LONGEST_POLL))
            return
        try:
            self._writer.prepare()
        except NotCommitted as error:
            self._wait(error)
            return
        self._reader.release()
        batch = self._reader.read(BATCH_RECORDS, BATCH_SECONDS)
        if batch.records:
            with metrics.BATCH_SECONDS.time():
                self._charge(batch)

    def _charge(self, batch: Batch) -> None:
        now = datetime.now(UTC)
        handled = [(record, handle(record, self._config, now)) for record in batch.records]
        outcomes = [(record, outcome) for record, outcome in handled if outcome]
        try:
            outgoing = [outcome.outgoing for _, outcome in outcomes]
            self._writer.write(outgoing, next_offsets(batch.records), batch.group)
        except NotCommitted as error:
            self._repeat(batch, error)
            return
        self._backoff.succeeded()
        metrics.CONSUMED.inc(len(batch.records))
        for record, outcome in outcomes:
            _count(record, outcome)

    def _repeat(self, batch: Batch, error: NotCommitted) -> None:
        metrics.ABORTED.inc()
        metrics.REDELIVERED.inc()
        self._reader.rewind(record.position for record in batch.records)
        first, last = batch.records[0], batch.records[-1]
        _log.warning(
            "batch given up, to be read again",
            records=len(batch.records),
            first=(*first.position, first.offset),
            last=(*last.position, last.offset),
        )
        self._wait(error)

    def _wait(self, error: NotCommitted) -> None:
        self._reader.hold()
        _log.warning("no transaction", error=str(error), wait=round(self._backoff.failed(), 1))


def _count(record: Record, outcome: Outcome) -> None:
    if not outcome.error:
        metrics.CHARGED.inc()
        return
    metrics.DEAD_LETTERS.labels(outcome.error).inc()
    _log.warning(
        "dead letter", topic=record.topic, partition=record.partition, offset=record.offset, error=outcome.error
    )


def run(config: BillingConfig, runtime: Runtime) -> None:
    """Charges until the process has to end; an unfinished batch is finished, or aborted within its deadline."""
    connection = Connection(config.bootstrap_servers, runtime.health)
    reader = Reader(connection, config.group_id, config.inputs)
    writer = TransactionalWriter(connection, f"{config.group_id}.{runtime.secrets.pod_name}")
    turn(Billing(config, reader, writer).step, runtime)
    writer.close()
    reader.close()
