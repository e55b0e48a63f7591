"""What the operator does to a cluster that others change, too, and what it tells of it in Kubernetes' own Events."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from testkit.cluster import DEPLOYMENTS, EXAMPLE, NAMESPACE, TOPOLOGY, Cluster
from testkit.waiting import eventually

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("ready")]

EDITED, CHARGED, TOPIC = "marketing", "billing-marketing", "events"


@pytest.fixture(scope="module")
def ready(installed: Cluster) -> None:
    """The example as it is declared, whatever an earlier module has left of it."""
    installed.kubectl("apply", "-f", str(EXAMPLE))
    eventually(installed.is_ready, within=180)


def events(cluster: Cluster) -> set[tuple[str, str, str]]:
    """Type, reason and message of what was told of this very topology; those of earlier runs stay for an hour."""
    subject = f"involvedObject.uid={cluster.get('mtop', TOPOLOGY)['metadata']['uid']}"
    found = cluster.kubectl("get", "events", "-n", NAMESPACE, "--field-selector", subject, "-o", "json")
    return {(event["type"], event["reason"], event["message"]) for event in json.loads(found)["items"]}


def warned_of_topic(cluster: Cluster) -> bool:
    return any(
        (kind, reason) == ("Warning", "InvalidTopicConfig") and f"topic {TOPIC}:" in message
        for kind, reason, message in events(cluster)
    )


@contextmanager
def another_topic(cluster: Cluster) -> Iterator[str]:
    """Declares one more topic for a while; its place in the spec."""
    place = len(cluster.get("mtop", TOPOLOGY)["spec"]["topics"])
    path = f"/spec/topics/{place}"
    cluster.patch_topology([{"op": "add", "path": path, "value": {"name": TOPIC, "partitions": 1}}])
    yield path
    cluster.patch_topology([{"op": "remove", "path": path}])
    eventually(cluster.is_ready, within=60)


def test_what_is_done_and_what_is_refused_is_told_in_events(cluster: Cluster) -> None:
    with another_topic(cluster) as path:
        created = ("Normal", "TopicCreated", f"topic {TOPIC} with 1 partitions")
        eventually(lambda: created in events(cluster))
        cluster.patch_topology([{"op": "add", "path": f"{path}/config", "value": {"retention.ms": "soon"}}])
        eventually(lambda: warned_of_topic(cluster))


def edit(cluster: Cluster, name: str, patch: dict[str, Any]) -> None:
    cluster.kubectl("patch", "deployment", name, "-n", NAMESPACE, "--type=strategic", "-p", json.dumps(patch))


def test_an_edited_deployment_is_repaired_and_the_edit_is_named(cluster: Cluster) -> None:
    before = cluster.get("deployment", EDITED)
    edit(cluster, EDITED, {"spec": {"replicas": before["spec"]["replicas"] + 1}})

    def repaired() -> bool:
        """Two changes: the edit, and its repair."""
        now = cluster.get("deployment", EDITED)
        changes: int = now["metadata"]["generation"] - before["metadata"]["generation"]
        return changes >= 2 and bool(now["spec"] == before["spec"])

    eventually(repaired)
    named = ("Normal", "ObjectApplied", f"Deployment {EDITED}: changed by hand: spec.replicas")
    eventually(lambda: named in events(cluster))


def test_a_deleted_deployment_comes_back(cluster: Cluster) -> None:
    before: str = cluster.get("deployment", EDITED)["metadata"]["uid"]
    cluster.kubectl("delete", "deployment", EDITED, "-n", NAMESPACE, "--wait=false")

    def came_back() -> bool:
        uids: dict[str, str] = {
            item["metadata"]["name"]: item["metadata"]["uid"] for item in cluster.items("deployment")
        }
        return uids.get(EDITED, before) != before

    eventually(came_back)
    eventually(cluster.is_ready, within=120)


def prices(cluster: Cluster) -> list[str]:
    """What the ConfigMaps of the billing processor say."""
    maps = cluster.items("configmap", f"app.kubernetes.io/instance={TOPOLOGY},app.kubernetes.io/name={CHARGED}")
    return [json.loads(found["data"]["config.json"])["tariff"]["perSegment"] for found in maps]


@pytest.fixture
def change_price(cluster: Cluster) -> Iterator[Callable[[str], None]]:
    billing = cluster.get("mtop", TOPOLOGY)["spec"]["billing"]
    place = [entry["name"] for entry in billing].index(CHARGED)
    path = f"/spec/billing/{place}/tariff/perSegment"

    def change(price: str) -> None:
        cluster.patch_topology([{"op": "replace", "path": path, "value": price}])

    yield change
    change(billing[place]["tariff"]["perSegment"])
    eventually(cluster.is_ready, within=120)


def test_a_changed_tariff_rolls_its_own_processor_and_no_other(
    cluster: Cluster, change_price: Callable[[str], None]
) -> None:
    eventually(lambda: len(prices(cluster)) == 1, within=60)
    before = cluster.pods()
    change_price("0.0199")
    eventually(lambda: cluster.pods()[CHARGED].isdisjoint(before[CHARGED]), within=120)
    eventually(cluster.is_ready, within=120)
    after = cluster.pods()
    assert {name for name in DEPLOYMENTS if after[name] != before[name]} == {CHARGED}
    eventually(lambda: prices(cluster) == ["0.0199"], within=60)
