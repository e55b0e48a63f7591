"""Writing to Kafka: billing writes records and its group's offsets in one transaction, sinks write dead letters.

Promise of a transaction: when `write` returns, all of it is committed; when it raises `NotCommitted`, the caller must
`prepare` and then ask the group where it is (`Reader.rewind`) before it reads on. That holds although the client lacks
the newer transaction protocol (KIP-890), under which a late request cannot end a later transaction: whenever a request
may still be under way the producer is dropped, and a fresh one of the same transactional id takes a new epoch, which
turns that request away.

    what the client says               action
    retriable                          the same call again, until the deadline
    needs an abort                     abort; the producer stays
    fatal, timed out, anything else    a fresh producer; also where the client does not come back (`deadlines`)
    retriable, for 20 s                a fresh producer: this one may be stranded (`connection`)
    a connection was lost              a fresh producer, even if all is done: the client silently asks twice
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from messaging_processors.runtime.connection import KAFKA, LIBRARY_LOG, PRODUCER_SETTINGS, STRANDED_SECONDS, Connection
from messaging_processors.runtime.deadlines import within
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.positions import group_changed, targets
from messaging_processors.runtime.records import Outgoing, Position

TRANSACTION_MS = 10_000
DEADLINE = 4.0
ABORT_SECONDS = 2.0
_GRACE_SECONDS = 1.0
_ANSWER_SECONDS = 5.0
_PURGE_SECONDS = 1.0
_RELEASE_SECONDS = 15.0
_FAILURES = (KafkaException, BufferError, TimeoutError, SystemError)
"""What a call of the client raises; the last is what a fatal error becomes where a delivery is told right after it."""
_FENCED = (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED)
_PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)
_log = structlog.get_logger()


class NotCommitted(Exception):
    """The transaction did not happen, or nobody knows whether it did."""


class TransactionalWriter:
    """One producer at a time for one transactional id. Not thread-safe."""

    def __init__(self, connection: Connection, transactional_id: str) -> None:
        self._connection = connection
        self._transactional_id = transactional_id
        self._producer: Producer | None = None
        self._initialised = False
        self._stranded_at = 0.0
        self._undelivered = ""
        self._said = _ClientLog()

    def prepare(self) -> bool:
        """Has a producer whose epoch turns away whatever an earlier one left under way; call it before reading.

        Only then the group's offsets are certain to be where reading has to go on. True where it is a fresh one: what
        an earlier one has written may have ended otherwise than it seemed, so the group has to be asked.
        """
        if not self._connection.is_away():
            self._drop_doubtful()
        is_fresh = not self._is_ready()
        try:
            self._ready_producer()
        except _FAILURES as error:
            self._give_up(error)
            raise NotCommitted(str(error.args[0])) from error
        return is_fresh

    def write(self, records: Sequence[Outgoing], offsets: Mapping[Position, int], group: object) -> None:
        """All of `records` and `offsets`, or none."""
        self._undelivered = ""
        if self._drop_doubtful() or not self._is_ready():
            raise NotCommitted(f"{self._transactional_id}: no producer is prepared, or it has lost a connection since")
        try:
            producer = self._ready_producer()
            within(DEADLINE + _GRACE_SECONDS, lambda: self._transact(producer, records, offsets, group))
        except _FAILURES as error:
            self._give_up(error)
            raise NotCommitted(self._undelivered or str(error.args[0])) from error
        self._drop_doubtful()
        self._connection.worked()

    def release(self, group: object, outputs: Sequence[str]) -> None:
        """Ends what this id has left behind in the group's offsets and in the `outputs`; raises `NotCommitted`.

        Kafka may know of nothing that it could end. A broker that is back after it was killed between the decision on
        a transaction and its markers takes partitions that have no leader yet for deleted ones, and never writes the
        markers (4.3.1, TransactionMarkerChannelManager: "likely deleted already and hence can be skipped"). The marker
        of another transaction of the id does it, and that one is aborted: `group` is anybody's membership.
        """
        try:
            producer = self._ready_producer()
            within(_RELEASE_SECONDS, lambda: _abort_over(producer, group, outputs))
        except _FAILURES as error:
            why = f"{self._transactional_id}: transaction not released: {error.args[0]}"
            self._connection.failed(why)
            raise NotCommitted(why) from error
        finally:
            self.close()  # a request of it that comes late must not meet a transaction that is committed

    def close(self) -> None:
        """Ends the producer."""
        if self._producer:
            self._drop(self._producer)

    def _transact(
        self, producer: Producer, records: Sequence[Outgoing], offsets: Mapping[Position, int], group: object
    ) -> None:
        deadline = time.monotonic() + DEADLINE
        producer.begin_transaction()
        for record in records:
            producer.produce(
                record.topic, record.value, record.key, headers=[*record.headers], on_delivery=self._delivered
            )
        _until(deadline, lambda left: producer.send_offsets_to_transaction(targets(offsets), group, left))
        _until(deadline, producer.commit_transaction)

    def _is_ready(self) -> bool:
        return bool(self._producer) and self._initialised

    def _ready_producer(self) -> Producer:
        if self._producer is None:
            settings = self._connection.settings() | PRODUCER_SETTINGS
            settings |= {"transactional.id": self._transactional_id, "transaction.timeout.ms": TRANSACTION_MS}
            settings |= {"log.connection.close": True}
            self._said = _ClientLog()
            self._producer = Producer(settings, logger=self._said)
            self._initialised = False
            self._stranded_at = time.monotonic() + STRANDED_SECONDS
        producer = self._producer
        if not self._initialised:
            within(DEADLINE + _GRACE_SECONDS, lambda: producer.init_transactions(DEADLINE))
            producer.poll(0)
            self._said.timed_out = False
            self._initialised = True
            self._connection.answered()
        return producer

    def _give_up(self, error: Exception) -> None:
        """Brings the producer into a state that is known, or gets rid of it."""
        known = error.args[0] if isinstance(error.args[0], KafkaError) else None
        if not (known and (group_changed(known) or known.code() in _FENCED)):
            self._connection.failed(f"transaction not committed: {self._undelivered or error.args[0]}")
        producer = self._producer
        if producer is None:
            return
        if known and known.retriable() and not self._initialised and time.monotonic() < self._stranded_at:
            return  # still waiting for its coordinator; the next call goes on with it
        if not (known and known.txn_requires_abort() and _aborted(producer)):
            self._drop(producer)
        self._drop_doubtful()

    def _drop_doubtful(self) -> bool:
        """A request that was repeated after its connection was lost may arrive once more, in the next transaction.

        Also the last transaction may not have ended as it seemed (`release`).
        """
        if not self._producer:
            return False
        try:
            self._producer.poll(0)  # the client's log comes this way, and may bring a fatal error along
        except _FAILURES as error:
            _log.info("the producer is of no use any more", error=str(error))
        else:
            if not self._said.connection_lost:
                return False
            _log.info("a connection was lost, the next transaction is a fresh producer's")
        self._drop(self._producer)
        return True

    def _drop(self, producer: Producer) -> None:
        """Lets the producer go. Its own `close` would wait for the broker, without a deadline."""
        self._producer = None
        producer.purge(blocking=False)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        """Notes the first record that Kafka did not take; one that our own abort threw away tells no reason."""
        if error and error.code() not in _PURGED and not self._undelivered:
            self._undelivered = f"{message.topic()}: {error}"


_NEVER_CONNECTED = ("in state CONNECT", "ApiVersionRequest failed")


class _ClientLog:
    """A client's log, passed on; nothing else tells that a connection was lost while a request was under way.

    That is never forgotten, for a loss like the one before is not told within 30 s. A connection that never came about
    was not lost.
    """

    def __init__(self) -> None:
        self._lost = False
        self.timed_out = False
        """Some request, which is told every time."""

    @property
    def connection_lost(self) -> bool:
        return self._lost or self.timed_out

    def log(self, level: int, text: str, facility: str, *rest: object) -> None:
        """As the client calls a `logging.Logger`: what happened is one word, the facility."""
        self._lost |= facility == "FAIL" and not any(words in str(rest) for words in _NEVER_CONNECTED)
        self.timed_out |= facility == "REQTMOUT"
        LIBRARY_LOG.log(level, text, facility, *rest)


class DeadLetterWriter:
    """Writes records that must not be lost; not transactional, so a crash may write one of them twice.

    A producer that failed is not used again: it may be stranded (`connection`).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._producer = self._new_producer()

    def write(self, records: Iterable[tuple[Outgoing, Callable[[], None]]]) -> None:
        """Calls what comes with a record once the brokers have that one; raises `Away` when they may lack any."""
        errors: list[str] = []
        for record, written in records:
            self._produce(record, written, errors)
        if self._producer.flush(_ANSWER_SECONDS) or errors:
            why = errors[0] if errors else "not acknowledged in time"
            self._connection.failed(f"dead letters not written: {why}")
            discard(self._producer)
            self._producer = self._new_producer()
            raise Away(KAFKA, why)

    def _new_producer(self) -> Producer:
        return Producer(self._connection.settings() | PRODUCER_SETTINGS, logger=LIBRARY_LOG)

    def _produce(self, record: Outgoing, written: Callable[[], None], errors: list[str]) -> None:
        def delivered(error: KafkaError | None, _: Message) -> None:
            if error:
                errors.append(f"{record.topic}: {error}")
            else:
                written()

        try:
            self._producer.produce(
                record.topic, record.value, record.key, headers=[*record.headers], on_delivery=delivered
            )
        except (KafkaException, BufferError) as error:
            errors.append(f"{record.topic}: {error.args[0]}")


def discard(producer: Producer) -> None:
    """Tells the fate of all that a producer holds, which is not to be used any more.

    Its own `close` would wait for the broker, without a deadline.
    """
    producer.purge(blocking=False)
    producer.flush(_PURGE_SECONDS)


def _abort_over(producer: Producer, group: object, outputs: Sequence[str]) -> None:
    """The group never reads its own outputs: even if this offset were ever committed it would do nothing."""
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition(outputs[0], 0, 0)], group, DEADLINE)
    for topic in outputs:
        found = producer.list_topics(topic, ABORT_SECONDS).topics[topic]
        if found.error:
            raise KafkaException(KafkaError(found.error.code(), f"{topic}: {found.error.str()}"))
        for partition in found.partitions:
            producer.produce(topic, partition=partition)
    if left := producer.flush(DEADLINE):
        raise TimeoutError(f"{left} partitions of {', '.join(outputs)} did not answer in {DEADLINE:g} s")
    producer.abort_transaction(ABORT_SECONDS)


def _aborted(producer: Producer) -> bool:
    try:
        within(ABORT_SECONDS + _GRACE_SECONDS, lambda: producer.abort_transaction(ABORT_SECONDS))
    except _FAILURES as error:
        _log.warning("transaction not aborted, a fresh producer will", error=str(error.args[0]))
        return False
    return True


def _until(deadline: float, call: Callable[[float], None]) -> None:
    """Repeats `call` while the client says that repeating helps and there is time left."""
    while True:
        try:
            return call(max(0.1, deadline - time.monotonic()))
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() >= deadline:
                raise
