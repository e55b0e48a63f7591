"""Pins every third-party package of the images and of development in images/locks, with hashes.

`make lock` runs it; `make check` runs it with --check, which needs no network. One resolution of everything (dev.txt)
constrains all others, so that an image ships the versions that were tested. The other files are layers: each holds
what its extras need and the layers below it do not, and an image is a chain of them (images/*/Dockerfile).
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "images/locks"
EVERYTHING = FOLDER / "dev.txt"
NOTICE = "# Written by `make lock`. Do not edit.\n"


@dataclass(frozen=True)
class Layer:
    """Pinned packages that images have in common: the extras that need them, and the layers that lie below."""

    name: str
    extras: tuple[str, ...]
    below: tuple["Layer", ...] = ()

    @property
    def path(self) -> Path:
        """Its lock file."""
        return FOLDER / f"{self.name}.txt"


SHARED = Layer("shared", ("processor",))
STORE = Layer("store", ("store", "billing"), (SHARED,))  # all of billing's, so that its image has no layer of its own
SINK = Layer("sink", ("sink",), (SHARED, STORE))
GATEWAY = Layer("gateway", ("gateway",), (SHARED, STORE, SINK))
OPERATOR = Layer("operator", ("operator",), (SHARED,))
LAYERS = (SHARED, STORE, SINK, GATEWAY, OPERATOR)


def pins(lock: str) -> dict[str, str]:
    """`{"httpx": "httpx==0.28.1", …}` → each package's whole entry, hashes included, by name."""
    entries = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]
    return {entry.split("==")[0]: entry for entry in entries}


def stamp() -> str:
    """The first line of dev.txt. The layers' locks don't bear it: their images are rebuilt when their text changes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {key: project.get(key) for key in ("requires-python", "dependencies", "optional-dependencies")}
    digest = hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()
    return f"{NOTICE}# From pyproject.toml's dependencies: {digest[:16]}\n"


def resolve(extras: tuple[str, ...], *options: str) -> str:
    """What uv resolves for these extras, for every platform and Python that the project supports."""
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
        "pyproject.toml",
        "--quiet",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-emit-index-url",
        "--no-header",
        "--no-annotate",
        *(f"--extra={extra}" for extra in extras),
        *options,
    ]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def write(upgrade: bool) -> None:
    """Rewrites all locks; versions stay as they are unless pyproject.toml or `upgrade` asks for others."""
    # uv takes the versions in an existing output file as preferences.
    resolve(("dev",), f"--output-file={EVERYTHING}", *(["--upgrade"] if upgrade else []))
    EVERYTHING.write_text(stamp() + "".join(pins(EVERYTHING.read_text()).values()))
    for layer in LAYERS:
        needed = pins(resolve(layer.extras, f"--constraints={EVERYTHING}"))
        present = {name for lower in layer.below for name in pins(lower.path.read_text())}
        layer.path.write_text(NOTICE + "".join(needed[name] for name in needed if name not in present))


def complaints() -> list[str]:
    """What is wrong with the locks as they lie there; empty when nothing is."""
    locks = [EVERYTHING, *(layer.path for layer in LAYERS)]
    missing = [path for path in locks if not path.exists()]
    if missing:
        return [f"{path.relative_to(ROOT)} is missing: run make lock" for path in missing]
    tested = {version(entry) for entry in pins(EVERYTHING.read_text()).values()}
    strange = [
        f"{layer.path.name}: {version(entry)} is not what dev.txt pins: run make lock"
        for layer in LAYERS
        for entry in pins(layer.path.read_text()).values()
        if version(entry) not in tested
    ]
    stale = not EVERYTHING.read_text().startswith(stamp())
    return [*(["images/locks are older than pyproject.toml: run make lock"] if stale else []), *strange]


def version(entry: str) -> str:
    """`httpx==0.28.1 ; python_version …` → `httpx==0.28.1`."""
    return entry.split()[0]


def main() -> int:
    """Writes the locks, or says what is wrong with them."""
    parser = argparse.ArgumentParser(description="Pin the third-party packages of the images and of development.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the locks are out of date")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")
    options = parser.parse_args()
    if not options.check:
        write(options.upgrade)
    found = complaints()
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
