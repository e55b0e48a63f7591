"""What the API server refuses at `kubectl apply`, and the sentence that it says."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from testkit.cluster import Cluster
from testkit.refusals import REFUSED, Change, changed, enlarge, grow, grow_and_reorder, unchanged

pytestmark = pytest.mark.timeout(300)

NAMESPACE = "admission"


@pytest.fixture(scope="module", autouse=True)
def _namespace(cluster: Cluster) -> Iterator[None]:
    cluster.install_operator()
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")  # of a killed run
    cluster.kubectl("create", "namespace", NAMESPACE)
    yield
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def manifest(example: dict[str, Any], change: Change) -> str:
    return yaml.safe_dump(changed(example, change, NAMESPACE))


@pytest.mark.parametrize("case", REFUSED)
def test_an_invalid_topology_is_refused_with_its_reason(cluster: Cluster, example: dict[str, Any], case: str) -> None:
    change, sentence = REFUSED[case]
    refusal = cluster.refused(manifest(example, change))
    assert sentence in refusal


def test_partitions_only_grow_and_the_refusal_names_from_and_to(cluster: Cluster, example: dict[str, Any]) -> None:
    cluster.apply(manifest(example, unchanged))
    cluster.apply(manifest(example, grow))
    refusal = cluster.refused(manifest(example, unchanged))
    assert "spec.topics[0].partitions" in refusal
    assert "partitions can only grow: 12 -> 6" in refusal


def test_reordering_the_topics_does_not_look_like_a_decrease(cluster: Cluster, example: dict[str, Any]) -> None:
    cluster.apply(manifest(example, grow))
    cluster.apply(manifest(example, grow_and_reorder))


def test_the_largest_valid_topology_is_accepted(cluster: Cluster, example: dict[str, Any]) -> None:
    """Names, lists and maps at their bounds stay within the API server's cost budgets."""
    cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=manifest(example, enlarge))
