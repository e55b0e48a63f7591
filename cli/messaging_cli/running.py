"""A topology that runs, by its name: on this machine, or in a cluster where a namespace is given.

`dlq` and `status` start here. Promise: the same answers for both, or a `CliError` that says what to do.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from messaging_api.processor import BillingConfig, SinkConfig
from messaging_api.status import TopologyStatus
from messaging_api.topology import TopologySpec
from messaging_cli.errors import CliError
from messaging_cli.local import state
from messaging_cli.sources import Document, read_cluster, spec_of
from messaging_operator.clients.processes import STATUS_FILE
from messaging_operator.desired.processors import desired_processors
from messaging_operator.errors import ResourceError
from messaging_operator.state import ProcessorImages, TopologyKey

_NO_IMAGES = ProcessorImages("", "", "", "")

Name = Annotated[str, typer.Argument(help="The topology's name.")]
Kafka = Annotated[str | None, typer.Option("--kafka", help="host:port, where the topology's own is not reachable.")]


@dataclass(frozen=True)
class Running:
    """The resource, and where its Kafka answers from here."""

    key: TopologyKey
    document: Document
    kafka: str

    @cached_property
    def spec(self) -> TopologySpec:
        """What is declared."""
        return spec_of(self.document, self.key.name)

    @property
    def status(self) -> TopologyStatus:
        """What the operator says; empty before it has said anything, or where another version said it."""
        try:
            return TopologyStatus.model_validate(self.document.get("status") or {})
        except ValidationError:
            return TopologyStatus()

    @cached_property
    def readers(self) -> Mapping[str, BillingConfig | SinkConfig]:
        """The processors that read topics and have dead letters, by name; without their tables of rates."""
        try:
            processors = desired_processors(self.key, self.spec, _NO_IMAGES, {})
        except ResourceError as error:
            raise CliError(f"{self.key.name}: {error}") from error
        configs = [processor.config for processor in processors]
        return {config.processor: config for config in configs if isinstance(config, BillingConfig | SinkConfig)}

    def reader(self, processor: str) -> BillingConfig | SinkConfig:
        """That one of them."""
        if found := self.readers.get(processor):
            return found
        raise CliError(f"{self.key.name} has no dead letters of {processor!r}, only of {', '.join(self.readers)}")


def find(name: str, namespace: str | None, kafka: str | None) -> Running:
    """In the cluster where a namespace is given, on this machine otherwise."""
    if namespace:
        document = read_cluster(namespace, name)
        key = TopologyKey(namespace, name)
        return Running(key, document, kafka or spec_of(document, name).kafka.bootstrap_servers)
    run = state.load(name)
    if run is None:
        here = ", ".join(run.topology for run in state.running()) or "nothing"
        raise CliError(
            f"{name} does not run here ({here} does): mtop up FILE starts it, -n NAMESPACE looks in a cluster"
        )
    return Running(TopologyKey(run.namespace, name), read_status(run.folder), kafka or run.kafka)


def read_status(folder: Path) -> Document:
    """The resource of a local run, as its reconciler has left it."""
    try:
        document: Document = json.loads((folder / STATUS_FILE).read_text())
    except FileNotFoundError as error:
        raise CliError(f"{folder.name} is not up yet: try again when mtop up says that it is") from error
    return document
