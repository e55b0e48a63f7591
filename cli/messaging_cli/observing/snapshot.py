"""A running topology at one moment, and what two moments say about speed. Values and arithmetic only.

`gathering` makes snapshots, `rendering` shows them. Promise: a local run and a cluster give the same values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from messaging_api import metrics
from messaging_cli.kafka import Partition

Committed = Mapping[str, Mapping[Partition, int]]
"""By group; a group that could not be asked is absent."""


class Counters(NamedTuple):
    """What one process has counted since it started: records read or requests answered, those that went wrong (batches
    given up, answers of 500 and above), and dead letters."""

    records: float = 0
    errors: float = 0
    dead_letters: float = 0


@dataclass(frozen=True)
class Replica:
    """One process of a processor. `counters` is None where it did not answer."""

    processor: str
    name: str
    counters: Counters | None = None
    away: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tail:
    """The offsets of the committed records before `end`, from where the last reader stands."""

    end: int
    records: tuple[int, ...]


@dataclass(frozen=True)
class Log:
    """Where partitions begin and end, how far groups had been by then, and the tails that are known; `at` as in
    `Snapshot`. `stable` is where a partition ends for whoever reads only what is committed."""

    at: float
    starts: Mapping[Partition, int] = field(default_factory=dict)
    ends: Mapping[Partition, int] = field(default_factory=dict)
    stable: Mapping[Partition, int] = field(default_factory=dict)
    committed: Committed = field(default_factory=dict)
    tails: Mapping[Partition, Tail] = field(default_factory=dict)

    def position(self, group: str, partition: Partition) -> int:
        """Where a group reads on: at the beginning, if it has not committed an offset that is still there."""
        at, start = self.committed[group].get(partition, 0), self.starts[partition]
        return at if start <= at <= self.ends[partition] else start


@dataclass(frozen=True)
class Topic:
    """A topic in Kafka. `written` counts offsets that were given out, which a transaction's marker takes, too; it is
    None where Kafka could not be asked. `lag` is by reading group's processor."""

    name: str
    partitions: int
    written: int | None = None
    lag: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Processor:
    """A processor as the reconciler sees it, and its processes."""

    name: str
    ready: int
    desired: int
    message: str = ""
    replicas: tuple[Replica, ...] = ()

    @property
    def dead_letters(self) -> float | None:
        """Since its processes started; None where none of them answered."""
        counted = [replica.counters.dead_letters for replica in self.replicas if replica.counters]
        return sum(counted) if counted else None

    @property
    def away(self) -> list[str]:
        """What the processes say they wait for, and why; each complaint once."""
        said = chain.from_iterable(replica.away.items() for replica in self.replicas)
        return list(dict.fromkeys(f"{name}: {why}" for name, why in said))


@dataclass(frozen=True)
class Snapshot:
    """`at` is in seconds of any clock that only moves forward; `gaps` say what could not be asked."""

    at: float
    name: str
    namespace: str
    ready: str
    topics: tuple[Topic, ...] = ()
    processors: tuple[Processor, ...] = ()
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rates:
    """By name and second; what is not known is absent."""

    written: Mapping[str, float] = field(default_factory=dict)
    records: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)


def rates(before: Snapshot, after: Snapshot) -> Rates:
    """How fast things went between two snapshots."""
    seconds = after.at - before.at
    written = {topic.name: topic.written for topic in before.topics}
    counted = {processor.name: _by_replica(processor) for processor in before.processors}
    growth = {
        processor.name: increase
        for processor in after.processors
        if (increase := _increase(counted.get(processor.name, {}), _by_replica(processor)))
    }
    return Rates(
        written={
            topic.name: grown(was, topic.written) / seconds
            for topic in after.topics
            if topic.written is not None and (was := written.get(topic.name)) is not None
        },
        records={name: increase.records / seconds for name, increase in growth.items()},
        errors={name: increase.errors / seconds for name, increase in growth.items()},
    )


def grown(was: float, now: float) -> float:
    """By how much a counter grew; one that fell began anew at 0."""
    return now - was if now >= was else now


def behind(position: int, end: int, tail: Tail | None = None) -> int:
    """How many records a group has still to read in one partition.

    Transactions leave markers, and aborted ones records, that nobody reads: only in a known tail they do not count.
    What has come since, or is hidden by an open transaction, does.
    """
    known = tail or Tail(position, ())
    return sum(offset >= position for offset in known.records) + max(0, end - max(position, known.end))


def lag(topic: str, group: str, log: Log) -> int:
    """The same over all partitions of a topic."""
    return sum(
        behind(log.position(group, at), end, log.tails.get(at)) for at, end in log.ends.items() if at[0] == topic
    )


def count(exposition: str) -> Counters:
    """What a process's /metrics say. Raises `ValueError` for what is no such text."""
    samples = [sample for family in text_string_to_metric_families(exposition) for sample in family.samples]
    totals: dict[str, float] = {}
    for sample in samples:
        totals[sample.name] = totals.get(sample.name, 0) + sample.value
    failed = sum(s.value for s in samples if s.name == metrics.REQUESTS and not _answered(s.labels))
    return Counters(
        records=totals.get(metrics.CONSUMED, 0) + totals.get(metrics.REQUESTS, 0),
        errors=totals.get(metrics.REDELIVERED, 0) + failed,
        dead_letters=totals.get(metrics.DEAD_LETTERS, 0),
    )


def _answered(labels: Mapping[str, str]) -> bool:
    """Whether that was an answer the server stands by: a client's mistake is none of the server's."""
    status = labels.get(metrics.STATUS_LABEL, "")
    return status.isdigit() and int(status) < 500


def _by_replica(processor: Processor) -> dict[str, Counters]:
    return {replica.name: replica.counters for replica in processor.replicas if replica.counters}


def _increase(before: Mapping[str, Counters], after: Mapping[str, Counters]) -> Counters | None:
    """Of the replicas that answered both times; None where there is none."""
    increases = [map(grown, before[name], now) for name, now in after.items() if name in before]
    return Counters(*map(sum, zip(*increases, strict=True))) if increases else None
