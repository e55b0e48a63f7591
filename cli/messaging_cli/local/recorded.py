"""The objects of a local run as others read them: the door of `reconcile` without its writes; `plan` uses it."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from messaging_api.status import TopologyStatus
from messaging_cli.local.state import LocalRun
from messaging_operator.clients.processes import OBJECTS_FILE, STATUS_FILE
from messaging_operator.errors import ClusterError
from messaging_operator.state import Manifest, ObjectKey, Owner, TopologyKey, object_key


class RecordedRun:
    """What the run has written down."""

    def __init__(self, run: LocalRun) -> None:
        self._run = run

    def topology(self, key: TopologyKey) -> Manifest | None:
        """The resource, once it was reconciled."""
        found: Manifest | None = self._read(STATUS_FILE)
        return found

    def children(self, key: TopologyKey) -> Mapping[ObjectKey, Manifest]:
        """Everything: a run has one topology."""
        return self._objects

    def child(self, namespace: str, key: ObjectKey) -> Manifest | None:
        """The object of that name."""
        return self._objects.get(key)

    def pods(self, key: TopologyKey) -> Sequence[Manifest]:
        """Of no matter to a plan."""
        return ()

    def apply(self, namespace: str, manifest: Manifest) -> None:
        """Refused."""
        raise self._refusal

    def delete(self, namespace: str, key: ObjectKey, uid: str) -> None:
        """Refused."""
        raise self._refusal

    def write_status(self, owner: Owner, status: TopologyStatus) -> None:
        """Refused."""
        raise self._refusal

    def write_event(self, owner: Owner, kind: str, reason: str, message: str, now: str) -> None:
        """Refused."""
        raise self._refusal

    @property
    def _refusal(self) -> ClusterError:
        return ClusterError(405, f"a local run changes with its file only: edit {self._run.file}")

    @cached_property
    def _objects(self) -> dict[ObjectKey, Manifest]:
        return {object_key(found): found for found in self._read(OBJECTS_FILE) or []}

    def _read(self, name: str) -> Any:  # noqa: ANN401  JSON
        try:
            return json.loads((self._run.folder / name).read_text())
        except FileNotFoundError:
            return None
