"""What is slow to make is made once: results under the user's cache folder, keyed by their inputs.

Called by everything that builds. Promises: a result is complete or absent (built in a scratch
folder, then renamed), and two checkouts never build the same thing at the same time.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from messaging_cli.local.saying import say
from messaging_cli.settings import cache_home


def root() -> Path:
    folder = cache_home() / "messaging-topology"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def digest(*inputs: str | Path) -> str:
    """Twelve hex digits over texts and over the names and contents of files and folders."""
    total = hashlib.sha256()
    for item in inputs:
        for name, content in contents(item):
            total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:12]


def contents(item: str | Path) -> Iterator[tuple[str, bytes]]:
    if isinstance(item, str):
        yield "", item.encode()
    elif item.is_file():
        yield item.name, item.read_bytes()
    else:
        for path in sorted(item.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(item)), path.read_bytes()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds the machine-wide lock `name`; the kernel frees it however this process ends."""
    with (root() / f"{name}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process works on {name}: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def built(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """The folder `name` for the inputs behind `key`, built by `build` where it does not exist."""
    target = root() / "built" / f"{name}-{key}"
    with locked(name):
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            with scratch(name) as folder:
                build(folder)
                folder.rename(target)
    return target


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder to work in, for a caller that holds a lock: leftovers of killed runs go first.

    Its name is new every time, because a killed run's programs may still be writing.
    """
    parent = root() / "scratch" / name
    shutil.rmtree(parent, ignore_errors=True)
    parent.mkdir(parents=True)
    try:
        folder = parent / str(os.getpid())
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(parent, ignore_errors=True)
