"""Processes forked from one that has imported their libraries: that is most of what a start takes."""

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from multiprocessing.context import ForkServerProcess
from multiprocessing.popen_forkserver import Popen
from multiprocessing.process import BaseProcess
from pathlib import Path

FORKING = multiprocessing.get_context("forkserver")
# Not our own modules: `crashing` changes clients before these take them by name. A name that is wrong is passed over in
# silence. A child reads the main script of its parent again, which is pytest's.
LIBRARIES = (
    *("alembic.command", "confluent_kafka.admin", "fastapi", "httpx_aiohttp", "phonenumbers", "prometheus_client"),
    *("psycopg", "pytest", "redis", "sqlalchemy.dialects.postgresql.psycopg", "structlog", "throttled", "uvicorn"),
)
FORKING.set_forkserver_preload([*LIBRARIES])
_PROCESSOR = "messaging_processors.__main__"


class ForkedProcess(ForkServerProcess):
    """For threads. Whoever starts a process looks at all others, too, and an end can be read only once: of two threads
    that look at the same time one would be told 255."""

    @staticmethod
    def _Popen(process: BaseProcess) -> Popen:
        return _Popen(process)


class _Popen(Popen):
    _looking = threading.Lock()

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        with self._looking:
            return super().poll(flag)


class Forked:
    """A processor, to be handled like a `subprocess.Popen`; what it says is appended to its log."""

    def __init__(self, log: Path, environment: dict[str, str]) -> None:
        self._process = ForkedProcess(target=run, args=(_PROCESSOR, log, environment))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired(_PROCESSOR, timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Also to one that has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(module: str, log: Path, environment: dict[str, str]) -> None:
    """The `main` of `module`, in the new process."""
    with log.open("ab") as output:
        os.dup2(output.fileno(), sys.stdout.fileno())
        os.dup2(output.fileno(), sys.stderr.fileno())
    os.environ.update(environment)
    importlib.import_module(module).main()
