"""`mtop graph`: a topology as a picture, drawn from what it declares; nothing has to run."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated

import typer

from messaging_cli.errors import CliError
from messaging_cli.sources import Document, File, Name, Namespace, Source, spec_of
from messaging_operator.errors import ResourceError
from messaging_operator.graph.mermaid import mermaid
from messaging_operator.graph.model import Graph, topology_graph
from messaging_operator.graph.svg import svg


class Picture(StrEnum):
    """How to draw."""

    MERMAID = "mermaid"
    SVG = "svg"


_DRAWING: Mapping[Picture, Callable[[Graph], str]] = {Picture.MERMAID: mermaid, Picture.SVG: svg}


def graph(
    name: Name = None,
    file: File = None,
    namespace: Namespace = None,
    output: Annotated[Picture, typer.Option("--output", "-o", help="How to draw.")] = Picture.MERMAID,
) -> None:
    """Draw a topology: partitions, replicas, where messages go and where dead letters end."""
    document = Source(file, name, namespace).declared().topology
    print(_DRAWING[output](_graph(document, str(file or name))), end="")


def _graph(document: Document, source: str) -> Graph:
    try:
        return topology_graph(spec_of(document, source))
    except ResourceError as error:
        raise CliError(f"{source}: spec: {error}") from error
