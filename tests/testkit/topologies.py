"""Topologies for the operator's tests: the example, and worlds that are exactly as it declares."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from messaging_api.status import TopologyStatus
from messaging_api.topology import TopologySpec
from messaging_operator.desired.topology import desired
from messaging_operator.state import (
    Desired,
    Manifest,
    ObjectKey,
    Observed,
    Owner,
    ProcessorImages,
    RateTables,
    TopicState,
    TopologyKey,
    configuration_of,
    object_key,
)

EXAMPLE_FILE = Path(__file__).parents[2] / "examples/user-api-messaging.yaml"
EXAMPLE: dict[str, Any] = yaml.safe_load(EXAMPLE_FILE.read_text())
IMAGES = ProcessorImages(gateway="gateway:1", billing="billing:1", sink="sink:1", pull_policy="IfNotPresent")
KEY = TopologyKey("messaging", "user-api-messaging")
NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def example() -> dict[str, Any]:
    """The example's spec as a document of one's own to change."""
    return deepcopy(EXAMPLE["spec"])


def a_spec(document: dict[str, Any] | None = None) -> TopologySpec:
    return TopologySpec.model_validate(document or example())


def an_owner(generation: int = 1, status: TopologyStatus | None = None) -> Owner:
    return Owner(KEY, "uid-of-the-topology", generation, status or TopologyStatus())


def wanted(document: dict[str, Any] | None = None, tables: RateTables | None = None) -> Desired:
    return desired(an_owner(), a_spec(document), IMAGES, tables or {})


def manifest_of(world: Desired, kind: str, name: str) -> Manifest:
    return next(manifest for manifest in world.manifests if object_key(manifest) == ObjectKey(kind, name))


def config_name(world: Desired, processor: str) -> str:
    """The ConfigMap that a processor reads."""
    return configuration_of(manifest_of(world, "Deployment", processor)).name


def as_declared(world: Desired) -> Observed:
    """Everything there, rolled out, with what Kafka and Kubernetes add by themselves."""
    topics = {topic.name: _in_kafka(topic) for topic in world.topics}
    objects = {object_key(manifest): in_kubernetes(manifest) for manifest in world.manifests}
    return Observed(topics, objects, {}, ())


def _in_kafka(topic: TopicState) -> TopicState:
    return replace(topic, config={"cleanup.policy": "delete", "segment.bytes": "1073741824"} | dict(topic.config))


def in_kubernetes(manifest: Manifest) -> Manifest:
    """What the API server answers for an object that was applied and has settled."""
    found = deepcopy(dict(manifest))
    found["metadata"] |= {"uid": f"uid-of-{manifest['kind']}-{manifest['metadata']['name']}", "generation": 1}
    if found["kind"] == "Deployment":
        found["spec"] |= {"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10}
        found["spec"]["template"]["spec"] |= {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always"}
        replicas = manifest["spec"]["replicas"]
        counts = {name: replicas for name in ("replicas", "updatedReplicas", "readyReplicas")}
        found["status"] = {"observedGeneration": 1} | (counts if replicas else {})
    return found
