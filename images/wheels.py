"""Fetches the images' third-party wheels into build/wheels, a folder for each layer of images/locks.

Whoever builds images runs it before `docker build`: RUN steps need no network then, and a layer is built anew only
when its own wheels change. Does nothing for a folder that is already what its lock and the Python version ask for.
"""

import argparse
import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from locks import LAYERS, ROOT, Layer

WHEELS = ROOT / "build/wheels"
STAMP = "contents.sha256"
MACHINES = {"arm64": "aarch64", "AMD64": "x86_64"}
# pip takes a platform literally, it doesn't know that a newer glibc runs what an older one does.
GLIBC = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_5", "manylinux1")


def requirements(layer: Layer) -> str:
    """The layer's pins without environment markers.

    pip evaluates markers for the Python that it runs on, while these wheels are for the image's: fetch all of them, and
    let the image's own pip choose.
    """
    return re.sub(r" ; [^\\\n]*", " ", layer.path.read_text())


def download(pinned: str, python: str, machine: str, folder: Path) -> None:
    """Puts the wheels of `pinned` for Linux, CPython `python` and `machine` into `folder`."""
    listing = folder / "requirements.txt"
    listing.write_text(pinned)
    platforms = [f"--platform={glibc}_{machine}" for glibc in GLIBC]
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--require-hashes",
            "--no-deps",
            "--only-binary=:all:",
            f"--python-version={python}",
            "--implementation=cp",
            *platforms,
            f"--dest={folder}",
            f"--requirement={listing}",
        ],
        check=True,
    )
    listing.unlink()


def fill(layer: Layer, python: str, machine: str) -> None:
    """Brings one layer's folder up to date; it is swapped in whole, never half filled."""
    pinned = requirements(layer)
    wanted = hashlib.sha256(f"{python} {machine}\n{pinned}".encode()).hexdigest()
    target = WHEELS / layer.name
    stamp = target / STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return
    WHEELS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WHEELS.parent) as temporary:
        folder = Path(temporary) / layer.name
        folder.mkdir()
        download(pinned, python, machine, folder)
        (folder / STAMP).write_text(wanted)
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)


def main() -> None:
    """Fills every layer's folder for the Python and the machine of the command line."""
    parser = argparse.ArgumentParser(description="Fetch the wheels that the images install.")
    parser.add_argument("--python", required=True, help="the Python of the base image, for example 3.12")
    machine = MACHINES.get(platform.machine(), platform.machine())
    parser.add_argument("--machine", default=machine, help="x86_64 or aarch64 (default: this machine's)")
    options = parser.parse_args()
    for layer in LAYERS:
        fill(layer, options.python, options.machine)


if __name__ == "__main__":
    main()
