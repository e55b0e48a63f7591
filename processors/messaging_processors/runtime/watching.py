"""Looks after a process's dependencies in the background, so that health knows of them before a request does.

Every processor calls `watch` once a dependency; of Kafka billing and sinks learn by `connection`. Promise: what is away
is reported within `EVERY` + `PATIENCE` seconds, also when it is silent instead of refusing, and what is back within
`EVERY`.
"""

import threading
from collections.abc import Callable

import structlog

from messaging_processors.runtime.errors import Away
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.process import Runtime

EVERY = 2.0
PATIENCE = 4.0
_log = structlog.get_logger()


def watch(runtime: Runtime, look: Callable[[], object]) -> None:
    """Looks now, and then every two seconds from a thread of its own until the process ends."""

    def keep_looking() -> None:
        while not runtime.shutdown.wait(EVERY):
            look()

    look()
    threading.Thread(target=keep_looking, name="watch", daemon=True).start()


def reporting(health: Health, dependency: str, probe: Callable[[], None], required: bool = True) -> Callable[[], None]:
    """A look that tells health whether `probe` succeeded, failed or got no answer in time."""

    def look() -> None:
        overdue = threading.Timer(PATIENCE, health.away, (dependency, f"no answer in {PATIENCE:g} s", required))
        overdue.daemon = True
        overdue.start()
        try:
            probe()
        except Away as error:
            health.away(dependency, error.why, required)
        except Exception as error:  # noqa: BLE001  whatever keeps it from answering, it cannot be used, and we go on
            _log.exception("a probe failed in an unforeseen way", dependency=dependency)
            health.away(dependency, f"{type(error).__name__}: {error}", required)
        else:
            health.back(dependency)
        finally:
            overdue.cancel()

    return look


def require(health: Health, dependency: str) -> None:
    """Raises `Away` for a dependency that is known to be: nobody has to wait for it to find out again."""
    if why := health.readiness().away.get(dependency):
        raise Away(dependency, why)
