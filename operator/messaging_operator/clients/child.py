"""One child process that is kept alive: started again with growing patience, ended in order. Used by `processes`."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_HEALTHY_AFTER = 10.0
GRACE_SECONDS = 15.0


class Child:
    """Runs from the beginning; `keep` starts it again after it has ended, `end` is for good."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self._pause = _FIRST_PAUSE
        self._again_at: float | None = None
        self._end_by: float | None = None
        self.restarts = 0
        self._start()

    @property
    def pid(self) -> int:
        """The process as it is now."""
        return self._process.pid

    @property
    def last_words(self) -> str:
        """Why it is not running: what it said last; empty while it runs."""
        if self._process.poll() is None:
            return ""
        said = self._log.read_text(errors="replace").strip().splitlines()
        return f"ended with {self._process.returncode}: {said[-1] if said else 'no output'}"

    def keep(self) -> None:
        """Call it often: starts the process again once its pause is over."""
        if self._process.poll() is None:
            return
        now = time.monotonic()
        if self._again_at is None:
            lived = now - self._started
            self._pause = _FIRST_PAUSE if lived > _HEALTHY_AFTER else min(self._pause * 2, _LONGEST_PAUSE)
            self._again_at = now + self._pause
        elif now >= self._again_at:
            self.restarts += 1
            self._start()

    def end(self) -> None:
        """Asks the process to end; `ended` tells when it has, and kills it after its grace period."""
        if self._end_by is None:
            self._end_by = time.monotonic() + GRACE_SECONDS
            self._signal(signal.SIGTERM)

    def ended(self) -> bool:
        """Whether the process that was asked to end is gone."""
        if self._process.poll() is not None:
            return True
        if self._end_by is not None and time.monotonic() > self._end_by:
            self._signal(signal.SIGKILL)
        return False

    def kill(self) -> None:
        """No grace."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _start(self) -> None:
        self._started = time.monotonic()
        self._again_at = None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal is for us alone: we end our children in their order.
                start_new_session=True,
            )

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
