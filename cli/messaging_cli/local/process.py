"""One service as a child process that a test can stop, freeze, kill and start again on its port.

Built by `services`. Promises: `start()` returns when the service says that it is ready, within a
deadline, or leaves nothing running; a service ends with us, however we end (Linux, by `setpriv`); a
leftover of an earlier run on the same folder is ended first; only processes that were started from
here are ever signalled.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

START_SECONDS = 60.0
STOP_SECONDS = 20.0
# The kernel takes the thread that started a process for its parent: this one lives as long as we do.
_PARENT = ThreadPoolExecutor(max_workers=1, thread_name_prefix="services")


class ServiceError(Exception):
    """The service did not start; the message ends with its last log lines."""


class Service:
    """`address` is what clients connect to; it stays the same over restarts."""

    process: subprocess.Popen[bytes]

    def __init__(
        self,
        name: str,
        address: str,
        command: Sequence[str | Path],
        folder: Path,
        ready_line: str,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.address = address
        self.command = [str(word) for word in command]
        self.folder = folder
        self.ready_line = ready_line
        self.stop_signal = stop_signal
        self.log = folder / f"{name}.log"
        self.pid_file = folder / f"{name}.pid"

    def start(self) -> None:
        self._end_leftover()
        with self.log.open("ab") as log:
            begin = log.tell()
            self.process = _PARENT.submit(_spawn, self.command, log).result()
        try:
            self.pid_file.write_text(str(self.process.pid))
            self._await_ready(begin)
        except BaseException:  # Ctrl-C and a test's timeout, too
            self.stop()
            raise

    def stop(self) -> None:
        if self.process.poll() is None:
            self.resume()  # a frozen process would not see the signal
            self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Alive but silent, like a broker behind a cut cable; returns when its last thread has stopped."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def _await_ready(self, begin: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.ready_line not in (text := self._logged(begin)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(text.splitlines()[-10:])
                raise ServiceError(f"{self.name} is not ready (log: {self.log}):\n{tail}")
            time.sleep(0.05)

    def _logged(self, begin: int) -> str:
        with self.log.open("rb") as log:
            log.seek(begin)
            return log.read().decode(errors="replace")

    def _end_leftover(self) -> None:
        """A run that was killed leaves its services behind, and they hold the port and the data."""
        if pid := self._leftover():
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + STOP_SECONDS
            while self._leftover() and time.monotonic() < deadline:
                time.sleep(0.05)

    def _leftover(self) -> int | None:
        """The process of the pid file, if it is a service on this folder: numbers are reused."""
        try:
            pid = int(self.pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return pid if str(self.folder) in command else None


def _spawn(command: Sequence[str], log: BinaryIO) -> "subprocess.Popen[bytes]":
    with_us = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
    return subprocess.Popen(
        [*with_us, *command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        # Ctrl-C in the terminal is for whoever started us, who then stops us in his order.
        start_new_session=True,
    )
