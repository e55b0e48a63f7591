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
