"""What all our Kafka clients share: their settings, and what health is told about Kafka.

Made once by billing and by the sinks. Promise: health hears of a Kafka that is away within seconds, also when nothing
flows, and of its return.

A client that Kafka's silence has stranded may never connect again, although Kafka is back and others reach it
(librdkafka 2.16). Nothing tells it from one whose Kafka is away, where a new client does no harm: it is replaced.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from messaging_processors.runtime.backoff import LONGEST_WAIT
from messaging_processors.runtime.health import Health

KAFKA = "kafka"
Statistics = Mapping[str, Any]
"""What a client tells of itself once a second (librdkafka's STATISTICS.md)."""
LIBRARY_LOG = logging.getLogger("librdkafka")
"""What the clients say by themselves, as `Quieted` lets it through."""
QUEUE_KILOBYTES = 16_384
"""Of records that are fetched ahead, all partitions together; the client asks for no more until it has less."""
STRANDED_SECONDS = 20
"""After so long without Kafka a client is given up for another, again and again until one connects."""
_REQUEST_MS = 4000
# What fails every time stays away between two attempts: they are as far apart as a wait, a new producer's start, and
# what is tried then: a transaction and its abort.
_ATTEMPT_SECONDS = 2 * _REQUEST_MS / 1000
_TROUBLE_SECONDS = LONGEST_WAIT + _REQUEST_MS / 1000 + _ATTEMPT_SECONDS

PRODUCER_SETTINGS: dict[str, Any] = {
    "acks": "all",
    "partitioner": "murmur2_random",  # as Java producers do, or one account's messages spread over two partitions
    "request.timeout.ms": _REQUEST_MS,
    "message.timeout.ms": _REQUEST_MS,  # decided before we stop waiting, so that nothing is written behind our back
    "message.max.bytes": 100_000_000,  # the topic decides what is too large; a dead letter is larger than its record
    "batch.size": 262_144,
    "retry.backoff.ms": 5,  # also the wait between two transactions of a producer
    "retry.backoff.max.ms": 500,
}


class Quieted(logging.Filter):
    """The clients call errors what they get over by themselves, such as a rebalance, and repeat it 20 times a second.

    Whether it is one our own code decides: their words become warnings, one a second of each kind.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._next: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now = next(iter(record.args or ()), ""), self._clock()
        if now < self._next.get(kind, now):
            return False
        self._next[kind] = now + 1
        record.levelno = min(record.levelno, logging.WARNING)
        record.levelname = logging.getLevelName(record.levelno)
        return True


LIBRARY_LOG.addFilter(Quieted())


def client_settings(bootstrap_servers: str) -> dict[str, Any]:
    """Deadlines, and topics that are never created by accident. A silent broker is left after `_REQUEST_MS`."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "socket.timeout.ms": _REQUEST_MS,
        "reconnect.backoff.max.ms": 2000,
        "topic.metadata.refresh.interval.ms": 5000,  # how long grown partitions stay unseen
        "allow.auto.create.topics": False,
        "log.connection.close": False,
    }


def group_settings(group_id: str) -> dict[str, Any]:
    """What members of a group add to those."""
    return {
        "group.id": group_id,
        "group.protocol": "classic",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": 6000,  # the least that brokers allow: so long a dead member's partitions lie idle
        "heartbeat.interval.ms": 500,
        "max.poll.interval.ms": 60_000,  # a loop that stands still for longer is ended anyway (`health`)
        "auto.offset.reset": "earliest",  # anything else skips what came before a new partition was noticed
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "queued.max.messages.kbytes": QUEUE_KILOBYTES,
    }


class Connection:
    """What health is told about Kafka, and the settings that all our clients share."""

    def __init__(self, bootstrap_servers: str, health: Health, clock: Callable[[], float] = time.monotonic) -> None:
        self._servers = bootstrap_servers
        self._health = health
        self._clock = clock
        self._last_error = "no connection"
        self._trouble_until = 0.0
        self._down_ticks = 0
        self._watched = object()
        health.away(KAFKA, f"{bootstrap_servers}: not connected yet")

    def settings(self) -> dict[str, Any]:
        """The common ones, and where errors are told."""
        return client_settings(self._servers) | {"error_cb": self._note}

    def watched(self, look: Callable[[Statistics], None]) -> dict[str, Any]:
        """Settings of the one client whose connections stand for all, until there are others; `look` sees them, too."""
        self._watched = watched = object()

        def seen(statistics: str) -> None:
            if self._watched is watched:
                parsed = json.loads(statistics)
                self.judge(parsed)
                look(parsed)

        return {"statistics.interval.ms": 1000, "stats_cb": seen}

    def failed(self, why: str) -> None:
        """Kafka did not do what we asked; it counts as away until it does, or nothing has failed for a while."""
        self._trouble_until = self._clock() + _TROUBLE_SECONDS
        self._health.away(KAFKA, f"{self._servers}: {why}")

    def answered(self) -> None:
        """Kafka did what comes before the next attempt, if there is anything to attempt."""
        self._trouble_until = min(self._trouble_until, self._clock() + _ATTEMPT_SECONDS)

    def worked(self) -> None:
        """Kafka did what we asked."""
        self._trouble_until = 0.0
        self._health.back(KAFKA)

    def is_away(self) -> bool:
        """As far as is known."""
        return KAFKA in self._health.readiness().away

    def judge(self, statistics: Statistics) -> None:
        """Once a second: is any broker connected? The state of connections is known without asking anybody."""
        if is_connected(statistics):
            self._down_ticks = 0
            if self._clock() >= self._trouble_until:
                self._health.back(KAFKA)
            return
        self._down_ticks += 1
        if self._down_ticks > 1:  # one tick may fall between two connections
            self._health.away(KAFKA, f"{self._servers}: {self._last_error}")

    def needs_another_client(self) -> bool:
        """True once in `STRANDED_SECONDS` without any broker: whoever hears it gives up the watched client."""
        stranded = self._down_ticks >= STRANDED_SECONDS
        if stranded:
            self._down_ticks = 0
        return stranded

    def _note(self, error: object) -> None:
        self._last_error = str(error)


def is_connected(statistics: Statistics) -> bool:
    """Whether any broker is."""
    return any(broker["state"] == "UP" for broker in statistics["brokers"].values())
