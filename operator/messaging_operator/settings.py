"""The operator's own configuration, read once at start by `handlers`; the only reader of the environment."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from messaging_operator.errors import SettingsError
from messaging_operator.state import ProcessorImages

_IMAGES = "MESSAGING_PROCESSOR_IMAGES"
_KINDS = ("gateway", "billing", "sink")


@dataclass(frozen=True)
class Settings:
    """What differs between installations."""

    images: ProcessorImages
    resync_seconds: float
    metrics_port: int

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Raises `SettingsError`, which names the variable."""
        return cls(
            images=_images(environment),
            resync_seconds=_positive(environment, "RESYNC_SECONDS", "10"),
            metrics_port=int(_positive(environment, "METRICS_PORT", "9090")),
        )


def _images(environment: Mapping[str, str]) -> ProcessorImages:
    try:
        images = json.loads(environment.get(_IMAGES, ""))
        names = {kind: str(images[kind]) for kind in _KINDS}
    except (ValueError, KeyError, TypeError) as error:
        expected = ", ".join(f'"{kind}": "image"' for kind in _KINDS)
        raise SettingsError(f"{_IMAGES} must be a JSON object {{{expected}}}: {error!r}") from error
    return ProcessorImages(**names, pull_policy=environment.get("IMAGE_PULL_POLICY", "IfNotPresent"))


def _positive(environment: Mapping[str, str], name: str, default: str) -> float:
    text = environment.get(name, default)
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise SettingsError(f"{name} must be a number above 0, not {text!r}")
    return number
