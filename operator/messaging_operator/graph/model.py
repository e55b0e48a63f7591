"""Spec → the topology as a graph: what there is, where messages flow, and who stands left of whom.

Called by the command line's `graph`; `mermaid` and `svg` draw the result. Pure. An edge is a way that a message takes,
so that what be-messaging looks up in the stores is not one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from urllib.parse import urlsplit

from messaging_api.topology import GATEWAY_NAME, MESSAGING_NAME, Billing, Sink, TopologySpec
from messaging_operator.desired.topics import dead_letter_topic, desired_topics
from messaging_operator.errors import ResourceError


class Kind(StrEnum):
    """What a node is."""

    CLIENT = "client"
    GATEWAY = "gateway"
    MESSAGING = "messaging"
    TOPIC = "topic"
    BILLING = "billing"
    SINK = "sink"
    DEAD_LETTER = "deadLetter"
    STORE = "store"
    THIRD_PARTY = "thirdParty"


@dataclass(frozen=True)
class Node:
    """One thing of the topology; `detail` is its size or its role."""

    kind: Kind
    name: str
    detail: str


@dataclass(frozen=True)
class Edge:
    """Where a message goes; `dead` is the way of those that can never be processed."""

    source: Node
    target: Node
    dead: bool = False


@dataclass(frozen=True)
class Graph:
    """Everything once, in the order of the flow. `ranks` are columns from the left; dead letters are in none."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    ranks: Mapping[Node, int]


_CLIENT = Node(Kind.CLIENT, "client", "HTTP")
_STORES = (Node(Kind.STORE, "PostgreSQL", "database"), Node(Kind.STORE, "Redis", "cache"))
# A topic that nobody writes stands with the first that somebody does: client, api-gateway and be-messaging are before.
_FIRST_TOPICS = 3


def topology_graph(spec: TopologySpec) -> Graph:
    """Raises `ResourceError` for a spec that refers to what it does not declare, or whose messages go in a circle."""
    topics = _topics(spec)
    edges = dict.fromkeys(_edges(spec, topics))
    ends = (node for edge in edges for node in (edge.source, edge.target))
    nodes = tuple(dict.fromkeys([*ends, *topics.values()]))
    return Graph(nodes, tuple(edges), _ranks(nodes, edges))


def _readers(spec: TopologySpec) -> list[Billing | Sink]:
    return [*spec.billing, *spec.sinks]


def _topics(spec: TopologySpec) -> dict[str, Node]:
    """A dead-letter topic that somebody reads, or that is written in the usual course, is a topic like the others."""
    _refuse_undeclared(spec)
    dead = {dead_letter_topic(reader) for reader in _readers(spec)}
    flowing = {topic for reader in _readers(spec) for topic in reader.inputs} | {topic for _, topic in _written(spec)}
    return {
        topic.name: Node(
            Kind.DEAD_LETTER if topic.name in dead - flowing else Kind.TOPIC,
            topic.name,
            _count(topic.partitions, "partition"),
        )
        for topic in desired_topics(spec)
    }


def _written(spec: TopologySpec) -> list[tuple[str, str]]:
    """Each field that names a topic to write, and the topic."""
    routed = [("messaging.routes.topic", route.topic) for route in spec.messaging.routes]
    return routed + [(f"{billing.name}.to", billing.to) for billing in spec.billing]


def _refuse_undeclared(spec: TopologySpec) -> None:
    declared = {topic.name for topic in spec.topics}
    for field, topic in _written(spec):
        if topic not in declared:
            raise ResourceError(f"{field}: not in spec.topics: {topic}")


def _edges(spec: TopologySpec, topics: Mapping[str, Node]) -> Iterator[Edge]:
    gateway = Node(Kind.GATEWAY, GATEWAY_NAME, _count(spec.gateway.replicas, "replica"))
    messaging = Node(Kind.MESSAGING, MESSAGING_NAME, _count(spec.messaging.replicas, "replica"))
    yield Edge(_CLIENT, gateway)
    yield Edge(gateway, messaging)
    yield from (Edge(messaging, topics[route.topic]) for route in spec.messaging.routes)
    for billing in spec.billing:
        detail = f"{billing.domain} · {_count(billing.replicas, 'replica')}"
        yield from _processing(billing, Node(Kind.BILLING, billing.name, detail), [topics[billing.to]], topics)
    for sink in spec.sinks:
        node = Node(Kind.SINK, sink.name, _count(sink.replicas, "replica"))
        yield from _processing(sink, node, [*_STORES, _third_party(sink)], topics)


def _processing(
    reader: Billing | Sink, node: Node, targets: Iterable[Node], topics: Mapping[str, Node]
) -> Iterator[Edge]:
    yield from (Edge(topics[name], node) for name in reader.inputs)
    yield from (Edge(node, target) for target in targets)
    yield Edge(node, topics[dead_letter_topic(reader)], dead=True)


def _third_party(sink: Sink) -> Node:
    """By host, because sinks share a provider; a URL may also hold what nobody should see."""
    try:
        host = urlsplit(sink.third_party.url).hostname
    except ValueError:
        host = None
    if not host or not host.isprintable():
        raise ResourceError(f"{sink.name}.thirdParty.url: names no host")
    return Node(Kind.THIRD_PARTY, host, "third party")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _ranks(nodes: Iterable[Node], edges: Iterable[Edge]) -> dict[Node, int]:
    """The longest way from the client; all sinks in one column, and what they call behind it."""
    sources: dict[Node, list[Node]] = {node: [] for node in nodes if node.kind is not Kind.DEAD_LETTER}
    for edge in edges:
        if not edge.dead:
            sources[edge.target].append(edge.source)
    ranks: dict[Node, int] = {}
    for node in _upstream_first(sources):
        start = _FIRST_TOPICS if node.kind is Kind.TOPIC else 0
        ranks[node] = max((ranks[source] + 1 for source in sources[node]), default=start)
    last = max((rank for node, rank in ranks.items() if node.kind is Kind.SINK), default=0)
    behind = {Kind.SINK: last, Kind.STORE: last + 1, Kind.THIRD_PARTY: last + 1}
    return {node: behind.get(node.kind, ranks[node]) for node in sources}


def _upstream_first(sources: Mapping[Node, list[Node]]) -> list[Node]:
    try:
        return list(TopologicalSorter(sources).static_order())
    except CycleError as error:
        circle = " → ".join(node.name for node in error.args[1])
        raise ResourceError(f"billing.to: messages would go in a circle: {circle}") from error
