"""What every kind's `run(config, runtime)` is given; `__main__` makes it."""

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from messaging_processors.config import Ports, Secrets
from messaging_processors.runtime.health import Health


@dataclass(frozen=True)
class Runtime:
    """One process: its secrets, where it listens, how it says that it is well, and when it has to end."""

    secrets: Secrets
    ports: Ports
    health: Health
    shutdown: threading.Event


def turn(step: Callable[[], None], runtime: Runtime) -> None:
    """The loop of a process that reads Kafka: one `step` after the other until the process has to end."""
    runtime.health.started()
    while not runtime.shutdown.is_set():
        runtime.health.beat()
        step()
    runtime.health.drain()


def shutdown_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set; the second one of the kind ends the process at once."""
    shutdown = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        shutdown.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return shutdown
