"""What every part is for: one that is missing stops exactly its hop, one that is away is named.

The last test deletes the topology.
"""

from collections.abc import Callable

import pytest

from messaging_api.topology import GATEWAY_NAME, MESSAGING_NAME
from testkit.arrivals import Arrivals, Lag
from testkit.cluster import DEPLOYMENTS, NAMESPACE, TOPOLOGY, Cluster
from testkit.faults import declared_at, entry_path, stopped, without
from testkit.traffic import DOMAINS, Gateway
from testkit.waiting import eventually

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("installed")]

# The domains that a stopped processor holds up; the front holds up all of them, before anything is accepted.
HOPS = {
    "billing-marketing": "marketing",
    "billing-authentication": "authentication",
    "billing-agent-flow": "agent-flow",
    "marketing": "marketing",
    "authentication": "authentication",
    "agent-flow": "agent-flow",
}


def accepted(gateway: Gateway, domain: str) -> str:
    """The id of a message that was taken, at the latest when whoever is starting has started."""
    return eventually(lambda: gateway.send("account-00", domain).id, within=60)


@pytest.mark.parametrize("name", HOPS)
def test_without_a_processor_exactly_its_hop_stops(
    cluster: Cluster, gateway: Gateway, arrivals: Arrivals, name: str
) -> None:
    """Its messages wait, all others arrive; put back, it goes on where it stopped.

    It is removed as far as its pods go: its entry stays, with no replicas, so that it can come back as it was.
    """
    with without(cluster, name):
        ids = {domain: accepted(gateway, domain) for domain in DOMAINS}
        held = ids.pop(HOPS[name])
        eventually(lambda: not arrivals.missing(ids.values()), within=60)
        assert arrivals.missing([held]) == [held]
    eventually(lambda: not arrivals.missing([held]), within=60)


@pytest.mark.parametrize(("name", "status"), [(MESSAGING_NAME, 503), (GATEWAY_NAME, 0)])
def test_without_the_front_nothing_is_accepted(
    cluster: Cluster, gateway: Gateway, arrivals: Arrivals, name: str, status: int
) -> None:
    with without(cluster, name):
        assert gateway.send("account-00", "marketing").status == status
    arriving = accepted(gateway, "marketing")
    eventually(lambda: not arrivals.missing([arriving]), within=60)


@pytest.mark.parametrize("name", ["marketing", "billing-marketing"])
def test_a_processor_that_is_no_longer_declared_has_no_deployment(cluster: Cluster, name: str) -> None:
    path = entry_path(cluster, name)
    declared = declared_at(cluster, path)
    cluster.patch_topology([{"op": "remove", "path": path}])
    try:
        eventually(lambda: name not in cluster.deployments(), within=30)
        assert cluster.deployments() == DEPLOYMENTS - {name}
    finally:
        cluster.patch_topology([{"op": "add", "path": path, "value": declared}])
    eventually(lambda: cluster.condition("Ready").get("status") == "True", within=120)


def degraded(cluster: Cluster, word: str) -> Callable[[], bool]:
    def says_so() -> bool:
        return any(
            word in condition.get("message", "").lower()
            for condition in (cluster.condition("Degraded"), cluster.condition("TopicsReady"))
        )

    return says_so


@pytest.mark.parametrize(("service", "word"), [("redis", "redis"), ("postgres", "database"), ("kafka", "kafka")])
def test_a_dependency_that_is_away_is_named_within_15_s_and_heals(
    cluster: Cluster, gateway: Gateway, arrivals: Arrivals, service: str, word: str
) -> None:
    with stopped(cluster, service):
        eventually(degraded(cluster, word), within=15)
    eventually(lambda: cluster.condition("Ready").get("status") == "True", within=90)
    eventually(lambda: not degraded(cluster, word)(), within=60)
    arriving = accepted(gateway, "marketing")
    eventually(lambda: not arrivals.missing([arriving]), within=60)


def objects(cluster: Cluster) -> list[str]:
    """What the operator made for the topology."""
    found = cluster.items("deployment,service,configmap", f"app.kubernetes.io/instance={TOPOLOGY}")
    return [f"{item['kind']} {item['metadata']['name']}" for item in found]


def nothing_is_left(cluster: Cluster) -> bool:
    assert objects(cluster) == []
    return True


def test_deleting_the_resource_removes_the_workloads_and_keeps_the_topics(cluster: Cluster, lag: Lag) -> None:
    """Those with the messages and those with the dead letters."""
    names = [topic["name"] for topic in cluster.get("mtop", TOPOLOGY)["status"]["topics"]]
    assert {"postpaid", "billing-marketing.dlq"} < set(names)
    before = {name: lag.partitions_of(name) for name in names}
    assert {made.partition(" ")[0] for made in objects(cluster)} == {"Deployment", "Service", "ConfigMap"}
    cluster.kubectl("delete", "mtop", TOPOLOGY, "-n", NAMESPACE, "--timeout=30s")
    eventually(lambda: nothing_is_left(cluster), within=60)
    assert {name: lag.partitions_of(name) for name in names} == before
