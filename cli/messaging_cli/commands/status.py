"""`mtop status`: how a topology is, once or live: topics with rate and lag, processors with what they wait for."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Annotated

import typer
from rich.live import Live

from messaging_cli.errors import CliError
from messaging_cli.observing.gathering import Gatherer, LocalWorld, World
from messaging_cli.observing.rendering import answer, picture
from messaging_cli.observing.snapshot import Rates, Snapshot, rates
from messaging_cli.output import Format, Output, console, emit
from messaging_cli.running import Kafka, Name
from messaging_cli.sources import Namespace
from messaging_operator.state import TopologyKey

_SECONDS = 1.0
Moment = tuple[Snapshot, Rates]


def status(
    name: Name,
    namespace: Namespace = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Goes on until Ctrl-C.")] = False,
    kafka: Kafka = None,
    output: Output = Format.TABLE,
) -> None:
    """Topics with their rate and lag, processors with theirs and what they wait for."""
    if watch and output is not Format.TABLE:
        raise CliError(f"--watch shows a table: leave out --watch, or --output {output.value}")
    moments = _moments(Gatherer(_world(name, namespace, kafka)).snapshot)
    if watch:
        _show(moments)
    else:
        found = next(moments)
        emit(answer(*found), output, lambda: picture(*found))


def _world(name: str, namespace: str | None, kafka: str | None) -> World:
    if namespace is None:
        return LocalWorld(name, kafka)
    from messaging_cli.observing.cluster import ClusterWorld  # its client library is large: only where it is needed

    return ClusterWorld(TopologyKey(namespace, name), kafka)


def _moments(snapshot: Callable[[], Snapshot]) -> Iterator[Moment]:
    """A rate takes two snapshots."""
    for before, after in pairwise(_every_second(snapshot)):
        yield after, rates(before, after)


def _every_second(snapshot: Callable[[], Snapshot]) -> Iterator[Snapshot]:
    while True:
        yield snapshot()
        time.sleep(_SECONDS)


def _show(moments: Iterator[Moment]) -> None:
    with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        for moment in moments:
            live.update(picture(*moment), refresh=True)
