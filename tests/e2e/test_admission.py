"""What the API server refuses at `kubectl apply`, and the sentence that it says."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from testkit.cluster import Cluster

Spec = dict[str, Any]
NAMESPACE = "admission"


@pytest.fixture(scope="module", autouse=True)
def _namespace(cluster: Cluster) -> Iterator[None]:
    cluster.install_operator()
    cluster.kubectl("create", "namespace", NAMESPACE)
    yield
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def changed(example: dict[str, Any], change: Callable[[Spec], object]) -> str:
    document = copy.deepcopy(example)
    document["metadata"] = {"name": "refused", "namespace": NAMESPACE}
    hold_still(document["spec"])
    change(document["spec"])
    return yaml.safe_dump(document)


def hold_still(spec: Spec) -> None:
    """The operator sees what is accepted here, too: it shall find no Kafka and start no pod."""
    spec["kafka"]["bootstrapServers"] = "kafka.invalid:9092"
    spec["gateway"].pop("service")
    for processor in (spec["gateway"], spec["messaging"], *spec["billing"], *spec["sinks"]):
        processor["replicas"] = 0


def append_copy(items: list[dict[str, Any]], **changes: object) -> None:
    items.append(copy.deepcopy(items[0]) | changes)


REFUSED: dict[str, tuple[Callable[[Spec], object], str]] = {
    "billing reads an undeclared topic": (
        lambda s: s["billing"][0]["from"].append("nowhere"),
        'billing.from: not in spec.topics: [["nowhere"], [], []]',
    ),
    "sink reads an undeclared topic": (
        lambda s: s["sinks"][1].update({"from": ["nowhere"]}),
        'sinks.from: not in spec.topics: [[], ["nowhere"], []]',
    ),
    "billing writes an undeclared topic": (
        lambda s: s["billing"][0].update(to="nowhere"),
        'billing.to: not in spec.topics: ["nowhere"]',
    ),
    "a route to an undeclared topic": (
        lambda s: s["messaging"]["routes"][0].update(topic="nowhere"),
        'messaging.routes.topic: not in spec.topics: ["nowhere"]',
    ),
    "two topics of one name": (lambda s: append_copy(s["topics"]), 'Duplicate value: {"name":"postpaid"}'),
    "two billing processors of one name": (
        lambda s: append_copy(s["billing"], domain="other"),
        'Duplicate value: {"name":"billing-marketing"}',
    ),
    "two sinks of one name": (lambda s: append_copy(s["sinks"]), 'Duplicate value: {"name":"marketing"}'),
    "two routes of one billing type": (
        lambda s: s["messaging"]["routes"][1].update(billingType="Postpaid"),
        'Duplicate value: {"billingType":"Postpaid"}',
    ),
    "a sink named like a billing processor": (
        lambda s: s["sinks"][0].update(name="billing-marketing"),
        'sinks.name: already the name of a billing processor: ["billing-marketing"]',
    ),
    "a sink named like the gateway": (
        lambda s: s["sinks"][0].update(name="api-gateway"),
        "api-gateway and be-messaging are the names of spec.gateway and spec.messaging",
    ),
    "one domain charged twice": (
        lambda s: append_copy(s["billing"], name="billing-again"),
        'billing.domain: declared twice, it would be charged twice: ["billing-marketing", "billing-again"]',
    ),
    "more billing replicas than partitions": (
        lambda s: s["billing"][0].update(replicas=13),
        'billing.replicas: more than the partitions that it reads: ["billing-marketing"]',
    ),
    "more sink replicas than partitions": (
        lambda s: s["sinks"][2].update(replicas=4),
        'sinks.replicas: more than the partitions that it reads: ["agent-flow"]',
    ),
    "a billing processor that misses a route": (
        lambda s: s["billing"][1].update({"from": ["postpaid"]}),
        'accepted messages would reach nobody: ["billing-authentication"]',
    ),
    "a charged topic charged again": (
        lambda s: s["billing"][0]["from"].append("authentication"),
        "it would charge twice",
    ),
    "dead letters read by their own processor": (
        lambda s: s["sinks"][0].update(deadLetter={"topic": "marketing"}),
        "cannot read its own dead letters",
    ),
    "min.insync.replicas above the replication factor": (
        lambda s: s["kafka"]["defaults"]["config"].update({"min.insync.replicas": "2"}),
        "kafka.defaults.config: min.insync.replicas is above the replication factor",
    ),
    "a topic's min.insync.replicas above the replication factor": (
        lambda s: s["topics"][2].update(config={"min.insync.replicas": "2"}),
        "topics.config: min.insync.replicas is above the replication factor",
    ),
    "a price that is a float": (
        lambda s: s["billing"][0]["tariff"].update(perMessage=0.0075),
        "spec.billing[0].tariff.perMessage",
    ),
    "a price that is no number": (
        lambda s: s["billing"][0]["tariff"].update(perMessage="cheap"),
        "spec.billing[0].tariff.perMessage",
    ),
    "a topic name that Kafka refuses": (lambda s: s["topics"][0].update(name="post paid"), "spec.topics[0].name"),
    "a processor name that Kubernetes refuses": (
        lambda s: s["sinks"][0].update(name="Marketing"),
        "spec.sinks[0].name",
    ),
    "no partitions": (lambda s: s["topics"][0].pop("partitions"), "spec.topics[0].partitions: Required value"),
    "zero partitions": (lambda s: s["topics"][0].update(partitions=0), "spec.topics[0].partitions"),
    "an unknown field": (lambda s: s["topics"][0].update(partitons=6), 'unknown field "spec.topics[0].partitons"'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_invalid_topology_is_refused_with_its_reason(cluster: Cluster, example: dict[str, Any], case: str) -> None:
    change, sentence = REFUSED[case]
    refusal = cluster.refused(changed(example, change))
    assert sentence in refusal


def test_partitions_only_grow_and_the_refusal_names_from_and_to(cluster: Cluster, example: dict[str, Any]) -> None:
    cluster.apply(changed(example, lambda s: None))
    cluster.apply(changed(example, lambda s: s["topics"][0].update(partitions=12)))
    refusal = cluster.refused(changed(example, lambda s: None))
    assert "spec.topics[0].partitions" in refusal
    assert "partitions can only grow: 12 -> 6" in refusal


def test_reordering_the_topics_does_not_look_like_a_decrease(cluster: Cluster, example: dict[str, Any]) -> None:
    cluster.apply(changed(example, lambda s: s["topics"][0].update(partitions=12)))
    cluster.apply(changed(example, lambda s: (s["topics"][0].update(partitions=12), s["topics"].reverse())))


def test_the_largest_valid_topology_is_accepted(cluster: Cluster, example: dict[str, Any]) -> None:
    """Names, lists and maps at their bounds stay within the API server's cost budgets."""

    def enlarge(spec: Spec) -> None:
        topics = [f"t{number:02}".ljust(63, "x") for number in range(100)]
        spec["topics"] = [{"name": name, "partitions": 100} for name in topics]
        spec["messaging"]["routes"] = [{"billingType": "Postpaid", "topic": topics[0]}]
        billing, sink = spec["billing"][0], spec["sinks"][0]
        spec["billing"] = [
            billing
            | {
                "name": f"b{n:02}".ljust(63, "x"),
                "domain": f"d{n:02}".ljust(63, "x"),
                "from": topics[:8],
                "to": topics[50 + n],
            }
            for n in range(50)
        ]
        spec["sinks"] = [sink | {"name": f"s{n:02}".ljust(63, "x"), "from": topics[50:58]} for n in range(50)]

    cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=changed(example, enlarge))
