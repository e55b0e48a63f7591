"""Keeps processors running as a kubelet does: what ends or is stuck is started again, under the same name.

A pod can be killed, frozen, told to end, and deleted: then another one with a new name takes its place. Nothing else is
ever signalled.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from chaos.observed import Freeze
from chaos.usage import Usage, usage
from messaging_api.processor import ProcessorConfig
from testkit.processes import Processor, Slot, a_slot, launch
from testkit.waiting import eventually

_LOOK_SECONDS = 0.2
_PROBE_SECONDS = 10.0
_END_SECONDS = 20.0


class Pod:
    """One replica of a processor; `running` changes when it is started again."""

    def __init__(self, processor: str, slot: Slot, environment: dict[str, str]) -> None:
        self.processor = processor
        self.slot = slot
        self.wanted = True
        self.unasked_ends: list[int] = []
        """The exit code of every process of it that ended though nobody had asked for that."""
        self.freezes: list[Freeze] = []
        self._environment = environment
        self._told_to_end: Processor | None = None
        self._start()

    @property
    def name(self) -> str:
        return self.slot.name

    def keep_running(self) -> None:
        """Starts it again if it has ended."""
        code = self.running.process.poll()
        if code is None:
            return
        if self.running is not self._told_to_end:
            self.unasked_ends.append(code)
        self._start()

    def end_if_stuck(self) -> None:
        """As the kubelet does; nobody has asked for that end either."""
        running = self.running
        if running.is_stuck():
            running.process.kill()

    def kill(self) -> None:
        """SIGKILL."""
        process = self._to_be_ended().process
        process.kill()
        process.wait()

    def end(self, within: float) -> int:
        """SIGTERM; its exit code, once it has ended in order."""
        process = self._to_be_ended().process
        process.send_signal(signal.SIGTERM)
        return process.wait(within)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Alive but silent."""
        process, began = self.running.process, datetime.now(UTC)
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)
            self.freezes.append(Freeze(began, datetime.now(UTC)))

    def usage(self) -> Usage:
        """What its process uses now."""
        return usage(self.running.process.pid)

    @property
    def log(self) -> str:
        """What it has said, over all its starts."""
        return self.slot.log.read_text(errors="replace") if self.slot.log.exists() else ""

    def _start(self) -> None:
        self.running: Processor = launch(self.slot, **self._environment)

    def _to_be_ended(self) -> Processor:
        """What is running, whose end is asked for from now on; one that has ended already has done so by itself."""
        running = self.running
        if running.process.poll() is None:
            self._told_to_end = running
        return running


class Supervisor:
    """The pods of one world; threads of its own look after them until `close`."""

    def __init__(self, folder: Path, environment: Callable[[str], dict[str, str]]) -> None:
        """`environment` is each processor's own."""
        self._folder = folder
        self._environment = environment
        self._pods: list[Pod] = []
        self._gone: list[Pod] = []
        self._numbers = count(1)
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._look_after, self._probe)]
        for thread in self._threads:
            thread.start()

    def run(self, config: ProcessorConfig, replicas: int) -> list[Pod]:
        """That many more pods of a processor."""
        return [self._add(config) for _ in range(replicas)]

    def pods(self, processor: str = "") -> list[Pod]:
        """Those that are to run."""
        with self._lock:
            return [pod for pod in self._pods if processor in ("", pod.processor)]

    @property
    def all_pods(self) -> list[Pod]:
        """Those that are gone, too: their logs remain."""
        with self._lock:
            return [*self._gone, *self._pods]

    @contextmanager
    def stopped(self, processor: str) -> Iterator[None]:
        """None of its pods runs, as with `replicas: 0`; after that they are back under their names."""
        pods = self.pods(processor)
        with self._lock:
            for pod in pods:
                pod.wanted = False
        try:
            for pod in pods:
                pod.end(_END_SECONDS)
            yield
        finally:
            for pod in pods:
                pod.wanted = True

    def delete(self, pod: Pod, config: ProcessorConfig | None) -> None:
        """The pod is gone for good; with a configuration another one takes its place."""
        with self._lock:
            pod.wanted = False
            self._pods.remove(pod)
            self._gone.append(pod)
        pod.kill()
        if config:
            self._add(config)

    def await_ready(self, within: float = 60) -> None:
        """Until every pod can do its work."""
        eventually(self._are_ready, within)

    def close(self) -> None:
        """Kills them all."""
        self._closing.set()
        for thread in self._threads:
            thread.join()
        for pod in self.pods():
            pod.kill()

    def _add(self, config: ProcessorConfig) -> Pod:
        name = f"{config.processor}-{next(self._numbers)}"
        with self._lock:
            slot = a_slot(config, self._folder, name)
            pod = Pod(config.processor, slot, self._environment(config.processor))
            self._pods.append(pod)
        return pod

    def _are_ready(self) -> bool:
        away = {pod.name: found.away for pod in self.pods() if not (found := pod.running.readiness()).ready}
        assert not away, f"not ready: {away}"
        return True

    def _look_after(self) -> None:
        while not self._closing.wait(_LOOK_SECONDS):
            with self._lock:
                for pod in self._pods:
                    if pod.wanted:
                        pod.keep_running()

    def _probe(self) -> None:
        while not self._closing.wait(_PROBE_SECONDS):
            for pod in self.pods():
                pod.end_if_stuck()
