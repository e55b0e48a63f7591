"""What callers know, kept in a file that only grows: the oracle must not depend on what a caller remembers."""

import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from chaos.observed import Outcome, Payment, Sending


class Journal:
    """Messages and top-ups, each written once when its sender gives up or has its answer. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "journal.jsonl").open("a+", encoding="utf-8")
        self._lock = threading.Lock()

    def write(self, thing: Sending | Payment) -> None:
        """Appends."""
        line = json.dumps({type(thing).__name__: asdict(thing)}, default=str)
        with self._lock:
            self._file.write(f"{line}\n")
            self._file.flush()

    def close(self) -> None:
        """Nothing more is written."""
        self._file.close()

    def sendings(self) -> tuple[Sending, ...]:
        """All messages so far."""
        return tuple(Sending(**_read(fields)) for fields in self._all("Sending"))

    def payments(self) -> tuple[Payment, ...]:
        """All top-ups so far."""
        return tuple(Payment(**_read(fields)) for fields in self._all("Payment"))

    def _all(self, kind: str) -> list[dict[str, Any]]:
        with self._lock:
            self._file.seek(0)
            return [line[kind] for line in map(json.loads, self._file) if kind in line]


def _read(fields: dict[str, Any]) -> dict[str, Any]:
    return fields | {"id": UUID(fields["id"]), "outcome": Outcome(fields["outcome"])}
