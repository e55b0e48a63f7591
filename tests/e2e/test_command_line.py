"""`kubectl mtop` against a real cluster: it sees what is there, and what an apply would change."""

import json
from pathlib import Path

import pytest

from bed.state import BedState
from testkit.cluster import DEPLOYMENTS, EXAMPLE, NAMESPACE, TOPOLOGY, Cluster

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("installed")]

HERE = (TOPOLOGY, "-n", NAMESPACE)


def test_a_plan_of_what_is_there_is_empty(cluster: Cluster, bed: BedState) -> None:
    plan = cluster.mtop("plan", "-f", str(EXAMPLE), "--kafka", bed.kafka_bootstrap)
    assert (plan.returncode, plan.stdout) == (0, "no changes\n"), plan


def test_a_plan_says_what_an_apply_would_change_and_changes_nothing(
    cluster: Cluster, bed: BedState, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.yaml"
    text = EXAMPLE.read_text().replace("name: marketing, partitions: 3", "name: marketing, partitions: 5")
    changed.write_text(text.replace('perSegment: "0.0075"', 'perSegment: "0.0080"'))
    plan = cluster.mtop("plan", "-f", str(changed), "--kafka", bed.kafka_bootstrap, "-o", "json")
    assert plan.returncode == 2, plan
    found = {(change["target"], change["risk"]) for change in json.loads(plan.stdout)["changes"]}
    assert ("Topic marketing", "OrderingRisk") in found
    assert ("Deployment billing-marketing", "Safe") in found
    again = cluster.mtop("plan", "-f", str(EXAMPLE), "--kafka", bed.kafka_bootstrap)
    assert again.returncode == 0, again


def test_a_decrease_is_refused_before_anything_is_compared(cluster: Cluster, bed: BedState, tmp_path: Path) -> None:
    smaller = tmp_path / "smaller.yaml"
    smaller.write_text(EXAMPLE.read_text().replace("name: postpaid, partitions: 6", "name: postpaid, partitions: 4"))
    plan = cluster.mtop("plan", "-f", str(smaller), "--kafka", bed.kafka_bootstrap)
    assert plan.returncode == 1
    assert "partitions can only grow: 6 -> 4" in plan.stderr


def test_status_shows_topics_and_processors(cluster: Cluster, bed: BedState) -> None:
    status = cluster.mtop("status", *HERE, "--kafka", bed.kafka_bootstrap)
    assert status.returncode == 0, status
    assert all(name in status.stdout for name in (*DEPLOYMENTS, "postpaid", "billing-marketing.dlq"))


def test_what_the_cluster_holds_is_valid_and_can_be_drawn(cluster: Cluster) -> None:
    assert cluster.mtop("validate", *HERE).stdout == f"{TOPOLOGY}: valid\n"
    assert cluster.mtop("graph", *HERE).stdout == cluster.mtop("graph", "-f", str(EXAMPLE)).stdout


def test_a_topology_that_is_not_there_is_named(cluster: Cluster) -> None:
    nobody = cluster.mtop("status", "nobody", "-n", NAMESPACE)
    assert nobody.returncode == 1
    assert (
        nobody.stderr == f"mtop: no MessagingTopology nobody in namespace {NAMESPACE}: kubectl get mtop -A lists them\n"
    )
