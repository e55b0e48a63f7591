"""What the chart renders, to be picked by kind; used by the chart's tests."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/messaging-operator"

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """The objects of one rendering."""

    objects: list[Manifest]

    def all(self, kind: str) -> list[Manifest]:
        return [item for item in self.objects if item["kind"] == kind]

    def one(self, kind: str) -> Manifest:
        (found,) = self.all(kind)
        return found

    def pod(self) -> Manifest:
        template: Manifest = self.one("Deployment")["spec"]["template"]
        return template

    def container(self) -> Manifest:
        (found,) = self.pod()["spec"]["containers"]
        return dict(found)


Helm = Callable[..., subprocess.CompletedProcess[str]]
Render = Callable[..., Rendered]
