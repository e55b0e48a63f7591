"""The picture of a topology: nothing is missing, nothing is made up, and nothing hides something else."""

import re
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging_operator.errors import ResourceError
from messaging_operator.graph.layout import Box, Layout, layout
from messaging_operator.graph.mermaid import mermaid
from messaging_operator.graph.model import Graph, Kind, Node, topology_graph
from messaging_operator.graph.svg import svg
from testkit.topologies import a_spec, example

Ends = tuple[str, str, bool]
SVG = "{http://www.w3.org/2000/svg}"
# What one of the drawing languages reads as its own.
ODD = Node(Kind.THIRD_PARTY, '"a_b_c--d"](<e>)&f#35;`g`|*h*', "third party")
ODDLY_NAMED = Graph((ODD,), (), {ODD: 0})


def graph_of(document: dict[str, Any]) -> Graph:
    return topology_graph(a_spec(document))


def a_billing(name: str, sources: list[str], to: str) -> dict[str, Any]:
    return {"name": name, "domain": name, "from": sources, "to": to, "tariff": TARIFF}


def a_sink(name: str, sources: list[str], host: str = "provider.example") -> dict[str, Any]:
    return {"name": name, "from": sources, "thirdParty": {"url": f"https://{host}/messages"}}


TARIFF = {"currency": "USD", "perMessage": "0.0100"}
names = st.from_regex(r"\A[a-z][a-zA-Z0-9._-]{0,30}[a-z0-9]\Z")


@st.composite
def topologies(draw: st.DrawFn) -> dict[str, Any]:
    """Valid ones of any shape: skipped columns, shared dead letters, topics that nobody uses or writes."""
    topics = draw(st.lists(names, min_size=3, max_size=12, unique=True))
    routed, written, free = topics[:1], topics[1:3], topics[3:]
    dead_letters = st.none() | st.sampled_from(["shared.dlq", *written]).map(lambda name: {"topic": name})
    billing = [
        a_billing(f"billing-{number}", routed + more, draw(st.sampled_from(written))) | {"deadLetter": dead}
        for number, (more, dead) in enumerate(draw(st.lists(st.tuples(_some(free), dead_letters), max_size=6)))
    ]
    sinks = [
        a_sink(f"sink-{number}", [topic, *more], f"host-{number % 2}")
        for number, (topic, more) in enumerate(draw(st.lists(st.tuples(st.sampled_from(written), _some(free)))))
    ]
    return example() | {
        "topics": [{"name": topic, "partitions": draw(st.integers(1, 1000))} for topic in topics],
        "messaging": {"routes": [{"billingType": "Postpaid", "topic": routed[0]}]},
        "billing": billing,
        "sinks": sinks,
    }


def _some(topics: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(topics), max_size=4, unique=True) if topics else st.just([])


def declared(document: dict[str, Any]) -> Iterator[Ends]:
    """Read from the document alone."""
    yield ("client client", "gateway api-gateway", False)
    yield ("gateway api-gateway", "messaging be-messaging", False)
    yield from (
        ("messaging be-messaging", f"topic {route['topic']}", False) for route in document["messaging"]["routes"]
    )
    for billing in document.get("billing", []):
        yield (f"billing {billing['name']}", f"topic {billing['to']}", False)
        yield from _reading("billing", billing)
    for sink in document.get("sinks", []):
        host = sink["thirdParty"]["url"].split("/")[2].split(":")[0]
        targets = ["store PostgreSQL", "store Redis", f"thirdParty {host}"]
        yield from ((f"sink {sink['name']}", target, False) for target in targets)
        yield from _reading("sink", sink)


def _reading(kind: str, processor: dict[str, Any]) -> Iterator[Ends]:
    node = f"{kind} {processor['name']}"
    yield from ((f"topic {topic}", node, False) for topic in processor["from"])
    dead_letters = processor.get("deadLetter") or {"topic": f"{processor['name']}.dlq"}
    yield (node, f"topic {dead_letters['topic']}", True)


def named(node: Node) -> str:
    return f"{'topic' if node.kind is Kind.DEAD_LETTER else node.kind} {node.name}"


def drawn(graph: Graph) -> list[Ends]:
    return sorted((named(edge.source), named(edge.target), edge.dead) for edge in graph.edges)


def names_of(graph: Graph, kind: Kind) -> set[str]:
    return {node.name for node in graph.nodes if node.kind is kind}


def areas(picture: Layout) -> list[Box]:
    return [*picture.boxes.values(), *(chip.box for chip in picture.chips)]


def overlap(one: Box, other: Box) -> bool:
    beside = one.right <= other.x or other.right <= one.x
    return not (beside or one.bottom <= other.y or other.bottom <= one.y)


def test_every_declared_edge_is_in_the_graph_and_no_other() -> None:
    assert drawn(graph_of(example())) == sorted(declared(example()))


@given(topologies())
@settings(deadline=None, max_examples=50)
def test_whatever_is_declared_is_in_the_graph_once(document: dict[str, Any]) -> None:
    graph = graph_of(document)
    topics = names_of(graph, Kind.TOPIC) | names_of(graph, Kind.DEAD_LETTER)

    assert drawn(graph) == sorted(set(declared(document)))
    assert {topic["name"] for topic in document["topics"]} <= topics
    assert len({named(node) for node in graph.nodes}) == len(graph.nodes)


@given(topologies())
@settings(deadline=None, max_examples=50)
def test_messages_go_from_left_to_right(document: dict[str, Any]) -> None:
    graph = graph_of(document)

    assert all(graph.ranks[edge.source] < graph.ranks[edge.target] for edge in graph.edges if not edge.dead)


def test_sizes_are_told() -> None:
    details = {named(node): node.detail for node in graph_of(example()).nodes}

    assert details["topic postpaid"] == "6 partitions"
    assert details["topic marketing.dlq"] == "3 partitions"
    assert details["billing billing-authentication"] == "authentication · 2 replicas"
    assert details["sink marketing"] == "1 replica"


def test_removing_a_sink_removes_its_nodes() -> None:
    document = example()
    document["sinks"][0]["thirdParty"]["url"] = "https://marketing.example/messages"
    with_it = graph_of(document)
    del document["sinks"][0]
    without_it = graph_of(document)

    gone = {named(node) for node in with_it.nodes} - {named(node) for node in without_it.nodes}
    assert gone == {"sink marketing", "topic marketing.dlq", "thirdParty marketing.example"}


def test_a_dead_letter_topic_that_somebody_reads_is_a_topic_like_others() -> None:
    document = example()
    document["topics"].append({"name": "marketing.dlq", "partitions": 3})
    document["sinks"].append(a_sink("replay", ["marketing.dlq"]))
    graph = graph_of(document)

    assert "marketing.dlq" in names_of(graph, Kind.TOPIC)
    assert "marketing.dlq" not in names_of(graph, Kind.DEAD_LETTER)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sinks": [a_sink("lost", ["nowhere"])]}, "lost.from: not in spec.topics: nowhere"),
        ({"billing": [a_billing("lost", ["prepaid"], "nowhere")]}, "lost.to: not in spec.topics: nowhere"),
        (
            {"messaging": {"routes": [{"billingType": "Prepaid", "topic": "nowhere"}]}},
            "messaging.routes.topic: not in spec.topics: nowhere",
        ),
        ({"sinks": [a_sink("lost", ["prepaid"], "[::1")]}, "lost.thirdParty.url: names no host"),
        ({"sinks": [a_sink("lost", ["prepaid"], "\0")]}, "lost.thirdParty.url: names no host"),
        (
            {"billing": [a_billing("round", ["prepaid", "marketing"], "marketing")]},
            "billing.to: messages would go in a circle: round → marketing → round",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ResourceError, match=f"^{re.escape(message)}$"):
        graph_of(example() | change)


def test_a_url_shows_its_host_alone() -> None:
    document = example() | {"sinks": [a_sink("marketing", ["marketing"], "user:secret@provider.example:8443")]}

    assert names_of(graph_of(document), Kind.THIRD_PARTY) == {"provider.example"}
    assert "secret" not in svg(graph_of(document)) + mermaid(graph_of(document))


def test_mermaid_says_every_node_and_edge() -> None:
    graph = graph_of(example())
    header, *lines = mermaid(graph).splitlines()
    arrows = [line.split() for line in lines if "->" in line]
    nodes = [line for line in lines if ":::" in line]

    assert header == "flowchart LR"
    assert [arrow == "-.->" for _, arrow, _ in arrows] == [edge.dead for edge in graph.edges]
    assert len(nodes) == len(graph.nodes)
    assert {end for source, _, target in arrows for end in (source, target)} == {
        re.split(r"\W", line.strip())[0] for line in nodes
    }
    assert 'topic4(["postpaid<br/>6 partitions"]):::topic' in mermaid(graph)


def test_mermaid_reads_no_markup_in_names() -> None:
    (label,) = re.findall(r'"(.*)<br/>third party"', mermaid(ODDLY_NAMED))

    assert re.fullmatch(r"([a-h35-]|#\d+;)+", label)
    assert re.sub(r"#(\d+);", lambda code: chr(int(code[1])), label) == ODD.name


def test_svg_is_xml_that_keeps_any_name() -> None:
    root = ElementTree.fromstring(svg(ODDLY_NAMED))

    assert [text.text for text in root.iter(f"{SVG}text")] == [ODD.name, "third party"]


def test_svg_says_the_names_and_needs_nothing_else() -> None:
    text = svg(graph_of(example()))
    root = ElementTree.fromstring(text)
    said = {element.text for element in root.iter(f"{SVG}text")}

    assert root.findtext(f"{SVG}title") == "Message flow (topics: 5, processors: 8, dead letters: 6)"
    assert {"postpaid", "6 partitions", "authentication · 2 replicas", "billing-marketing.dlq"} <= said
    assert set(re.findall(r"url\(.*?\)|href|script|@import|https?:[^\"]*", text)) == {
        "url(#arrow)",
        "http://www.w3.org/2000/svg",
    }


@given(topologies())
@settings(deadline=None, max_examples=50)
def test_nothing_lies_on_something_else(document: dict[str, Any]) -> None:
    picture = layout(graph_of(document))

    assert not [pair for pair in combinations(areas(picture), 2) if overlap(*pair)]
    assert all(box.x >= 0 and box.y >= 0 for box in areas(picture))
    assert all(box.right <= picture.width and box.bottom <= picture.height for box in areas(picture))
    assert len(picture.boxes) + len(
        {chip.topic for chip in picture.chips if chip.topic.kind is Kind.DEAD_LETTER}
    ) == len(graph_of(document).nodes)


@given(topologies())
@settings(deadline=None, max_examples=50)
def test_edges_start_and_end_at_their_boxes_and_pass_between_the_others(document: dict[str, Any]) -> None:
    graph = graph_of(document)
    picture = layout(graph)
    flowing = [edge for edge in graph.edges if not edge.dead]

    for edge, route in zip(flowing, picture.routes, strict=True):
        source, target = picture.boxes[edge.source], picture.boxes[edge.target]
        assert route[0].x == source.right
        assert source.y < route[0].y < source.bottom
        assert route[-1].x == target.x
        assert target.y < route[-1].y < target.bottom
        passages = [Box(start.x, start.y, end.x - start.x, 0) for start, end in list(pairwise(route))[1::2]]
        assert not [passage for passage in passages if any(overlap(passage, box) for box in areas(picture))]


def test_the_example_has_a_picture_without_overlaps() -> None:
    picture = layout(graph_of(example()))

    assert not [pair for pair in combinations(areas(picture), 2) if overlap(*pair)]
    assert len(picture.chips) == 6
    assert picture.width < 1000  # of which a README shows 900: names stay legible


def test_a_chain_is_straight_in_whatever_order_it_is_declared() -> None:
    document = example()
    document["sinks"].reverse()
    document["topics"].reverse()
    boxes = {named(node): box for node, box in layout(graph_of(document)).boxes.items()}

    for domain in ("marketing", "authentication", "agent-flow"):
        chain = (f"billing billing-{domain}", f"topic {domain}", f"sink {domain}")
        assert len({boxes[node].center.y for node in chain}) == 1


def test_dead_letters_are_beneath_their_processor_also_where_processors_share_them() -> None:
    document = example()
    for sink in document["sinks"]:
        sink["deadLetter"] = {"topic": "sinks.dlq"}
    picture = layout(graph_of(document))
    sinks = [chip for chip in picture.chips if chip.topic.name == "sinks.dlq"]

    assert [chip.processor.name for chip in sinks] == ["marketing", "authentication", "agent-flow"]
    for chip in picture.chips:
        above = picture.boxes[chip.processor]
        assert above.bottom < chip.box.y < above.bottom + above.height
        assert chip.box.center.x == above.center.x
