"""How to choose transactional ids: how soon a dead pod's partitions go on, and what it costs; docs/decisions/0001.

    PYTHONPATH=tests .venv/bin/python benchmarks/transactional_ids.py

Starts a Kafka and a PostgreSQL of its own. Recovery: of two pods one is killed while its commit is under way, which a
proxy sees to, and never comes back; the other one takes over. Throughput: one pod copies records that wait for it. The
ways take turns, round by round, so that a busy machine is unfair to none. Takes less than six minutes.
"""

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice
from pathlib import Path

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.table import Table

from copying import WAYS
from messaging_cli.local import services
from testkit.accounts import migrate
from testkit.broker import Broker
from testkit.kafka_proxy import Action, Api, Direction, KafkaProxy, proxied_kafka
from testkit.waiting import eventually, must_answer

RECOVERY_ROUNDS = 5
RECOVERY_SECONDS = 150.0
SECONDS = 270.0
RECOVERY_PARTITIONS = 6
THROUGHPUT_ROUNDS = 3
THROUGHPUT_PARTITIONS = (6, 12)
RECORDS = 40_000
VALUE = b"x" * 300
LONGEST_RECOVERY = 60.0
HELD_SECONDS = 0.5
"""Longer than a transaction that is not held."""


@dataclass
class Figures:
    """Seconds until the orphaned partitions go on, until readers see beyond; records a second by partitions."""

    commits: list[float] = field(default_factory=list)
    visible: list[float] = field(default_factory=list)
    speed: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))


class Stage:
    """Topics and a group of one measurement."""

    def __init__(self, kafka: str, database: str, partitions: int) -> None:
        self.broker = Broker(kafka)
        self.group = self.broker.name("group")
        self._database = database
        self._partitions = partitions
        self._numbers = count()
        self._admin = AdminClient({"bootstrap.servers": kafka})
        self.broker.make_topics({"in": partitions, "out": partitions})

    @contextmanager
    def pod(self, way: str, kafka: str = "", until: int = 0) -> Iterator[subprocess.Popen[str]]:
        options = {
            "way": way,
            "bootstrap": kafka or self.broker.bootstrap,
            "database": self._database,
            "group": self.group,
            "input": self.broker.name("in"),
            "output": self.broker.name("out"),
            "until": str(until),
        }
        command = [sys.executable, str(Path(__file__).with_name("copying.py"))]
        command += [word for name, value in options.items() for word in (f"--{name}", value)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def fill(self, records: int) -> None:
        for number in islice(self._numbers, records):
            self.broker.put("in", VALUE, key=b"%d" % number, partition=number % self._partitions)
        self.broker.flush()

    @contextmanager
    def feeding(self) -> Iterator[None]:
        """A record for every partition, fifty times a second."""
        stop = threading.Event()

        def feed() -> None:
            while not stop.wait(0.02):
                self.fill(self._partitions)

        thread = threading.Thread(target=feed, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    @must_answer(KafkaException, TimeoutError)
    def shared_by(self, members: int) -> bool:
        (described,) = self._admin.describe_consumer_groups([self.group]).values()
        shares = [len(member.assignment.topic_partitions) for member in described.result(5).members]
        return len(shares) == members and set(shares) == {self._partitions // members}

    @must_answer(KafkaException, TimeoutError)
    def offsets(self, stable: bool = False) -> dict[int, int]:
        """By partition; without those that an open transaction hides, where only stable ones are asked for."""
        places = [TopicPartition(self.broker.name("in"), number) for number in range(self._partitions)]
        question = ConsumerGroupTopicPartitions(self.group, places)
        (answer,) = self._admin.list_consumer_group_offsets([question], require_stable=stable).values()
        return {place.partition: place.offset for place in answer.result(10).topic_partitions if not place.error}

    def hidden(self) -> set[int]:
        """The partitions that an open transaction may move."""
        return self.offsets().keys() - self.offsets(stable=True).keys()

    def ends(self) -> list[int]:
        """Up to where readers of what is committed see the output."""
        return self.broker.ends("out", "read_committed")


def recover(stage: Stage, proxy: KafkaProxy, way: str, figures: Figures) -> None:
    """One pod dies in mid-transaction, and never returns."""
    with stage.pod(way, proxy.address) as victim, stage.pod(way), stage.feeding():
        eventually(lambda: stage.shared_by(2), within=60)
        held = proxy.rule(Api.END_TXN, Direction.REQUEST, Action.HOLD, times=sys.maxsize)
        orphans = eventually(partial(held_back, stage))
        victim.kill()
        killed = time.monotonic()
        held.times = len(held.seen)
        seconds = waits(killed, gone_on(stage, orphans), seen_beyond(stage))
    print(f"{way}: {len(orphans)} orphans, {seconds[0]:.1f} s, {seconds[1]:.1f} s", flush=True)
    figures.commits.append(seconds[0])
    figures.visible.append(seconds[1])


def held_back(stage: Stage) -> set[int]:
    """Partitions that stay hidden: the other pod's are so for a moment only."""
    hidden, end = stage.hidden(), time.monotonic() + HELD_SECONDS
    while hidden and time.monotonic() < end:
        hidden &= stage.hidden()
    return hidden


def gone_on(stage: Stage, orphans: set[int]) -> Callable[[], bool]:
    before = stage.offsets()
    return lambda: all(stage.offsets()[number] > before[number] for number in orphans)


def seen_beyond(stage: Stage) -> Callable[[], bool]:
    before = stage.ends()
    return lambda: all(now > then for now, then in zip(stage.ends(), before, strict=True))


def waits(since: float, *things: Callable[[], bool]) -> list[float]:
    """The seconds until each has come true."""
    came: dict[int, float] = {}

    def all_came() -> bool:
        for number, thing in enumerate(things):
            if number not in came and thing():
                came[number] = time.monotonic() - since
        return len(came) == len(things)

    eventually(all_came, within=LONGEST_RECOVERY, every=0.05)
    return [came[number] for number in range(len(things))]


def hasten(stage: Stage, way: str, partitions: int, figures: Figures) -> None:
    """One pod copies what waits for it."""
    stage.fill(RECORDS)
    with stage.pod(way, until=RECORDS) as pod:
        output, _ = pod.communicate(timeout=120)
    figures.speed[partitions].append(RECORDS / float(output.splitlines()[-1]))


def measure(kafka: str, proxy: KafkaProxy, database: str) -> dict[str, Figures]:
    """Whole rounds: at least one of each kind, and no new one once the time is up."""
    figures = {way: Figures() for way in WAYS}
    began = time.monotonic()
    hasten(Stage(kafka, database, RECOVERY_PARTITIONS), next(iter(WAYS)), RECOVERY_PARTITIONS, Figures())  # warms Kafka
    for _ in rounds(RECOVERY_ROUNDS, began + RECOVERY_SECONDS):
        for way in WAYS:
            recover(Stage(kafka, database, RECOVERY_PARTITIONS), proxy, way, figures[way])
    for _ in rounds(THROUGHPUT_ROUNDS, began + SECONDS):
        for partitions in THROUGHPUT_PARTITIONS:
            for way in WAYS:
                hasten(Stage(kafka, database, partitions), way, partitions, figures[way])
    return figures


def rounds(most: int, end: float) -> Iterator[int]:
    return (number for number in range(most) if not number or time.monotonic() < end)


def table(figures: dict[str, Figures]) -> Table:
    """Recovery as median (worst); throughput as the best, for others on the machine only slow it, and its ratio."""
    found = Table("transactional ids", "orphans go on, s", "readers see beyond, s")
    for partitions in THROUGHPUT_PARTITIONS:
        found.add_column(f"records/s, {partitions} partitions")
    first = next(iter(figures.values()))
    for way, one in figures.items():
        recovery = [f"{statistics.median(times):.1f} ({max(times):.1f})" for times in (one.commits, one.visible)]
        speeds = [_compared(max(one.speed[number]), max(first.speed[number])) for number in THROUGHPUT_PARTITIONS]
        found.add_row(way, *recovery, *speeds)
    return found


def _compared(speed: float, first: float) -> str:
    return f"{speed:,.0f} ({speed / first:.2f})"


def main() -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with proxied_kafka(folder) as (kafka, proxy), services.postgres(folder) as postgres:
            migrate(postgres.address)
            figures = measure(kafka.address, proxy, postgres.address)
    Console(width=120).print(table(figures))
    last = figures[list(WAYS)[-1]]
    kills, runs = len(last.commits), len(last.speed[THROUGHPUT_PARTITIONS[-1]])
    print(f"median (worst) of {kills} kills; {RECORDS:,} records, best of {runs} (ratio)")
    print(f"took {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
