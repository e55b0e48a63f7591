"""Who reconciles when: one task a topology, which runs at once when marked, else every resync. Used by `handlers`.

A topology is never reconciled twice at a time, marks that arrive meanwhile become one more run, and a slow topology
occupies one thread and holds nobody else back.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import structlog

from messaging_operator import metrics
from messaging_operator.errors import ClusterError
from messaging_operator.state import TopologyKey

log = structlog.get_logger(__name__)

_THREADS = 16
# Between two runs of one topology: a rollout is a shower of events, and one look at it is enough.
_PAUSE_SECONDS = 0.3
_STUCK_SECONDS = 120.0


@dataclass
class _Slot:
    task: asyncio.Task[None]
    marked: asyncio.Event
    wanted: bool = True


class Worker:
    """All its methods belong to the event loop's thread; only `work` runs elsewhere, and says whether there is one."""

    def __init__(self, work: Callable[[TopologyKey], bool], resync_seconds: float) -> None:
        self._work = work
        self._resync_seconds = resync_seconds
        self._slots: dict[TopologyKey, _Slot] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="reconcile")
        self._last_end = time.monotonic()

    def mark(self, key: TopologyKey) -> None:
        """The topology exists and may have changed."""
        slot = self._slots.get(key)
        if slot is None:
            if not self._slots:
                self._last_end = time.monotonic()  # until now there was nothing to do
            marked = asyncio.Event()
            slot = self._slots[key] = _Slot(asyncio.create_task(self._keep(key)), marked)
        slot.wanted = True
        slot.marked.set()

    def touch(self, key: TopologyKey) -> None:
        """Something of the topology has changed, if there is such a topology."""
        if key in self._slots:
            self.mark(key)

    def forget(self, key: TopologyKey) -> None:
        """The topology is gone; a run that is under way ends first."""
        if slot := self._slots.get(key):
            slot.wanted = False
            slot.marked.set()

    async def close(self) -> None:
        """Starts nothing more; a run that is under way ends by its own deadlines."""
        tasks = [slot.task for slot in self._slots.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def is_stuck(self) -> bool:
        """Whether there is something to do and nothing has ended for far too long."""
        idle = time.monotonic() - self._last_end
        return bool(self._slots) and idle > max(_STUCK_SECONDS, 3 * self._resync_seconds)

    async def _keep(self, key: TopologyKey) -> None:
        slot = self._slots[key]
        while slot.wanted:
            slot.marked.clear()
            if not await self._run(key) and not slot.marked.is_set():
                break  # deleted while nobody watched
            await asyncio.sleep(_PAUSE_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(slot.marked.wait(), self._resync_seconds - _PAUSE_SECONDS)
        del self._slots[key]
        metrics.forget(key)

    async def _run(self, key: TopologyKey) -> bool:
        """Whether there is still something to look after; a failed run doesn't know."""
        started = time.monotonic()
        run = asyncio.get_running_loop().run_in_executor(self._threads, self._work, key)
        await asyncio.wait({run})
        self._last_end = time.monotonic()
        error = run.exception()
        metrics.count(key, self._last_end - started, succeeded=error is None)
        if isinstance(error, ClusterError):
            log.warning("API server", namespace=key.namespace, topology=key.name, error=str(error))
        elif error:
            log.error("reconcile failed", namespace=key.namespace, topology=key.name, exc_info=error)
        return error is not None or run.result()
