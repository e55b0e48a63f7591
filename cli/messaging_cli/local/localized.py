"""A declared topology → the same one on this machine, pure: what it refers to by address is here.

`up` runs it, `plan` compares with it.
"""

from copy import deepcopy
from typing import Any
from urllib.parse import urlsplit

from messaging_cli.local.state import LocalRun
from messaging_cli.sources import Document

_ONE_BROKER = "1"
_MIN_ISR = "min.insync.replicas"


def localized(document: Document, run: LocalRun) -> dict[str, Any]:
    """Kafka and the third parties are those of the run; a broker of its own is one, and is asked for no more."""
    here = deepcopy(dict(document))
    spec = here["spec"]
    spec["kafka"]["bootstrapServers"] = run.kafka
    if run.own_kafka:
        _for_one_broker(spec)
    for sink in spec.get("sinks", []):
        path = urlsplit(sink["thirdParty"]["url"]).path
        sink["thirdParty"]["url"] = run.third_party_url.rstrip("/") + path
    return here


def _for_one_broker(spec: dict[str, Any]) -> None:
    defaults = spec["kafka"].get("defaults", {})
    defaults.pop("replicationFactor", None)
    for config in (defaults.get("config", {}), *(topic.get("config", {}) for topic in spec["topics"])):
        if _MIN_ISR in config:
            config[_MIN_ISR] = _ONE_BROKER
