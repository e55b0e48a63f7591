"""What the environment tells the command line; its only reader."""

import os
from pathlib import Path


def cache_home() -> Path:
    """Where users keep what can be made again (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def kafka_jars() -> Path | None:
    """A folder that holds Apache Kafka's jars already."""
    given = os.environ.get("KAFKA_JARS")
    return Path(given) if given else None


RUN_MARK = "MTOP_RUN"


def mark_children(folder: Path) -> None:
    """Every process that is started from now on bears the run's folder: so it is found again after a crash."""
    os.environ[RUN_MARK] = str(folder)


def environment() -> dict[str, str]:
    """What children are given."""
    return dict(os.environ)
