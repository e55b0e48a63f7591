"""The whole of what a resource asks for. Called by `reconcile`; pure, so that the same spec always gives the same."""

import hashlib
import json
from typing import Any

from messaging_api.base import API_VERSION, KIND
from messaging_api.topology import TopologySpec
from messaging_operator.desired.processors import desired_processors
from messaging_operator.desired.topics import desired_topics
from messaging_operator.desired.workloads import manifests
from messaging_operator.state import APPLIED_HASH, Desired, Manifest, Owner, ProcessorImages, RateTables, Unreadable


def desired(owner: Owner, spec: TopologySpec, images: ProcessorImages, tables: RateTables) -> Desired:
    """Raises `ResourceError` for a spec that refers to what it does not declare."""
    objects = [
        _owned(manifest, owner)
        for processor in desired_processors(owner.key, spec, images, tables)
        for manifest in manifests(processor, images.pull_policy)
    ]
    unreadable = {name: table for name, table in tables.items() if isinstance(table, Unreadable)}
    return Desired(
        desired_topics(spec),
        tuple(objects),
        withheld=tuple(name for name, table in unreadable.items() if table.in_force is None),
        problems=tuple(table.problem for table in unreadable.values()),
    )


def _owned(manifest: Manifest, owner: Owner) -> Manifest:
    reference = {"apiVersion": API_VERSION, "kind": KIND, "name": owner.key.name, "uid": owner.uid}
    # Not blocking: nothing here has to be gone before the resource may go.
    metadata = manifest["metadata"] | {
        "ownerReferences": [reference | {"controller": True, "blockOwnerDeletion": False}]
    }
    return {
        **manifest,
        "metadata": metadata | {"annotations": {APPLIED_HASH: _hash({**manifest, "metadata": metadata})}},
    }


def _hash(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
