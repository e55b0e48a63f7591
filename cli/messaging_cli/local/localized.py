"""A declared topology → the same one on this machine, pure: what it refers to by address is here. `up` calls it."""

from copy import deepcopy
from typing import Any
from urllib.parse import urlsplit

from messaging_cli.local.stack import Addresses
from messaging_cli.sources import Document

_ONE_BROKER = "1"
_MIN_ISR = "min.insync.replicas"


def localized(document: Document, addresses: Addresses, given: Addresses) -> dict[str, Any]:
    """Kafka and the third parties are those of `addresses`; a broker of ours is one, and asks for no more."""
    here = deepcopy(dict(document))
    spec = here["spec"]
    spec["kafka"]["bootstrapServers"] = addresses.kafka
    if not given.kafka:
        _for_one_broker(spec)
    for sink in spec.get("sinks", []):
        path = urlsplit(sink["thirdParty"]["url"]).path
        sink["thirdParty"]["url"] = addresses.third_party_url.rstrip("/") + path
    return here


def _for_one_broker(spec: dict[str, Any]) -> None:
    defaults = spec["kafka"].get("defaults", {})
    defaults.pop("replicationFactor", None)
    for config in (defaults.get("config", {}), *(topic.get("config", {}) for topic in spec["topics"])):
        if _MIN_ISR in config:
            config[_MIN_ISR] = _ONE_BROKER
