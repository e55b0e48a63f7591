"""Asks Kafka, the reconciler and the processors how they are; called by `commands.status`.

Promise: whoever does not answer leaves a gap that is told, and holds nobody else up for longer than a deadline.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import httpx
from pydantic import ValidationError

from messaging_api.processor import Readiness
from messaging_api.status import ConditionType, TopologyStatus
from messaging_cli.errors import CliError
from messaging_cli.kafka import Offsets, Partition
from messaging_cli.local import state
from messaging_cli.observing.snapshot import Committed, Counters, Log, Processor, Replica, Snapshot, Topic, count, lag
from messaging_cli.observing.tails import read_tails
from messaging_cli.running import Running, find
from messaging_operator.clients.processes import PROCESSES_FILE
from messaging_operator.desired.topics import desired_topics

_ANSWER_SECONDS = 1.0
_TAIL_OFFSETS = 1000
"""More than the records of one transaction that was aborted."""
_AT_A_TIME = 16

Get = Callable[[str], bytes | None]
"""What a process answers at a path, whatever its HTTP status; None where it does not answer."""


@dataclass(frozen=True)
class Process:
    """A process of a processor that can be asked."""

    processor: str
    name: str
    get: Get


class World(Protocol):
    """Where a topology runs: `LocalWorld`, `cluster.ClusterWorld`."""

    def running(self) -> Running:
        """The resource as it is now."""
        ...

    def processes(self) -> list[Process]:
        """All processes of its processors. Raises `CliError` where nobody can tell."""
        ...


@dataclass(frozen=True)
class LocalWorld:
    """A run on this machine."""

    name: str
    kafka: str | None = None

    def running(self) -> Running:
        """The resource as its reconciler has left it."""
        return find(self.name, None, self.kafka)

    def processes(self) -> list[Process]:
        """As `up` has told them."""
        try:
            found = json.loads((state.folder_of(self.name) / PROCESSES_FILE).read_text())
        except FileNotFoundError:
            return []
        return [
            Process(entry["processor"], f"{entry['processor']}-{entry['replica']}", _getter(entry["health"]))
            for entry in found
        ]


def _getter(address: str) -> Get:
    def get(path: str) -> bytes | None:
        try:
            # Without TLS nobody needs this machine's certificates, and to read them takes 50 ms a call.
            return httpx.get(f"http://{address}/{path}", timeout=_ANSWER_SECONDS, trust_env=False, verify=False).content
        except httpx.HTTPError:
            return None

    return get


class Gatherer:
    """Takes snapshots of one topology; keeps its connection to Kafka in between."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._offsets: tuple[str, Offsets] | None = None

    def snapshot(self) -> Snapshot:
        """Raises `CliError` where there is no such topology."""
        running = self._world.running()
        gaps: list[str] = []
        log = self._log(running, gaps)
        replicas = self._replicas(gaps)
        topics = _unmeasured(running) if log is None else _measured(running, log, gaps)
        at, key, status = log.at if log else time.monotonic(), running.key, running.status
        return Snapshot(at, key.name, key.namespace, _ready(status), topics, _processors(status, replicas), tuple(gaps))

    def _log(self, running: Running, gaps: list[str]) -> Log | None:
        """Groups are asked before the partitions' ends: none seems to be done with them that is not."""
        try:
            kafka = self._kafka(running.kafka)
            partitions = kafka.partitions(_names(running))
            committed, at = self._committed(running, gaps), time.monotonic()
            return Log(at, kafka.starts(partitions), kafka.ends(partitions), kafka.stable_ends(partitions), committed)
        except CliError as error:
            gaps.append(str(error))
            return None

    def _committed(self, running: Running, gaps: list[str]) -> Committed:
        """A Kafka in which nobody has committed yet may not have the place for it either."""
        try:
            return self._kafka(running.kafka).committed(reader.group_id for reader in running.readers.values())
        except CliError as error:
            gaps.append(f"lag: {error}")
            return {}

    def _kafka(self, bootstrap: str) -> Offsets:
        if self._offsets is None or self._offsets[0] != bootstrap:
            self._offsets = bootstrap, Offsets(bootstrap)
        return self._offsets[1]

    def _replicas(self, gaps: list[str]) -> list[Replica]:
        try:
            processes = self._world.processes()
        except CliError as error:
            gaps.append(str(error))
            return []
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            replicas = list(pool.map(_ask, processes))
        if silent := [replica.name for replica in replicas if replica.counters is None]:
            gaps.append(f"no metrics from {', '.join(silent)}")
        return replicas


def _names(running: Running) -> list[str]:
    return [topic.name for topic in desired_topics(running.spec)]


def _unmeasured(running: Running) -> tuple[Topic, ...]:
    known = {topic.name: topic.partitions for topic in running.status.topics}
    return tuple(Topic(name, known.get(name, 0)) for name in _names(running))


def _measured(running: Running, log: Log, gaps: list[str]) -> tuple[Topic, ...]:
    readers = {topic: _groups(running, topic, log.committed) for topic in _names(running)}
    ranges = _ranges(log, readers)
    tails = read_tails(running.kafka, ranges)
    if unread := sorted({topic for topic, _ in ranges.keys() - tails.keys()}):
        gaps.append(f"lag: {', '.join(unread)} not read to the end, so what transactions left there counts along")
    known = replace(log, tails=tails)
    return tuple(_topic(name, groups, known) for name, groups in readers.items())


def _groups(running: Running, topic: str, committed: Committed) -> dict[str, str]:
    """By processor, of those that read the topic and could be asked."""
    reading = {name: reader.group_id for name, reader in running.readers.items() if topic in reader.inputs}
    return {name: group for name, group in reading.items() if group in committed}


def _topic(name: str, groups: Mapping[str, str], log: Log) -> Topic:
    ends = [end for at, end in log.ends.items() if at[0] == name]
    lags = {processor: lag(name, group, log) for processor, group in groups.items()}
    return Topic(name, len(ends), sum(ends), lags)


def _ranges(log: Log, readers: Mapping[str, Mapping[str, str]]) -> dict[Partition, tuple[int, int]]:
    """From where the last reader of a partition stands to its stable end, if that is not too far."""
    begins = {
        at: min(log.position(group, at) for group in readers[at[0]].values()) for at in log.stable if readers[at[0]]
    }
    return {at: (begin, log.stable[at]) for at, begin in begins.items() if 0 < log.stable[at] - begin <= _TAIL_OFFSETS}


def _ask(process: Process) -> Replica:
    return Replica(process.processor, process.name, _counters(process.get("metrics")), _away(process.get("readyz")))


def _counters(answer: bytes | None) -> Counters | None:
    try:
        return None if answer is None else count(answer.decode())
    except ValueError:
        return None  # not ours: a gap like any other


def _away(answer: bytes | None) -> Mapping[str, str]:
    try:
        return {} if answer is None else Readiness.model_validate_json(answer).away
    except ValidationError:
        return {}


def _processors(status: TopologyStatus, replicas: Iterable[Replica]) -> tuple[Processor, ...]:
    found = list(replicas)
    return tuple(
        Processor(
            processor.name,
            processor.ready,
            processor.desired,
            processor.message,
            tuple(replica for replica in found if replica.processor == processor.name),
        )
        for processor in status.processors
    )


def _ready(status: TopologyStatus) -> str:
    """The condition Ready in a line."""
    found = next((condition for condition in status.conditions if condition.type is ConditionType.READY), None)
    if found is None:
        return "not reconciled yet"
    said = {"True": "ready", "False": "not ready", "Unknown": "unknown"}[found.status]
    return said if found.status == "True" else f"{said}: {found.reason.value}: {found.message}"
