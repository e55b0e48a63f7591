"""A processor that kills itself right before or right after one of its effects.

An effect is a call of a client's that changes something outside: a commit, a record, an offset, a call of a third
party. Threads that only look whether a dependency is there, and sweep, are left out: they keep no count.

CRASH_LIST   a file that gets a line for every effect, when it begins: its number, from 1, and its name
CRASH_AT     before:3 or after:3; nothing happens without

`python -m testkit.crashing` is `python -m messaging_processors` with these two; `forking` starts many. This module
changes the clients of whoever imports it.
"""

import functools
import importlib
import inspect
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka
import httpx
import psycopg
import redis
import redis.client

_LOOKING = ("watch", "retention")
_PRODUCER = (
    "init_transactions",
    "begin_transaction",
    "send_offsets_to_transaction",
    "commit_transaction",
    "abort_transaction",
    "flush",
)


class Effects:
    """Counts them once it is told where to list them, and kills at the appointed one. Thread-safe."""

    def __init__(self) -> None:
        self._listed: Path | None = None
        self._crash_at = ""
        self._lock = threading.Lock()
        self._count = 0

    def appoint(self, listed: Path, crash_at: str) -> None:
        self._listed, self._crash_at = listed, crash_at

    @contextmanager
    def effect(self, name: str) -> Iterator[None]:
        """The block is one."""
        if self._listed is None or threading.current_thread().name in _LOOKING:
            yield
            return
        number = self._begin(name, self._listed)
        self._reach(f"before:{number}")
        yield
        self._reach(f"after:{number}")

    def counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, counted."""

        @functools.wraps(call)
        def effect(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401  whatever the call takes and gives
            with self.effect(name):
                return call(*arguments, **named)

        @functools.wraps(call)
        async def awaited_effect(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401  likewise
            with self.effect(name):
                return await call(*arguments, **named)

        return awaited_effect if inspect.iscoroutinefunction(call) else effect

    def count(self, owner: type, *methods: str) -> None:
        """These methods are counted from now on."""
        for method in methods:
            setattr(owner, method, self.counted(f"{owner.__name__}.{method}", getattr(owner, method)))

    def _begin(self, name: str, listed: Path) -> int:
        with self._lock:
            self._count += 1
            with listed.open("a") as file:
                file.write(f"{self._count} {name}\n")
            return self._count

    def _reach(self, point: str) -> None:
        if point == self._crash_at:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # in a thread: the signal takes the process, and this call must not go on meanwhile


def install(effects: Effects) -> None:
    """Before the processor's modules take these classes by name."""
    effects.count(psycopg.Connection, "commit")
    producer, consumer = _countable(effects)
    effects.count(producer, *_PRODUCER)
    effects.count(consumer, "commit")
    vars(confluent_kafka).update(Producer=producer, Consumer=consumer)
    effects.count(httpx.AsyncClient, "send")
    effects.count(redis.Redis, "execute_command")
    effects.count(redis.client.Pipeline, "execute")


def _countable(effects: Effects) -> tuple[type, type]:
    """The client's own classes cannot be changed; a record's delivery is an effect of its own, which is told later."""

    class Producer(confluent_kafka.Producer):
        def produce(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401  as the client has it
            told = named.get("on_delivery")
            with effects.effect("Producer.produce"):
                super().produce(*arguments, **named | {"on_delivery": told and effects.counted("delivery", told)})

    return Producer, type("Consumer", (confluent_kafka.Consumer,), {})


def main() -> None:
    """As the environment says."""
    EFFECTS.appoint(Path(os.environ["CRASH_LIST"]), os.environ.get("CRASH_AT", ""))
    processor()


EFFECTS = Effects()
install(EFFECTS)
# After that, for its modules take the clients' classes by name.
processor = importlib.import_module("messaging_processors.__main__").main

if __name__ == "__main__":
    main()
