"""What every kind's `run(config, runtime)` is given; `__main__` makes it."""

import signal
import threading
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


def shutdown_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set; the second one of the kind ends the process at once."""
    shutdown = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        shutdown.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return shutdown
