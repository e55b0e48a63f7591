"""Whether the API server would accept a topology, told without one; for `mtop validate`, `up` and `plan`.

Everything that it checks comes from the CRD itself, so that no rule is written twice. The CRD leaves `metadata` to
the API server; what a topology can get wrong there is said here.
"""

from functools import cache
from typing import Any

from messaging_api.crd import custom_resource_definition
from messaging_cli.sources import Document
from messaging_cli.validation.cel import broken_rules
from messaging_cli.validation.node import Node, Schema, as_json
from messaging_cli.validation.schema import breaches
from messaging_cli.validation.violation import UNCHECKED, Violation

_STRINGS = {"type": "object", "nullable": True, "additionalProperties": {"type": "string"}}
_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_METADATA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": _SUBDOMAIN},
        "namespace": {"type": "string", "nullable": True},
        "labels": _STRINGS,
        "annotations": _STRINGS,
    },
    "x-kubernetes-preserve-unknown-fields": True,
}


def violations(document: Document, old: Document | None = None) -> list[Violation]:
    """What is wrong with a topology, empty when nothing is; `old` is what it would replace.

    As in the API server, faults of the schema keep the rules from being evaluated. Other than there, a fault that
    `old` has, too, is told.
    """
    root = Node(_schema(), as_json(document), old=as_json(old) if old else None)
    found = [fault for node in root.walk() for fault in breaches(node)]
    if any(fault.blocking for fault in found):
        return [*found, UNCHECKED]
    return found + [fault for node in root.walk() for fault in broken_rules(node)]


@cache
def _schema() -> Schema:
    (version,) = custom_resource_definition()["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema | {"properties": schema["properties"] | {"metadata": _METADATA}}
