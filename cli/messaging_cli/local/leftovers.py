"""What a killed run leaves behind: its processes, known by the mark in their environment and by nothing else."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from messaging_cli.settings import RUN_MARK

_SECONDS = 10.0


def marked(folder: Path) -> list[int]:
    """The living processes that were started by a run on this folder."""
    mark = f"{RUN_MARK}={folder}".encode()
    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if mark in _environment(process)]


def end(folder: Path) -> int:
    """Kills them and waits until they are gone; how many there were."""
    found = marked(folder)
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _SECONDS
    while marked(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    return len(found)


def _environment(process: Path) -> list[bytes]:
    """Empty for those that have ended, that are not ours to look at, or that are no more than a zombie."""
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
