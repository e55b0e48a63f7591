"""A topology's graph → a Mermaid flowchart, the text that GitHub and most wikis render.

Called by the command line's `graph`. Pure; the same graph is always the same text.
"""

import re

from messaging_operator.graph.model import Edge, Graph, Kind, Node
from messaging_operator.graph.palette import LIGHT, Colors

_SHAPES = {
    Kind.CLIENT: '(["{}"])',
    Kind.TOPIC: '(["{}"])',
    Kind.DEAD_LETTER: '(["{}"])',
    Kind.STORE: '[("{}")]',
    Kind.THIRD_PARTY: '{{{{"{}"}}}}',
}
_PROCESSOR = '["{}"]'
# Mermaid reads Markdown and HTML in a label, and an underscore can be emphasis.
_MARKUP = re.compile(r"[^\w .:·-]|_")


def mermaid(graph: Graph) -> str:
    """Ends with a newline."""
    names = {node: f"{node.kind}{number}" for number, node in enumerate(graph.nodes, 1)}
    lines = [
        *(_declaration(names[node], node) for node in graph.nodes),
        *(_arrow(names[edge.source], names[edge.target], edge) for edge in graph.edges),
        *(_style(kind, colors) for kind, colors in LIGHT.items()),
    ]
    return "flowchart LR\n" + "".join(f"  {line}\n" for line in lines)


def _declaration(name: str, node: Node) -> str:
    label = f"{_escaped(node.name)}<br/>{_escaped(node.detail)}"
    return f"{name}{_SHAPES.get(node.kind, _PROCESSOR).format(label)}:::{node.kind}"


def _arrow(source: str, target: str, edge: Edge) -> str:
    return f"{source} {'-.->' if edge.dead else '-->'} {target}"


def _style(kind: Kind, colors: Colors) -> str:
    """The text's colour too: the page around may be dark, and the boxes stay light."""
    dashes = ",stroke-dasharray:3 3" if kind is Kind.DEAD_LETTER else ""
    return f"classDef {kind} fill:{colors.fill},stroke:{colors.stroke},color:{colors.text}{dashes}"


def _escaped(text: str) -> str:
    return _MARKUP.sub(lambda character: f"#{ord(character[0])};", text)
