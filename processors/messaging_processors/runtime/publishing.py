"""Writes single records to Kafka and tells each one's fate; be-messaging awaits it before it answers a caller.

Promise: a delivered record is in its topic on all in-sync replicas, at least once. Every other end is one of

    PublishError
     ├─ NotPublished   certainly not in the topic: the caller may simply try again
     └─ FateUnknown    sent, but no answer came: it may be in the topic

The producer is not an idempotent one: what Kafka acknowledges is then the very request that carried the record. An
idempotent client calls a record delivered, too, that Kafka takes for a repeat by its sequence number, and numbers have
been given twice (librdkafka issues 3712, 4134). A record that is there twice does no harm: its message is charged once.

Kafka's absence is noticed by the deliveries that fail and by `probe`, which also sees its return; while it is known to
be away nothing is queued, every record is refused at once. A producer that may be stranded (`connection`) is replaced.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from messaging_processors.runtime.connection import (
    KAFKA,
    LIBRARY_LOG,
    PRODUCER_SETTINGS,
    STRANDED_SECONDS,
    client_settings,
)
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.records import Outgoing
from messaging_processors.runtime.watching import require
from messaging_processors.runtime.writing import discard

_PROBE_SECONDS = 3.0
_CLOSE_SECONDS = 5.0
_NEVER_WRITTEN = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.INVALID_RECORD,
    }
)
_SETTINGS = PRODUCER_SETTINGS | {
    "message.timeout.ms": 5000,
    "reconnect.backoff.max.ms": 1000,
    "queue.buffering.max.messages": 2000,
    "queue.buffering.max.kbytes": 32 * 1024,
    "linger.ms": 2,
}
_log = structlog.get_logger()


class PublishError(Exception):
    """A record that is not known to be in its topic."""


class NotPublished(PublishError):
    """The record is certainly not in the topic."""


class FateUnknown(PublishError):
    """The record may be in the topic."""


class Publisher:
    """One producer at a time and the thread that serves its callbacks. Thread-safe; `probe` one at a time."""

    def __init__(self, bootstrap_servers: str, topics: Sequence[str], health: Health) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topics = topics
        self._health = health
        self._closing = threading.Event()
        self._handing_over = threading.Lock()
        self._stranded_at = time.monotonic() + STRANDED_SECONDS
        self._producer = self._new_producer()
        threading.Thread(target=self._serve_callbacks, name="publisher", daemon=True).start()

    def publish(self, record: Outgoing) -> Future[None]:
        """Hands the record over; the future ends with its delivery or a `PublishError`, at the latest after 6 s."""
        try:
            require(self._health, KAFKA)
        except Away as error:
            raise NotPublished(error.why) from error
        fate: Future[None] = Future()
        fate.set_running_or_notify_cancel()  # a caller that gives up must not make the callback fail
        try:
            self._produce(record, fate)
        except BufferError as error:
            raise NotPublished("too many messages wait for Kafka already") from error
        except KafkaException as error:
            raise NotPublished(str(error.args[0])) from error
        return fate

    def probe(self) -> None:
        """Asks the brokers themselves; raises `Away` unless they answer and have the topics.

        Call it every few seconds: it is what notices that a producer is stranded.
        """
        try:
            found = [self._producer.list_topics(topic, _PROBE_SECONDS).topics[topic] for topic in self._topics]
        except KafkaException as error:
            if time.monotonic() >= self._stranded_at:
                self._replace_producer()
            raise Away(KAFKA, f"{self._bootstrap_servers}: {error.args[0]}") from error
        self._stranded_at = time.monotonic() + STRANDED_SECONDS
        if missing := [f"topic {topic}: {topic.error}" for topic in found if topic.error]:
            raise Away(KAFKA, "; ".join(missing))

    def close(self) -> None:
        """Gives what is in flight its time, then ends."""
        self._producer.flush(_CLOSE_SECONDS)
        self._closing.set()

    def _new_producer(self) -> Producer:
        settings = client_settings(self._bootstrap_servers) | _SETTINGS | {"error_cb": self._notice}
        return Producer(settings, logger=LIBRARY_LOG)

    def _replace_producer(self) -> None:
        """What the old one still holds ends: it may have been sent."""
        _log.warning("no broker has answered for long, another client tries")
        with self._handing_over:
            old, self._producer = self._producer, self._new_producer()
        self._stranded_at = time.monotonic() + STRANDED_SECONDS
        discard(old)

    def _produce(self, record: Outgoing, fate: Future[None]) -> None:
        with self._handing_over:  # nothing is given to a producer that has been discarded: its fate were never told
            self._producer.produce(
                record.topic,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                on_delivery=lambda error, _: self._settle(fate, error),
            )

    def _serve_callbacks(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(0.5)

    def _notice(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._health.away(KAFKA, f"{self._bootstrap_servers}: {error}")

    def _settle(self, fate: Future[None], error: KafkaError | None) -> None:
        if error is None:
            fate.set_result(None)
        elif error.code() in _NEVER_WRITTEN:
            fate.set_exception(NotPublished(str(error)))
        else:
            self._health.away(KAFKA, f"a message was not acknowledged: {error}")
            fate.set_exception(FateUnknown(str(error)))
