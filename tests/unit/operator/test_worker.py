"""When topologies are looked at: at once when marked, never twice at a time, and nobody waits for a slow one."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import REGISTRY

from messaging_operator import worker as module
from messaging_operator.errors import ClusterError
from messaging_operator.state import TopologyKey
from messaging_operator.worker import Worker
from testkit.waiting import eventually

ONE, OTHER = TopologyKey("a", "one"), TopologyKey("a", "other")


class Rounds:
    """Work that counts its runs, and that waits for `gate` where the key is the slow one."""

    def __init__(
        self, slow: TopologyKey | None = None, failure: Exception | None = None, gone: TopologyKey | None = None
    ) -> None:
        self.runs: list[TopologyKey] = []
        self.gate = threading.Event()
        self.running = 0
        self.most_at_once = 0
        self._slow = slow
        self._failure = failure
        self.gone = gone

    def __call__(self, key: TopologyKey) -> bool:
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        self.runs.append(key)
        if key == self._slow:
            assert self.gate.wait(5)
        self.running -= 1
        if self._failure:
            raise self._failure
        return key != self.gone


class Running:
    """A worker on an event loop of its own, called from the test's thread."""

    def __init__(self, rounds: Rounds, resync_seconds: float) -> None:
        self.rounds = rounds
        self.loop = asyncio.new_event_loop()
        self.worker = Worker(rounds, resync_seconds)

    def call(self, method: Callable[..., object], *arguments: TopologyKey) -> None:
        async def within_the_loop() -> None:
            method(*arguments)

        asyncio.run_coroutine_threadsafe(within_the_loop(), self.loop).result(5)

    def mark(self, key: TopologyKey) -> None:
        self.call(self.worker.mark, key)

    def touch(self, key: TopologyKey) -> None:
        self.call(self.worker.touch, key)

    def forget(self, key: TopologyKey) -> None:
        self.call(self.worker.forget, key)

    def await_runs(self, key: TopologyKey, count: int) -> None:
        eventually(lambda: self.rounds.runs.count(key) >= count, within=5, every=0.005)

    def let_time_pass(self) -> None:
        """Time enough for three runs of another topology is time enough for a run that should not be."""
        for _ in range(3):
            before = self.rounds.runs.count(OTHER)
            self.mark(OTHER)
            self.await_runs(OTHER, before + 1)


@contextmanager
def running(rounds: Rounds, resync_seconds: float = 60) -> Iterator[Running]:
    found = Running(rounds, resync_seconds)
    thread = threading.Thread(target=found.loop.run_forever)
    thread.start()
    try:
        yield found
    finally:
        rounds.gate.set()
        asyncio.run_coroutine_threadsafe(found.worker.close(), found.loop).result(5)
        found.loop.call_soon_threadsafe(found.loop.stop)
        thread.join(5)
        found.loop.close()


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.01)


def test_a_marked_topology_is_looked_at_now_and_at_every_resync() -> None:
    with running(Rounds(), resync_seconds=0.05) as it:
        it.mark(ONE)
        it.await_runs(ONE, 3)


def test_marks_during_a_run_become_one_more_run_and_never_a_second_at_a_time() -> None:
    rounds = Rounds(slow=ONE)
    with running(rounds) as it:
        it.mark(ONE)
        it.await_runs(ONE, 1)
        for _ in range(5):
            it.touch(ONE)
        assert rounds.runs == [ONE]
        rounds.gate.set()
        it.await_runs(ONE, 2)
        it.let_time_pass()
        assert rounds.runs.count(ONE) == 2


def test_a_slow_topology_holds_nobody_back() -> None:
    with running(Rounds(slow=ONE)) as it:
        it.mark(ONE)
        it.await_runs(ONE, 1)
        it.mark(OTHER)
        it.await_runs(OTHER, 1)


@pytest.mark.parametrize("failure", [ClusterError(503, "away"), ValueError("a bug")])
def test_a_failed_run_is_followed_by_the_next(failure: Exception) -> None:
    with running(Rounds(failure=failure), resync_seconds=0.05) as it:
        it.mark(ONE)
        it.await_runs(ONE, 2)


def test_a_workload_of_an_unknown_topology_starts_nothing() -> None:
    with running(Rounds()) as it:
        it.touch(ONE)
        it.let_time_pass()
        assert ONE not in it.rounds.runs


def test_a_topology_that_is_made_again_during_a_run_is_not_looked_at_twice_at_a_time() -> None:
    rounds = Rounds(slow=ONE)
    with running(rounds) as it:
        it.mark(ONE)
        it.await_runs(ONE, 1)
        it.forget(ONE)
        it.mark(ONE)
        rounds.gate.set()
        it.await_runs(ONE, 2)
        assert rounds.most_at_once == 1


def test_a_forgotten_topology_is_not_looked_at_again() -> None:
    with running(Rounds()) as it:
        it.mark(ONE)
        it.await_runs(ONE, 1)
        it.forget(ONE)
        it.let_time_pass()
        it.touch(ONE)
        it.let_time_pass()
        assert it.rounds.runs.count(ONE) == 1


def test_a_topology_that_a_run_finds_gone_is_forgotten_with_its_figures() -> None:
    """Whoever deleted it did so while nobody watched."""
    with running(Rounds(gone=ONE), resync_seconds=0.05) as it:
        it.mark(ONE)
        it.await_runs(ONE, 1)
        it.let_time_pass()
        assert it.rounds.runs.count(ONE) == 1
        assert ONE.name not in topologies_with_figures()
        it.rounds.gone = None
        it.mark(ONE)
        it.await_runs(ONE, 3)


def test_a_topology_that_is_made_again_while_a_run_finds_it_gone_is_looked_at() -> None:
    rounds = Rounds(slow=ONE, gone=ONE)
    with running(rounds) as it:
        it.mark(ONE)
        it.await_runs(ONE, 1)
        it.mark(ONE)
        rounds.gate.set()
        it.await_runs(ONE, 2)


def topologies_with_figures() -> set[str]:
    return {
        sample.labels["topology"]
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "messaging_operator_last_success_timestamp_seconds"
    }


def test_the_first_topology_after_a_long_rest_is_not_taken_for_a_stuck_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STUCK_SECONDS", 1000.0)
    with running(Rounds(slow=ONE), resync_seconds=0.01) as it:
        monkeypatch.setattr(it.worker, "_last_end", time.monotonic() - 2000)
        it.mark(ONE)
        it.await_runs(ONE, 1)
        assert not it.worker.is_stuck()


def test_silence_is_noticed_only_where_there_is_something_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STUCK_SECONDS", 0.0)
    with running(Rounds(slow=ONE), resync_seconds=0.01) as it:
        assert not it.worker.is_stuck()
        it.mark(ONE)
        eventually(it.worker.is_stuck, within=5, every=0.005)
