"""The CustomResourceDefinition, generated from the models by `make crds`; prints it as YAML."""

import sys
from typing import Any

import yaml

from messaging_api.base import GROUP, KIND, PLURAL, VERSION, cel
from messaging_api.rules import SPEC_RULES
from messaging_api.status import TopologyStatus
from messaging_api.structural import Schema, structural_schema
from messaging_api.topology import TopologySpec

_HEADER = "# Generated from crds/messaging_api by `make crds`. Do not edit.\n"


def _column(name: str, path: str, kind: str = "string", wide: bool = False) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path} | ({"priority": 1} if wide else {})


COLUMNS = [
    _column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
    _column("Topics", ".status.topicsReady"),
    _column("Processors", ".status.processorsReady"),
    _column("Age", ".metadata.creationTimestamp", kind="date"),
    _column("Reason", '.status.conditions[?(@.type=="Ready")].reason', wide=True),
    _column("Message", '.status.conditions[?(@.type=="Ready")].message', wide=True),
]


def _status_schema() -> Schema:
    schema = structural_schema(TopologyStatus)
    conditions = schema["properties"]["conditions"]
    conditions |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return schema


# It is a label of every object of the topology, and finds them again.
_NAME_RULE = cel("size(self.metadata.name) <= 63", "metadata.name: longer than 63 characters, it could not be a label")


def _object_schema() -> Schema:
    spec = structural_schema(TopologySpec) | {"x-kubernetes-validations": list(SPEC_RULES)}
    return {
        "type": "object",
        "required": ["spec"],
        "x-kubernetes-validations": [_NAME_RULE],
        "description": "A whole messaging flow: topics, processors and their configuration, declared at once.",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": _status_schema(),
        },
    }


def custom_resource_definition() -> dict[str, Any]:
    """The CRD as a Kubernetes object."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": COLUMNS,
        "schema": {"openAPIV3Schema": _object_schema()},
    }
    names = {"kind": KIND, "plural": PLURAL, "singular": KIND.lower(), "shortNames": ["mtop"], "categories": ["all"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


if __name__ == "__main__":
    sys.stdout.write(_HEADER + yaml.safe_dump(custom_resource_definition(), sort_keys=False, width=120))
