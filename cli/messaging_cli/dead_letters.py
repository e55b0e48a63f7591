"""Dead letters in Kafka: reads them, and puts them back to where they came from.

`commands.dlq` calls it, and whoever has to know which messages ended here.

Promise of `replay`: each letter goes back once, however often it is run and wherever it was interrupted. One
transaction writes the record to its source and a marker beside the letter, so that neither is there without the other.
The transactional id is always the same: a replay that begins ends what another left under way, and turns it away if it
still runs. Only then are markers read, and up to the end that the log had by then: where a processor's own open
transaction hides markers it is waited for. After a lost connection the client may have asked twice for a commit, and
the late request would end the producer's next transaction half-way: the replay begins anew, as another one would.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from messaging_cli.errors import CliError
from messaging_cli.kafka import Offsets, Partition, failed, reading, settings
from messaging_cli.letters import Headers, Letter, Place, marked, marker, read_letter

BATCH_LETTERS = 500
_BATCH_BYTES = 8_000_000
_POLL_SECONDS = 0.05
_HIDDEN_SECONDS = 30.0
"""Longer than any transaction of ours stays open: its timeout, and the broker's round that ends it."""
_TRANSACTION_MS = 10_000
_BEGIN_SECONDS = 30.0
_COMMIT_SECONDS = 10.0
_ABORT_SECONDS = 2.0

Ends = Mapping[Partition, int]


def dead_message_ids(bootstrap: str, topics: Sequence[str]) -> set[str]:
    """The ids of the messages that ended as dead letters; those that were replayed are under way again."""
    return {letter.message_id for letter in read_letters(bootstrap, topics) if not letter.replayed} - {""}


def read_letters(bootstrap: str, topics: Sequence[str]) -> Iterator[Letter]:
    """Every letter in these topics, one partition's in their order.

    The topics are read twice, for markers and for letters, because a marker comes after its letter and not all letters
    may fit into memory.
    """
    ends = _ends(bootstrap, topics)
    replayed = {place for message in _records(bootstrap, ends) if (place := _marked(message))}
    for message in _records(bootstrap, ends):
        at = _place(message)
        if letter := read_letter(at, message.key(), message.value(), _headers(message), at in replayed):
            yield letter


def replay(
    bootstrap: str,
    topic: str,
    transactional_id: str,
    wanted: Callable[[Letter], bool],
    batch_letters: int = BATCH_LETTERS,
) -> Iterator[int]:
    """Puts back what is wanted and was not put back before; yields after every batch how many it had."""
    while True:
        writer = _Writer(bootstrap, transactional_id)
        letters = (letter for letter in read_letters(bootstrap, [topic]) if not letter.replayed and wanted(letter))
        for batch in _batches(letters, batch_letters):
            writer.put_back(batch)
            yield len(batch)
            if writer.is_doubtful():
                break
        else:
            return


class _Writer:
    """A producer. After an error, or in doubt, it is not used again: a fresh one of the same id has a known state."""

    def __init__(self, bootstrap: str, transactional_id: str) -> None:
        self._bootstrap = bootstrap
        self._undelivered = ""
        self._said = _ClientLog()
        self._producer = Producer(settings(bootstrap) | _writing(transactional_id), logger=self._said)
        try:
            _until(_BEGIN_SECONDS, self._producer.init_transactions)
        except KafkaException as error:
            raise self._told(error) from error

    def put_back(self, letters: Sequence[Letter]) -> None:
        """All of them and their markers, or none."""
        try:
            self._producer.begin_transaction()
            for letter in letters:
                self._produce(letter)
            _until(_COMMIT_SECONDS, self._producer.commit_transaction)
        except (KafkaException, BufferError, KeyboardInterrupt) as error:
            self._abort()
            if isinstance(error, KafkaException):
                raise self._told(error) from error
            raise

    def is_doubtful(self) -> bool:
        """Whether a request may still be under way that the client has silently repeated."""
        self._producer.poll(0)  # the client's log comes this way
        return self._said.connection_lost

    def _produce(self, letter: Letter) -> None:
        self._write(letter.source.topic, letter, letter.value, letter.headers)
        self._write(letter.at.topic, letter, None, marker(letter), letter.at.partition)

    def _write(self, topic: str, letter: Letter, value: bytes | None, headers: Headers, partition: int = -1) -> None:
        self._producer.produce(topic, value, letter.key, partition, headers=[*headers], on_delivery=self._delivered)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if (
            error
            and not self._undelivered
            and error.code() not in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)
        ):
            self._undelivered = f"{message.topic()}: {error.str()}"

    def _abort(self) -> None:
        """So that nobody has to wait for the transaction's timeout; where that fails the next replay ends it."""
        try:
            self._producer.abort_transaction(_ABORT_SECONDS)
        except KafkaException:
            self._producer.purge()

    def _told(self, error: KafkaException) -> CliError:
        reason: KafkaError = error.args[0]
        if reason.code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED):
            return CliError(
                "another replay of this processor began, or a batch of this one took over"
                f" {_TRANSACTION_MS // 1000} s: run it again when no other runs, nothing is replayed twice"
            )
        if self._undelivered:
            return CliError(f"{self._undelivered}: this batch was not replayed, see mtop dlq list")
        return CliError(f"{failed(self._bootstrap, error)}: run it again, nothing is replayed twice")


class _ClientLog:
    """A client's log: nothing else tells that a connection was lost while a request was under way.

    It is never forgotten, for a loss like the one before is not told within 30 s.
    """

    def __init__(self) -> None:
        self.connection_lost = False

    def log(self, _level: int, _format: str, facility: str, *rest: object) -> None:
        """As the client calls a `logging.Logger`; a connection that never came about was not lost."""
        lost = facility == "FAIL" and "in state CONNECT" not in str(rest)
        self.connection_lost |= lost or facility == "REQTMOUT"


def _writing(transactional_id: str) -> dict[str, Any]:
    return {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": _TRANSACTION_MS,
        "log_level": 6,  # `_ClientLog` has to hear of a lost connection; it prints nothing
        "acks": "all",
        "partitioner": "murmur2_random",  # as the processors and Java producers do: a key stays in its partition
        "request.timeout.ms": 4000,
        "message.timeout.ms": 4000,
        "message.max.bytes": 100_000_000,  # the topic decides what is too large
        "retry.backoff.ms": 20,  # also the wait between two transactions
        "retry.backoff.max.ms": 500,
    }


def _batches(letters: Iterable[Letter], most: int) -> Iterator[list[Letter]]:
    """Bounded in number and in bytes."""
    batch: list[Letter] = []
    size = 0
    for letter in letters:
        batch.append(letter)
        size += len(letter.value or b"")
        if len(batch) >= most or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _ends(bootstrap: str, topics: Sequence[str]) -> Ends:
    """Where the logs end, with what is not committed yet."""
    offsets = Offsets(bootstrap)
    partitions = offsets.partitions(topics)
    if missing := set(topics) - {topic for topic, _ in partitions}:
        raise CliError(
            f"Kafka at {bootstrap} has no topic {', '.join(sorted(missing))}: has the topology been applied?"
        )
    return {partition: end for partition, end in offsets.ends(partitions).items() if end}


def _records(bootstrap: str, ends: Ends) -> Iterator[Message]:
    """What is committed before `ends`."""
    consumer = Consumer(reading(bootstrap))
    # By number: a client that is told the beginning only looks for it half a second later.
    consumer.assign([TopicPartition(topic, number, 0) for topic, number in ends])
    unread, silent = dict(ends), 0.0
    try:
        while unread:
            messages = consumer.consume(BATCH_LETTERS, _POLL_SECONDS)
            silent = 0.0 if messages else silent + _POLL_SECONDS
            if silent > _HIDDEN_SECONDS:
                raise _hidden(bootstrap, unread)
            for message in messages:
                at = _place(message)
                if _reached(message, bootstrap) >= ends[at.topic, at.partition]:
                    unread.pop((at.topic, at.partition), None)
                if not message.error() and at.offset < ends[at.topic, at.partition]:
                    yield message
    finally:
        consumer.close()


def _reached(message: Message, bootstrap: str) -> int:
    """The offset from which reading goes on. The end of a partition is told with what transactions left there."""
    error = message.error()
    if error is None:
        return _place(message).offset + 1
    if error.code() == KafkaError._PARTITION_EOF:
        return _place(message).offset
    raise failed(bootstrap, KafkaException(error))


def _hidden(bootstrap: str, unread: Ends) -> CliError:
    places = ", ".join(f"{topic}[{number}]" for topic, number in sorted(unread))
    return CliError(
        f"Kafka at {bootstrap} shows {places} not to the end: it is away or a transaction is open, try later"
    )


def _place(message: Message) -> Place:
    return Place(message.topic() or "", message.partition() or 0, message.offset() or 0)


def _headers(message: Message) -> Headers:
    return cast(Headers, tuple(message.headers() or ()))


def _marked(message: Message) -> Place | None:
    return marked(_place(message), message.value(), _headers(message))


def _until(seconds: float, call: Callable[[float], None]) -> None:
    """Repeats `call` while the client says that repeating helps and there is time left."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call(max(0.1, deadline - time.monotonic()))
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() >= deadline:
                raise
