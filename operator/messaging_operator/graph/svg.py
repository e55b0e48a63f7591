"""A topology's graph → a picture: SVG text that needs nothing else, readable on light and on dark pages.

Called by the command line's `graph`. Pure; the same graph is always the same text.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from messaging_operator.graph.layout import CHIP_SIZE, DETAIL_SIZE, NAME_SIZE, Box, Chip, Layout, Point, layout
from messaging_operator.graph.model import Graph, Kind, Node
from messaging_operator.graph.palette import DARK, LIGHT, Colors

_FONTS = '-apple-system, "Segoe UI", Helvetica, Arial, "Noto Sans", "DejaVu Sans Condensed", sans-serif'
_STYLE = f"""
text {{ font-family: {_FONTS}; text-anchor: middle }}
.name {{ font-size: {NAME_SIZE}px; font-weight: 600 }}
.detail {{ font-size: {DETAIL_SIZE}px; opacity: 0.85 }}
.chip {{ font-size: {CHIP_SIZE}px }}
.edge {{ fill: none; stroke-width: 1.3 }}
.dead {{ stroke-width: 1.3; stroke-dasharray: 2 2 }}
.deadLetter rect {{ stroke-dasharray: 3 2 }}
"""
# How far a curve goes straight on at its ends: little, so that edges that cross do it at an angle.
_REACH = 0.4


def svg(graph: Graph) -> str:
    """Ends with a newline."""
    picture = layout(graph)
    size = {"width": _number(picture.width), "height": _number(picture.height)}
    box = f"0 0 {size['width']} {size['height']}"
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": box, **size, "role": "img"})
    SubElement(root, "title").text = _title(graph)
    SubElement(root, "style").text = _stylesheet()
    _arrowhead(SubElement(root, "defs"))
    SubElement(root, "rect", {"class": "page", "rx": "8", **size})
    _draw(root, picture)
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _title(graph: Graph) -> str:
    """For those who hear the picture."""
    kinds = Counter(node.kind for node in graph.nodes)
    processors = sum(kinds[kind] for kind in (Kind.GATEWAY, Kind.MESSAGING, Kind.BILLING, Kind.SINK))
    return (
        f"Message flow (topics: {kinds[Kind.TOPIC]}, processors: {processors}, dead letters: {kinds[Kind.DEAD_LETTER]})"
    )


def _stylesheet() -> str:
    dark = _colors("#0d1117", "#30363d", "#8b949e", DARK)
    light = _colors("#ffffff", "#d0d7de", "#6e7781", LIGHT)
    return f"{_STYLE}{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n"


def _colors(page: str, border: str, edge: str, kinds: Mapping[Kind, Colors]) -> str:
    rules = [
        f".page {{ fill: {page}; stroke: {border} }}",
        f".edge {{ stroke: {edge} }} .arrow {{ fill: {edge} }}",
        f".dead {{ stroke: {kinds[Kind.DEAD_LETTER].stroke} }}",
        *(
            f".{kind} rect {{ fill: {colors.fill}; stroke: {colors.stroke} }} .{kind} text {{ fill: {colors.text} }}"
            for kind, colors in kinds.items()
        ),
    ]
    return "".join(f"{rule}\n" for rule in rules)


def _arrowhead(definitions: Element) -> None:
    shape = {"id": "arrow", "viewBox": "0 0 8 8", "refX": "8", "refY": "4", "markerWidth": "5", "markerHeight": "5"}
    marker = SubElement(definitions, "marker", {**shape, "orient": "auto"})
    SubElement(marker, "path", {"class": "arrow", "d": "M0,0 L8,4 L0,8 z"})


def _draw(root: Element, picture: Layout) -> None:
    """Boxes last: they lie on the edges."""
    for route in picture.routes:
        SubElement(root, "path", {"class": "edge", "d": _path(route), "marker-end": "url(#arrow)"})
    for chip in picture.chips:
        _draw_chip(root, chip, picture.boxes[chip.processor])
    for node, box in picture.boxes.items():
        group = _group(root, node, box, "14" if node.kind is Kind.TOPIC else "5")
        _text(group, "name", node.name, Point(box.center.x, box.center.y - 2))
        _text(group, "detail", node.detail, Point(box.center.x, box.center.y + 11))


def _draw_chip(root: Element, chip: Chip, above: Box) -> None:
    x = _number(chip.box.center.x)
    SubElement(root, "path", {"class": "dead", "d": f"M{x},{_number(above.bottom)} V{_number(chip.box.y)}"})
    group = _group(root, replace(chip.topic, kind=Kind.DEAD_LETTER), chip.box, "9")
    _text(group, "chip", chip.topic.name, Point(chip.box.center.x, chip.box.center.y + 3.5))


def _group(root: Element, node: Node, box: Box, radius: str) -> Element:
    group = SubElement(root, "g", {"class": node.kind})
    SubElement(group, "title").text = f"{node.name}: {node.detail}"
    corner = {"x": _number(box.x), "y": _number(box.y), "rx": radius}
    SubElement(group, "rect", {**corner, "width": _number(box.width), "height": _number(box.height)})
    return group


def _text(group: Element, style: str, text: str, at: Point) -> None:
    SubElement(group, "text", {"class": style, "x": _number(at.x), "y": _number(at.y)}).text = text


def _path(route: tuple[Point, ...]) -> str:
    """Curved between columns, straight through one."""
    start, *_ = route
    steps = [_step(source, target, curved=not index % 2) for index, (source, target) in enumerate(pairwise(route))]
    return " ".join([f"M{_point(start)}", *steps])


def _step(source: Point, target: Point, curved: bool) -> str:
    if not curved or source.y == target.y:
        return f"L{_point(target)}"
    reach = (target.x - source.x) * _REACH
    return f"C{_point(Point(source.x + reach, source.y))} {_point(Point(target.x - reach, target.y))} {_point(target)}"


def _point(at: Point) -> str:
    return f"{_number(at.x)},{_number(at.y)}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
