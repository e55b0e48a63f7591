"""What the API server refuses, with the sentence that it says, and what it accepts; for it and for `mtop validate`."""

import copy
from collections.abc import Callable
from typing import Any

from testkit.tariffs import MONEY, largest_tariff

Document = dict[str, Any]
Spec = dict[str, Any]
Change = Callable[[Document], object]


def in_spec(change: Callable[[Spec], object]) -> Change:
    """A change that is made to the spec alone."""
    return lambda document: change(document["spec"])


def changed(example: Document, change: Change, namespace: str = "admission") -> Document:
    """The example under another name, at rest, with `change` made to it."""
    document = copy.deepcopy(example)
    document["metadata"] = {"name": "refused", "namespace": namespace}
    hold_still(document["spec"])
    change(document)
    return document


def hold_still(spec: Spec) -> None:
    """The operator sees what is accepted here, too: it shall find no Kafka and start no pod."""
    spec["kafka"]["bootstrapServers"] = "kafka.invalid:9092"
    spec["gateway"].pop("service")
    for processor in (spec["gateway"], spec["messaging"], *spec["billing"], *spec["sinks"]):
        processor["replicas"] = 0


def unchanged(document: Document) -> None:
    """The example as it is."""


def grow(document: Document) -> None:
    document["spec"]["topics"][0].update(partitions=12)


def grow_and_reorder(document: Document) -> None:
    grow(document)
    document["spec"]["topics"].reverse()


def append_copy(items: list[dict[str, Any]], **changes: object) -> None:
    items.append(copy.deepcopy(items[0]) | changes)


def enlarge(document: Document) -> None:
    """The largest valid topology: names, lists and maps at their bounds."""
    spec = document["spec"]
    topics = [f"t{number:02}".ljust(63, "x") for number in range(100)]
    config = {f"setting.number.{number:02}": "1" for number in range(39)} | {"min.insync.replicas": "1"}
    spec["topics"] = [{"name": name, "partitions": 100, "config": config} for name in topics]
    spec["messaging"]["routes"] = [{"billingType": "Postpaid", "topic": topics[0]}]
    billing, sink = spec["billing"][0] | {"tariff": largest_tariff(), "validFor": "365d"}, spec["sinks"][0]
    spec["billing"] = [
        billing
        | {
            "name": f"b{n:02}".ljust(63, "x"),
            "domain": f"d{n:02}".ljust(63, "x"),
            "from": topics[:8],
            "to": topics[50 + n],
            "deadLetter": {"topic": f"bd{n:02}".ljust(63, "x")},
        }
        for n in range(50)
    ]
    spec["sinks"] = [
        sink
        | {
            "name": f"s{n:02}".ljust(63, "x"),
            "from": topics[50:58],
            "deadLetter": {"topic": f"sd{n:02}".ljust(63, "x")},
        }
        for n in range(50)
    ]


def lengthen(processor: dict[str, Any]) -> None:
    """A name that Kubernetes takes, and no dead-letter topic."""
    processor.pop("deadLetter", None)
    processor["name"] = "p" * 60


_SPECS: dict[str, tuple[Callable[[Spec], object], str]] = {
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
    "a billing processor named like be-messaging": (
        lambda s: s["billing"][0].update(name="be-messaging"),
        "api-gateway and be-messaging are the names of spec.gateway and spec.messaging",
    ),
    "a billing processor's name that leaves no room for its dead letters": (
        lambda s: lengthen(s["billing"][1]),
        "leaves no room for a topic name.dlq; name a topic in deadLetter.topic",
    ),
    "a sink's name that leaves no room for its dead letters": (
        lambda s: lengthen(s["sinks"][1]),
        "leaves no room for a topic name.dlq; name a topic in deadLetter.topic",
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
    "dead letters charged by their own processor": (
        lambda s: s["billing"][0].update(deadLetter={"topic": "postpaid"}),
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
    "min.insync.replicas that is no number": (
        lambda s: s["kafka"]["defaults"]["config"].update({"min.insync.replicas": "two"}),
        "spec: Invalid value: kafka.defaults.config: min.insync.replicas is above the replication factor or no number",
    ),
    "a topic's min.insync.replicas that is no number": (
        lambda s: s["topics"][2].update(config={"min.insync.replicas": "two"}),
        "spec: Invalid value: topics.config: min.insync.replicas is above the replication factor or no number",
    ),
    "a topic's setting without a name": (
        lambda s: s["topics"][1].update(config={"": "x", "retention.ms": "1"}),
        'not the name of a Kafka setting: [""]',
    ),
    "a default setting with a name that is none": (
        lambda s: s["kafka"]["defaults"]["config"].update({"retention ms": "1"}),
        'not the name of a Kafka setting: ["retention ms"]',
    ),
    "a cache that forgets at once": (lambda s: s["cache"].update(ttl="0s"), "spec.cache.ttl"),
    "a third party without any time to answer": (
        lambda s: s["sinks"][0]["thirdParty"].update(timeout="0ms"),
        "spec.sinks[0].thirdParty.timeout",
    ),
    "a node port on a Service of type ClusterIP": (
        lambda s: s["gateway"].update(service={"type": "ClusterIP", "nodePort": 30080}),
        "nodePort: a Service of type ClusterIP has none; set type to NodePort or LoadBalancer",
    ),
    "a node port on a Service of no type": (
        lambda s: s["gateway"].update(service={"nodePort": 30080}),
        "nodePort: a Service of type ClusterIP has none; set type to NodePort or LoadBalancer",
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
REFUSED: dict[str, tuple[Change, str]] = {
    case: (in_spec(change), said) for case, (change, said) in (_SPECS | MONEY).items()
} | {
    "a name that could be no label": (
        lambda document: document["metadata"].update(name="n" * 64),
        "metadata.name: longer than 63 characters, it could not be a label",
    ),
}
