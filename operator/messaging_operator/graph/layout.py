"""A graph → where everything is drawn, in pixels. Called by `svg`.

Columns from left to right, every box of a column equally wide. Boxes stand as near to the middle of their neighbours as
their order and the gaps allow, which makes a chain straight. A processor's dead letters are a chip right beneath it, so
that they need no edge across the picture.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean

from messaging_operator.graph.model import Graph, Node
from messaging_operator.graph.ordering import Bend, Columns, Neighbours, Stop, Way, columns, neighbours, ways

NAME_SIZE, DETAIL_SIZE, CHIP_SIZE = 12, 10, 9.5
MARGIN = 14.0
_PADDING = 8.5
_BOX_HEIGHT, _CHIP_HEIGHT = 38.0, 18.0
_CHIP_DROP = 10.0
_GAP = 16.0
_BEND_ROOM = 4.0
_PORT_GAP = 10.0
_SWEEPS = 4
_NARROW, _WIDE, _USUAL = 0.33, 0.86, 0.58
_EM = dict.fromkeys("fijlrtI.,:·-/ ", _NARROW) | dict.fromkeys("mwMW@", _WIDE)


@dataclass(frozen=True)
class Point:
    """On the picture; y grows downwards."""

    x: float
    y: float


@dataclass(frozen=True)
class Box:
    """What a node or a chip takes."""

    x: float
    y: float
    width: float
    height: float

    @property
    def center(self) -> Point:
        """Its middle."""
        return Point(self.x + self.width / 2, self.y + self.height / 2)

    @property
    def right(self) -> float:
        """Its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower side."""
        return self.y + self.height


@dataclass(frozen=True)
class Chip:
    """The dead letters of the processor above."""

    topic: Node
    box: Box
    processor: Node


@dataclass(frozen=True)
class Layout:
    """A route is where an edge leaves and enters the columns: curved between two, straight through one."""

    width: float
    height: float
    boxes: Mapping[Node, Box]
    chips: tuple[Chip, ...]
    routes: tuple[tuple[Point, ...], ...]


def layout(graph: Graph) -> Layout:
    """The same graph is always laid out in the same way."""
    dead = {edge.source: edge.target for edge in graph.edges if edge.dead}
    order, (left, right) = columns(graph), neighbours(graph)
    widths = [_width(column, dead) for column in order]
    starts = _starts(order, widths, right)
    heights = _heights(order, left, right, dead)
    boxes = {
        stop: Box(x, heights[stop] - _above(stop), width, 2 * _above(stop))
        for column, x, width in zip(order, starts, widths, strict=True)
        for stop in column
    }
    chips = tuple(_chip(node, topic, boxes[node]) for node, topic in dead.items())
    return Layout(
        width=starts[-1] + widths[-1] + MARGIN,
        height=max(box.bottom for box in [*boxes.values(), *(chip.box for chip in chips)]) + MARGIN,
        boxes={node: box for node, box in boxes.items() if isinstance(node, Node)},
        chips=chips,
        routes=tuple(_route(way, boxes, left, right) for way in ways(graph)),
    )


def _width(column: Iterable[Stop], dead: Mapping[Node, Node]) -> float:
    """What its longest text needs."""
    texts = [text for stop in column if isinstance(stop, Node) for text in _texts(stop, dead)]
    return max((_text_width(text, size) for text, size in texts), default=0.0) + (2 * _PADDING if texts else 0.0)


def _texts(node: Node, dead: Mapping[Node, Node]) -> list[tuple[str, float]]:
    chip = [(dead[node].name, CHIP_SIZE)] if node in dead else []
    return [(node.name, NAME_SIZE), (node.detail, DETAIL_SIZE), *chip]


def _text_width(text: str, size: float) -> float:
    """A good guess for the usual sans-serif fonts; the padding takes what a wide one needs more."""
    return size * sum(_EM.get(character, _USUAL) for character in text)


def _starts(order: Columns, widths: Sequence[float], right: Neighbours) -> list[float]:
    """Many edges between two columns need room to be told apart."""
    edges = [sum(len(right[stop]) for stop in column) for column in order[:-1]]
    steps = (width + min(20.0 + 4.0 * count, 60.0) for width, count in zip(widths[:-1], edges, strict=True))
    return list(accumulate(steps, initial=MARGIN))


def _above(stop: Stop) -> float:
    return _BEND_ROOM if isinstance(stop, Bend) else _BOX_HEIGHT / 2


def _below(stop: Stop, dead: Mapping[Node, Node]) -> float:
    return _above(stop) + (_CHIP_DROP + _CHIP_HEIGHT if stop in dead else 0.0)


def _heights(order: Columns, left: Neighbours, right: Neighbours, dead: Mapping[Node, Node]) -> dict[Stop, float]:
    """The middle of each, from the top. The last look is to the left: messages come from there."""
    stacks = [(column, _offsets(column, dead)) for column in order]
    found = {stop: y - offsets[-1] / 2 for column, offsets in stacks for stop, y in zip(column, offsets, strict=True)}
    for _ in range(_SWEEPS):
        for column, offsets in reversed(stacks):
            found |= _moved(column, offsets, right, found)
        for column, offsets in stacks:
            found |= _moved(column, offsets, left, found)
    top = min(y - _above(stop) for stop, y in found.items())
    return {stop: round(y - top + MARGIN, 1) for stop, y in found.items()}


def _offsets(column: Sequence[Stop], dead: Mapping[Node, Node]) -> list[float]:
    """How far each must be below the first at least."""
    steps = (_below(upper, dead) + _GAP + _above(lower) for upper, lower in pairwise(column))
    return list(accumulate(steps, initial=0.0))


def _moved(
    column: Sequence[Stop], offsets: Sequence[float], near: Neighbours, found: Mapping[Stop, float]
) -> dict[Stop, float]:
    """As near to the neighbours' mean as the others of the column allow."""
    wanted = [fmean(found[neighbour] for neighbour in near[stop]) if near[stop] else found[stop] for stop in column]
    free = _ascending([y - offset for y, offset in zip(wanted, offsets, strict=True)])
    return {stop: y + offset for stop, y, offset in zip(column, free, offsets, strict=True)}


def _ascending(wanted: Iterable[float]) -> list[float]:
    """The nearest sequence that never falls, by least squares (pool adjacent violators)."""
    pools: list[tuple[float, int]] = []
    for value in wanted:
        mean, size = value, 1
        while pools and pools[-1][0] > mean:
            above, members = pools.pop()
            mean, size = (above * members + mean * size) / (members + size), members + size
        pools.append((mean, size))
    return [mean for mean, size in pools for _ in range(size)]


def _chip(processor: Node, topic: Node, above: Box) -> Chip:
    return Chip(topic, Box(above.x, above.bottom + _CHIP_DROP, above.width, _CHIP_HEIGHT), processor)


def _route(way: Way, boxes: Mapping[Stop, Box], left: Neighbours, right: Neighbours) -> tuple[Point, ...]:
    gaps = (
        (
            Point(boxes[source].right, _port(source, target, right, boxes)),
            Point(boxes[target].x, _port(target, source, left, boxes)),
        )
        for source, target in pairwise(way)
    )
    return tuple(point for gap in gaps for point in gap)


def _port(stop: Stop, other: Stop, near: Neighbours, boxes: Mapping[Stop, Box]) -> float:
    """Each edge has its own place at a box, in the order of where the edges go."""
    ends = sorted(near[stop], key=lambda end: boxes[end].center.y)
    gap = min(_PORT_GAP, (boxes[stop].height - _PORT_GAP) / len(ends))
    return round(boxes[stop].center.y + (ends.index(other) - (len(ends) - 1) / 2) * gap, 1)
