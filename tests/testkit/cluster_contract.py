"""What `reconcile` may expect of its door to objects: one suite for the API server and for the local run's processes.

A test module subclasses `ClusterContract` and brings the fixture `place`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from messaging_api.status import TopologyStatus
from messaging_api.topology import GATEWAY_NAME, TopologySpec
from messaging_operator.desired.topology import desired
from messaging_operator.errors import ClusterError
from messaging_operator.reconcile import ClusterDoor
from messaging_operator.state import (
    Manifest,
    ObjectKey,
    Owner,
    ProcessorImages,
    TopologyKey,
    configuration_of,
    object_key,
)
from testkit.topologies import example
from testkit.waiting import eventually

TOPOLOGY = "contract"
SERVICE, DEPLOYMENT = (ObjectKey(kind, GATEWAY_NAME) for kind in ("Service", "Deployment"))


@dataclass
class Place:
    """A door, where it leads, and what turns the wheels behind it where nothing else does."""

    door: ClusterDoor
    key: TopologyKey
    images: ProcessorImages

    def turn(self) -> None:
        """Kubernetes turns by itself."""

    def manifests(self, replicas: int = 1) -> dict[ObjectKey, Manifest]:
        """The gateway's objects: it needs nothing but its keys to be ready."""
        spec = example()
        spec["gateway"] |= {"replicas": replicas, "service": {"type": "ClusterIP"}}
        owner = Owner(self.key, "nobody", 1, TopologyStatus())
        wanted = desired(owner, TopologySpec.model_validate(spec), self.images, {}).manifests
        mine = {object_key(found): _orphan(found) for found in wanted}
        return {key: mine[key] for key in (configuration_of(mine[DEPLOYMENT]), SERVICE, DEPLOYMENT)}

    @property
    def config(self) -> ObjectKey:
        """The gateway's ConfigMap."""
        return configuration_of(self.manifests()[DEPLOYMENT])

    def apply(self, replicas: int = 1) -> None:
        for manifest in self.manifests(replicas).values():
            self.door.apply(self.key.namespace, manifest)

    def found(self, key: ObjectKey) -> Manifest:
        found = self.door.child(self.key.namespace, key)
        assert found, f"no {key}"
        return found

    def ready(self, replicas: int) -> bool:
        """Rolled out: so many pods, all new, all ready."""
        self.turn()
        status = self.found(DEPLOYMENT).get("status", {})
        counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
        assert counts == [replicas] * 3, counts
        return True

    def pods(self) -> set[str]:
        return {pod["metadata"]["name"] for pod in self.door.pods(self.key) if not _is_going(pod)}

    def is_empty(self) -> bool:
        """Whether no pod is left."""
        self.turn()
        return not self.pods()

    def clear(self) -> None:
        for key, found in self.door.children(self.key).items():
            self.door.delete(self.key.namespace, key, found["metadata"]["uid"])


def _orphan(manifest: Manifest) -> dict[str, Any]:
    """Without its owner, whom the garbage collector would miss."""
    orphan = deepcopy(dict(manifest))
    del orphan["metadata"]["ownerReferences"]
    return orphan


def _is_going(pod: Manifest) -> bool:
    return "deletionTimestamp" in pod["metadata"]


@contextmanager
def cleared(place: Place) -> Iterator[Place]:
    """Nothing of the topology there before and after."""
    place.clear()
    try:
        yield place
    finally:
        place.clear()
        eventually(place.is_empty, within=60)


class ClusterContract:
    """The suite."""

    def test_what_is_applied_is_there_as_declared(self, place: Place) -> None:
        place.apply()
        assert place.door.children(place.key).keys() == {place.config, SERVICE, DEPLOYMENT}
        for key, declared in place.manifests().items():
            found = place.found(key)
            assert (found["kind"], found["metadata"]["name"]) == (key.kind, key.name)
            assert declared["metadata"]["labels"].items() <= found["metadata"]["labels"].items()
            assert declared["metadata"]["annotations"].items() <= found["metadata"]["annotations"].items()
        assert place.found(place.config)["data"] == place.manifests()[place.config]["data"]

    def test_what_is_not_there_is_none(self, place: Place) -> None:
        assert place.door.child(place.key.namespace, ObjectKey("ConfigMap", "contract-nowhere")) is None
        assert place.door.topology(TopologyKey(place.key.namespace, "contract-nowhere")) is None

    def test_applying_the_same_again_is_no_new_generation(self, place: Place) -> None:
        place.apply()
        before = place.found(DEPLOYMENT)["metadata"]
        place.apply()
        after = place.found(DEPLOYMENT)["metadata"]
        assert (after["uid"], after["generation"]) == (before["uid"], before["generation"])
        place.apply(replicas=2)
        changed = place.found(DEPLOYMENT)["metadata"]
        assert (changed["uid"], changed["generation"]) == (before["uid"], before["generation"] + 1)

    def test_a_deployment_has_as_many_ready_pods_as_declared(self, place: Place) -> None:
        place.apply()
        eventually(lambda: place.ready(1), within=60)
        place.apply(replicas=2)
        eventually(lambda: place.ready(2), within=60)
        assert len(place.pods()) == 2
        place.apply(replicas=0)
        eventually(lambda: place.ready(0), within=60)
        eventually(place.is_empty, within=60)

    def test_another_template_replaces_the_pods_and_the_same_does_not(self, place: Place) -> None:
        place.apply()
        eventually(lambda: place.ready(1), within=60)
        before = place.pods()
        place.apply()
        place.turn()
        assert place.pods() == before
        deployment = deepcopy(place.manifests()[DEPLOYMENT])
        deployment["spec"]["template"]["metadata"]["annotations"]["contract"] = "changed"
        place.door.apply(place.key.namespace, deployment)
        eventually(lambda: place.ready(1) and place.pods().isdisjoint(before), within=60)

    def test_only_that_very_object_is_deleted(self, place: Place) -> None:
        place.apply()
        config = place.config
        uid = place.found(config)["metadata"]["uid"]
        with pytest.raises(ClusterError) as refusal:
            place.door.delete(place.key.namespace, config, "of-a-namesake")
        assert refusal.value.status == 409
        assert place.found(config)["metadata"]["uid"] == uid
        place.door.delete(place.key.namespace, config, uid)
        assert place.door.child(place.key.namespace, config) is None
        place.door.delete(place.key.namespace, config, uid)

    def test_a_deleted_deployment_takes_its_pods_along(self, place: Place) -> None:
        place.apply()
        eventually(lambda: place.ready(1), within=60)
        place.door.delete(place.key.namespace, DEPLOYMENT, place.found(DEPLOYMENT)["metadata"]["uid"])
        eventually(place.is_empty, within=60)
