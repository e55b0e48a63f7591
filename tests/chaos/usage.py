"""What a process uses, from /proc: for what must not grow."""

import resource
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """Bytes of memory, open files, threads."""

    memory: int
    files: int
    threads: int


def usage(pid: int) -> Usage:
    """Of a process that is running."""
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    threads = len(list((folder / "task").iterdir()))
    return Usage(pages * resource.getpagesize(), len(list((folder / "fd").iterdir())), threads)
