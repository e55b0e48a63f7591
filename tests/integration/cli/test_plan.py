"""`mtop plan` against a real broker and, where there is none, against no API server at all."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from messaging_cli.app import run
from messaging_operator.clients.kafka import connect
from messaging_operator.clients.kube import Cluster
from messaging_operator.reconcile import Clients, reconcile
from messaging_operator.settings import Settings
from testkit.broker import Broker
from testkit.local_runs import prefixed
from testkit.topologies import EXAMPLE, IMAGES, KEY, NOW
from testkit.worlds import FakeCluster, a_world

Printed = pytest.CaptureFixture[str]
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "here",
    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    "clusters": [{"name": "here", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "me", "user": {"token": "none"}}],
}


@pytest.fixture(autouse=True)
def _no_local_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def spec(kafka_bootstrap: str) -> dict[str, Any]:
    """The example with topics of its own, which names a Kafka that answers only within its cluster."""
    return prefixed(Broker(kafka_bootstrap).prefix)


@pytest.fixture
def cluster(spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """Holds the topology, and nothing of it yet."""
    cluster = a_world(spec).cluster
    monkeypatch.setattr(Cluster, "connect", lambda: cluster)
    return cluster


def applied(cluster: FakeCluster, spec: dict[str, Any], bootstrap: str) -> None:
    """As kubectl and the operator would."""
    cluster.resource["spec"] = spec
    clients = Clients(cluster, lambda _: connect(bootstrap), lambda _: {})
    reconcile(KEY, clients, Settings(IMAGES, resync_seconds=10, metrics_port=9090), NOW)


def test_a_topology_is_planned_applied_changed_and_planned_again(
    cluster: FakeCluster, spec: dict[str, Any], kafka_bootstrap: str, tmp_path: Path, capsys: Printed
) -> None:
    file = tmp_path / "topology.yaml"

    def planned() -> tuple[int, list[str]]:
        file.write_text(yaml.safe_dump(EXAMPLE | {"spec": spec}))
        capsys.readouterr()
        code = run(["plan", "-f", str(file), "--kafka", kafka_bootstrap])
        return code, capsys.readouterr().out.splitlines()

    code, told = planned()
    assert (code, told[-1]) == (2, "29 changes: 29 Safe")
    assert planned() == (code, told)  # looking changes nothing

    applied(cluster, spec, kafka_bootstrap)
    assert planned() == (0, ["no changes"])

    spec = prefixed(spec["topics"][0]["name"].removesuffix("postpaid"))
    spec["topics"][0]["config"] = {"retention.ms": "3600000"}
    spec["topics"][2] |= {"partitions": 4, "config": {"max.message.bytes": "2000000"}}
    spec["topics"][3]["config"] = {"retention.bytes": "1000000", "min.insync.replicas": "1"}
    postpaid, _, marketing, authentication, _ = (topic["name"] for topic in spec["topics"])
    assert planned() == (
        2,
        [
            "DataLoss: records older than that are deleted, read or not",
            f"  Topic {postpaid}  retention.ms: 604800000 -> 3600000",
            "DataLoss: a partition's oldest records beyond it are deleted",
            f"  Topic {authentication}  retention.bytes: -1 -> 1000000",
            "OrderingRisk: keys move: an account's new records can overtake its old ones",
            f"  Topic {marketing}      partitions: 3 -> 4",
            f"  Topic {marketing}.dlq  partitions: 3 -> 4",
            "Safe: what is written and what is kept stays the same",
            f"  Topic {marketing}  max.message.bytes: 1048588 -> 2000000",
            "5 changes: 2 DataLoss, 2 OrderingRisk, 1 Safe",
        ],
    )

    applied(cluster, spec, kafka_bootstrap)
    assert planned() == (0, ["no changes"])


@pytest.mark.parametrize(
    ("kubeconfig", "said"),
    [(None, "the cluster: no usable kubeconfig: "), (KUBECONFIG, "Connection refused")],
)
def test_without_an_api_server_there_is_one_line(
    kubeconfig: dict[str, object] | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "kubeconfig"
    if kubeconfig:
        path.write_text(yaml.safe_dump(kubeconfig))
    file = tmp_path / "topology.yaml"
    file.write_text(yaml.safe_dump(EXAMPLE))
    command = [sys.executable, "-m", "messaging_cli", "plan", "-f", str(file)]
    answer = subprocess.run(
        command, env={**os.environ, "KUBECONFIG": str(path)}, capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stdout) == (1, "")
    assert said in answer.stderr
    assert answer.stderr.startswith("mtop: ")
    assert answer.stderr.count("\n") == 1
