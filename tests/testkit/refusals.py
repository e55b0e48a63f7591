"""What the API server refuses, with the sentence that it says, and what it accepts; for it and for `mtop validate`."""

import copy
from collections.abc import Callable
from typing import Any

Spec = dict[str, Any]
Change = Callable[[Spec], object]


def changed(example: dict[str, Any], change: Change, namespace: str = "admission") -> dict[str, Any]:
    """The example under another name, at rest, with `change` made to its spec."""
    document = copy.deepcopy(example)
    document["metadata"] = {"name": "refused", "namespace": namespace}
    hold_still(document["spec"])
    change(document["spec"])
    return document


def hold_still(spec: Spec) -> None:
    """The operator sees what is accepted here, too: it shall find no Kafka and start no pod."""
    spec["kafka"]["bootstrapServers"] = "kafka.invalid:9092"
    spec["gateway"].pop("service")
    for processor in (spec["gateway"], spec["messaging"], *spec["billing"], *spec["sinks"]):
        processor["replicas"] = 0


def unchanged(spec: Spec) -> None:
    """The example as it is."""


def grow(spec: Spec) -> None:
    spec["topics"][0].update(partitions=12)


def grow_and_reorder(spec: Spec) -> None:
    grow(spec)
    spec["topics"].reverse()


def append_copy(items: list[dict[str, Any]], **changes: object) -> None:
    items.append(copy.deepcopy(items[0]) | changes)


def enlarge(spec: Spec) -> None:
    """The largest valid topology: names, lists and maps at their bounds."""
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


REFUSED: dict[str, tuple[Change, str]] = {
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
