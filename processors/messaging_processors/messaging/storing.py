"""How the endpoints use the stores: in threads, with deadlines, and never in doubt about what a change did.

ChangeUnknown   the change may have been made, or not; the stores' other absences are `Away`: nothing was tried
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from messaging_processors.runtime.database import DATABASE, transaction
from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.problems import ProblemError
from messaging_processors.runtime.watching import require

STORE_SECONDS = 4.0
"""No request waits longer for the database, whatever keeps it from answering."""
BRIEFLY = 1.0
_THREADS = 16

P = ParamSpec("P")
T = TypeVar("T")


class ChangeUnknown(Exception):
    """The change may have been made, or not."""


class StoreThreads:
    """Runs the stores' blocking calls without holding up the other requests."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")

    async def run(self, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """What `call` gives; raises `TimeoutError` after `STORE_SECONDS`."""
        return await asyncio.wait_for(self._started(partial(call, *arguments, **named)), STORE_SECONDS)

    async def try_briefly(self, call: Callable[[], T]) -> T | None:
        """What `call` gives, or None when that takes longer than it is worth."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self._started(call), BRIEFLY)
        return None

    async def change(self, call: Callable[[float], T], unknown: str) -> T:
        """What `call`, given its deadline, gives; the 504 that says `unknown` where that is what the change is."""
        try:
            return await self.run(call, time.monotonic() + STORE_SECONDS)
        except (ChangeUnknown, TimeoutError) as error:
            raise ProblemError(504, unknown) from error

    def _started(self, call: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, call)


@contextlib.contextmanager
def reading(engine: Engine, health: Health) -> Iterator[Connection]:
    """A transaction that changes nothing; raises `Away`, at once where the database is known to be."""
    require(health, DATABASE)
    with transaction(engine) as connection:
        yield connection


@contextlib.contextmanager
def changing(engine: Engine, health: Health, deadline: float) -> Iterator[Connection]:
    """A transaction that changes something; raises `Away` only where nothing was tried, else `ChangeUnknown`.

    After the `deadline` of the monotonic clock nothing is begun: who is no longer waited for must not come in late
    between two others.
    """
    require(health, DATABASE)
    try:
        with transaction(engine) as connection:
            if time.monotonic() >= deadline:
                raise Away(DATABASE, "no connection in time")
            yield connection
    except Away as error:  # the connection may have been lost under the commit
        raise ChangeUnknown(error.why) from error
