"""What every part is for: one that is missing stops exactly its hop, one that is away is named.

The last test deletes the topology.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from messaging_api.topology import GATEWAY_NAME, MESSAGING_NAME
from testkit.arrivals import Arrivals, Lag
from testkit.cluster import DEPLOYMENTS, NAMESPACE, TOPOLOGY, Cluster
from testkit.faults import stopped
from testkit.traffic import DOMAINS, Gateway
from testkit.waiting import eventually

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("installed")]

PARTITIONS = {"prepaid": 6, "marketing": 3, "authentication": 3, "agent-flow": 3}


# The domains that a stopped processor holds up; the front holds up all of them, before anything is accepted.
HOPS = {
    "billing-marketing": "marketing",
    "billing-authentication": "authentication",
    "billing-agent-flow": "agent-flow",
    "marketing": "marketing",
    "authentication": "authentication",
    "agent-flow": "agent-flow",
}


def entry_path(cluster: Cluster, name: str) -> str:
    """Where the resource declares a processor."""
    if name in (GATEWAY_NAME, MESSAGING_NAME):
        return "/spec/gateway" if name == GATEWAY_NAME else "/spec/messaging"
    kind = "billing" if name.startswith("billing-") else "sinks"
    entries = cluster.get("mtop", TOPOLOGY)["spec"][kind]
    return f"/spec/{kind}/{[entry['name'] for entry in entries].index(name)}"


@contextmanager
def without(cluster: Cluster, name: str) -> Iterator[None]:
    """The processor is declared with no replicas for a while."""
    path = f"{entry_path(cluster, name)}/replicas"
    cluster.patch_topology([{"op": "add", "path": path, "value": 0}])
    eventually(lambda: name not in pods_by_processor(cluster), within=60)
    yield
    cluster.patch_topology([{"op": "add", "path": path, "value": 1}])


def pods_by_processor(cluster: Cluster) -> set[str]:
    return {item["metadata"]["labels"].get("app.kubernetes.io/name", "") for item in cluster.items("pod")}


@pytest.mark.parametrize("name", HOPS)
def test_without_a_processor_exactly_its_hop_stops(
    cluster: Cluster, gateway: Gateway, arrivals: Arrivals, name: str
) -> None:
    """Its messages wait, all others arrive; put back, it goes on where it stopped."""
    with without(cluster, name):
        answers = {domain: gateway.send("account-00", domain) for domain in DOMAINS}
        held = answers.pop(HOPS[name]).id
        eventually(lambda: not arrivals.missing(answer.id for answer in answers.values()), within=30)
        assert arrivals.missing([held]) == [held]
    eventually(lambda: not arrivals.missing([held]), within=60)


@pytest.mark.parametrize(("name", "status"), [(MESSAGING_NAME, 503), (GATEWAY_NAME, 0)])
def test_without_the_front_nothing_is_accepted(
    cluster: Cluster, gateway: Gateway, arrivals: Arrivals, name: str, status: int
) -> None:
    with without(cluster, name):
        assert gateway.send("account-00", "marketing").status == status
    accepted = eventually(lambda: gateway.send("account-00", "marketing").id, within=60)
    eventually(lambda: not arrivals.missing([accepted]), within=30)


@pytest.mark.parametrize("name", ["marketing", "billing-marketing"])
def test_a_processor_that_is_no_longer_declared_has_no_deployment(cluster: Cluster, name: str) -> None:
    path = entry_path(cluster, name)
    position = int(path.rsplit("/", 1)[1])
    entry = cluster.get("mtop", TOPOLOGY)["spec"]["billing" if "billing" in path else "sinks"][position]
    cluster.patch_topology([{"op": "remove", "path": path}])
    eventually(lambda: name not in cluster.deployments(), within=30)
    assert cluster.deployments() == DEPLOYMENTS - {name}
    cluster.patch_topology([{"op": "add", "path": path, "value": entry}])
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
    accepted = eventually(lambda: gateway.send("account-00", "marketing").id, within=30)
    eventually(lambda: not arrivals.missing([accepted]), within=60)


def test_deleting_the_resource_removes_the_workloads_and_keeps_the_topics(cluster: Cluster, lag: Lag) -> None:
    cluster.kubectl("delete", "mtop", TOPOLOGY, "-n", NAMESPACE, "--timeout=30s")
    eventually(lambda: not cluster.deployments(), within=60)
    assert {name: lag.partitions_of(name) for name in PARTITIONS} == PARTITIONS
