"""A local run as other commands find it: written by `up`, read by everybody, gone with the run."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from messaging_cli.local import cache


@dataclass(frozen=True)
class LocalRun:
    """One `mtop up`: whose it is and where its parts answer."""

    topology: str
    namespace: str
    file: str
    pid: int
    gateway_url: str
    api_key: str
    kafka: str
    database_url: str
    cache_url: str
    third_party_url: str
    own_kafka: bool = True

    @property
    def folder(self) -> Path:
        """Data, logs and state of the run."""
        return folder_of(self.topology)

    def save(self) -> None:
        """Complete or not at all."""
        scratch = self.folder / "run.json.partial"
        scratch.write_text(json.dumps(asdict(self), indent=1))
        scratch.rename(self.folder / "run.json")


def runs_folder() -> Path:
    """Where all runs lie."""
    return cache.root() / "runs"


def folder_of(topology: str) -> Path:
    """Where one run lies."""
    return runs_folder() / topology


def load(topology: str) -> LocalRun | None:
    """The run of that topology, if its `up` is alive."""
    try:
        run = LocalRun(**json.loads((folder_of(topology) / "run.json").read_text()))
    except FileNotFoundError:
        return None
    return run if is_alive(run) else None


def running() -> list[LocalRun]:
    """All that are alive."""
    names = sorted(path.parent.name for path in runs_folder().glob("*/run.json"))
    return [run for name in names if (run := load(name))]


def is_alive(run: LocalRun) -> bool:
    """Whether the process of the run is still a run: numbers are reused."""
    try:
        return b"\0up\0" in Path(f"/proc/{run.pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
