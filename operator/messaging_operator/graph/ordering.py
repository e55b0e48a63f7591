"""Who stands above whom: the columns of a graph, ordered so that few edges cross. Called by `layout`.

The usual layered drawing (Sugiyama): an edge that passes columns gets a bend in each, then every column is sorted by
the mean place of its neighbours, from the left and from the right, and the order with the fewest crossings is kept.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from messaging_operator.graph.model import Edge, Graph, Node

_SWEEPS = 8


@dataclass(frozen=True)
class Bend:
    """Where an edge passes a column."""

    edge: Edge
    rank: int


Stop = Node | Bend
Way = tuple[Stop, ...]
Columns = tuple[tuple[Stop, ...], ...]
Neighbours = Mapping[Stop, Sequence[Stop]]


def ways(graph: Graph) -> tuple[Way, ...]:
    """Each edge of the flow as its stops, one a column."""
    return tuple(
        (edge.source, *_bends(edge, graph.ranks[edge.source], graph.ranks[edge.target]), edge.target)
        for edge in graph.edges
        if not edge.dead
    )


def neighbours(graph: Graph) -> tuple[Neighbours, Neighbours]:
    """Of every stop, those to its left and those to its right."""
    left: dict[Stop, list[Stop]] = {stop: [] for stop in _stops(graph)}
    right: dict[Stop, list[Stop]] = {stop: [] for stop in left}
    for way in ways(graph):
        for source, target in pairwise(way):
            left[target].append(source)
            right[source].append(target)
    return left, right


def columns(graph: Graph) -> Columns:
    """From the left, each from the top."""
    left, right = neighbours(graph)
    best = order = _as_declared(graph)
    for _ in range(_SWEEPS):
        order = _swept(order, left, right)
        best = min(best, order, key=lambda candidate: _crossings(candidate, right))
    return best


def _bends(edge: Edge, start: int, end: int) -> list[Bend]:
    return [Bend(edge, rank) for rank in range(start + 1, end)]


def _stops(graph: Graph) -> Iterable[Stop]:
    return dict.fromkeys([*graph.ranks, *(stop for way in ways(graph) for stop in way)])


def _as_declared(graph: Graph) -> Columns:
    found: list[list[Stop]] = [[] for _ in range(max(graph.ranks.values()) + 1)]
    for stop in _stops(graph):
        found[stop.rank if isinstance(stop, Bend) else graph.ranks[stop]].append(stop)
    return tuple(map(tuple, found))


def _swept(order: Columns, left: Neighbours, right: Neighbours) -> Columns:
    swept = list(order)
    for rank in range(1, len(swept)):
        swept[rank] = _sorted(swept[rank], left, swept[rank - 1])
    for rank in reversed(range(len(swept) - 1)):
        swept[rank] = _sorted(swept[rank], right, swept[rank + 1])
    return tuple(swept)


def _sorted(column: Sequence[Stop], near: Neighbours, beside: Sequence[Stop]) -> tuple[Stop, ...]:
    """By the mean place of the neighbours beside; who has none stays where it is."""
    place = {stop: index for index, stop in enumerate(beside)}
    means = {
        stop: fmean(place[neighbour] for neighbour in near[stop]) if near[stop] else index
        for index, stop in enumerate(column)
    }
    return tuple(sorted(column, key=means.__getitem__))


def _crossings(order: Columns, right: Neighbours) -> int:
    return sum(_crossings_between(source, target, right) for source, target in pairwise(order))


def _crossings_between(source: Sequence[Stop], target: Sequence[Stop], right: Neighbours) -> int:
    place = {stop: index for index, stop in enumerate(target)}
    total, above = 0, list[int]()
    for stop in source:
        for end in sorted(place[neighbour] for neighbour in right[stop]):
            total += len(above) - bisect_right(above, end)
            insort(above, end)
    return total
