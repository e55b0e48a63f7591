"""The cluster of the test bed through pytest-kind's fixture, the operator from its chart, the example topology."""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient
from pytest_kind import KindCluster

from bed.state import BedState
from messaging_cli.local.services import kafka_tool
from testkit.arrivals import Arrivals, Lag
from testkit.audit import Audit
from testkit.cluster import EXAMPLE, NAMESPACE, OPERATOR, TOPOLOGY, Cluster
from testkit.topics import Topics
from testkit.traffic import API_KEY, TENANT, Gateway
from testkit.waiting import eventually, must_answer


def pytest_configure(config: pytest.Config) -> None:
    """pytest-kind finds the bed's cluster by its name and must neither download a kind nor delete the cluster."""
    bed = BedState.load()
    os.environ["DOCKER_HOST"] = bed.docker_host
    config.option.cluster_name = bed.cluster
    config.option.keep_cluster = True
    config.option.kubeconfig = bed.kubeconfig
    config.option.kind_bin = bed.kind
    config.option.kind_kubectl_bin = bed.kubectl


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The first failure tells what the pods said: they are gone when somebody looks."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and cluster and not item.session.testsfailed:
        report.sections.append(("what the pods said last", cluster.said()))
    return report


@pytest.fixture(scope="session")
def bed() -> BedState:
    return BedState.load()


@pytest.fixture(scope="session")
def cluster(bed: BedState, kind_cluster: KindCluster) -> Cluster:
    return Cluster(Path(kind_cluster.kubeconfig_path), Path(kind_cluster.kubectl_path), Path(bed.helm))


@pytest.fixture(scope="session")
def audit(bed: BedState) -> Audit:
    """Of the operator."""
    return Audit(bed.node, f"system:serviceaccount:{OPERATOR}:")


@pytest.fixture(scope="session")
def example() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    return document


@pytest.fixture(scope="session")
def gateway(bed: BedState) -> Gateway:
    return Gateway(bed.gateway_url, API_KEY)


@pytest.fixture(scope="session")
def arrivals(bed: BedState) -> Arrivals:
    return Arrivals(bed.database_url, bed.redis_url, bed.third_party_url, TENANT)


@pytest.fixture(scope="session")
def bootstrap(bed: BedState) -> str:
    return bed.kafka_bootstrap


@pytest.fixture(scope="session")
def topics(bootstrap: str) -> Topics:
    return Topics(kafka_tool, bootstrap)


@pytest.fixture(scope="session")
def lag(bootstrap: str) -> Lag:
    return Lag(bootstrap)


def forget_earlier_runs(cluster: Cluster, bootstrap: str) -> None:
    """A deleted topology keeps its topics, by design; these tests count what is in them."""
    cluster.kubectl("delete", "mtop", "--all", "-n", NAMESPACE, "--ignore-not-found", "--timeout=60s")
    admin = AdminClient({"bootstrap.servers": bootstrap})
    eventually(lambda: not cluster.items("pod", f"app.kubernetes.io/instance={TOPOLOGY}"), within=90)
    eventually(lambda: all(state is ConsumerGroupState.EMPTY for _, state in consumer_groups(admin)), within=60)
    groups = [name for name, _ in consumer_groups(admin)]
    topics = [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")]
    forgotten = admin.delete_consumer_groups(groups) if groups else {}
    deleted = admin.delete_topics(topics) if topics else {}
    for removal in (*forgotten.values(), *deleted.values()):
        removal.result(timeout=30)


@must_answer(KafkaException)
def consumer_groups(admin: AdminClient) -> list[tuple[str, ConsumerGroupState]]:
    listed = admin.list_consumer_groups(request_timeout=10).result().valid
    return [(group.group_id, group.state) for group in listed]


@pytest.fixture(scope="session")
def lasting(fresh: Cluster, topics: Topics) -> Callable[[], dict[str, str]]:
    """What no fault may replace: the example's topics, by their ids, and the containers of the operator's pods."""

    def now() -> dict[str, str]:
        names = [topic["name"] for topic in fresh.get("mtop", TOPOLOGY)["status"]["topics"]]
        containers = fresh.operator_containers().items()
        return topics.unique_ids(names) | {pod: container["containerID"] for pod, container in containers}

    return now


@pytest.fixture(scope="session")
def lasting_at_first(lasting: Callable[[], dict[str, str]]) -> dict[str, str]:
    return lasting()


@pytest.fixture(scope="session")
def installed(fresh: Cluster, lasting_at_first: dict[str, str]) -> Cluster:
    """The example; what has to last was written down before anything happened to it."""
    return fresh


@pytest.fixture(scope="session")
def fresh(cluster: Cluster, gateway: Gateway, bootstrap: str) -> Iterator[Cluster]:
    """The operator from its chart and the example topology, ready, with its accounts registered."""
    cluster.install_operator()
    forget_earlier_runs(cluster, bootstrap)
    cluster.kubectl("apply", "-f", str(EXAMPLE))
    eventually(lambda: cluster.condition("Ready").get("status") == "True", within=180)
    eventually(lambda: cluster.condition("Degraded").get("status") == "False", within=60)
    eventually(gateway.accounts_registered, within=30)
    yield cluster
    cluster.kubectl("delete", "mtop", "--all", "-n", NAMESPACE, "--ignore-not-found")
