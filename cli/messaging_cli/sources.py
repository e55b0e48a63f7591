"""Where a topology comes from: a file, or the cluster that kubectl talks to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError

from messaging_api.base import API_VERSION, KIND
from messaging_api.topology import TopologySpec
from messaging_cli.errors import CliError

Document = Mapping[str, Any]
"""A MessagingTopology as JSON."""

File = Annotated[Path | None, typer.Option("--file", "-f", help="A file with one MessagingTopology.")]
Name = Annotated[str | None, typer.Argument(help="The topology's name; see --namespace.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Look for NAME in the cluster, here.")]


@dataclass(frozen=True)
class Source:
    """What a command was told: `-f FILE`, or `NAME -n NAMESPACE`."""

    file: Path | None = None
    name: str | None = None
    namespace: str | None = None

    def document(self) -> Document:
        """The resource; raises `CliError` where there is none."""
        if self.file:
            return read_file(self.file)
        if self.name and self.namespace:
            return read_cluster(self.namespace, self.name)
        raise CliError("name a topology: -f FILE, or NAME -n NAMESPACE")


def read_file(path: Path) -> Document:
    """The one MessagingTopology of a YAML file."""
    try:
        documents = [document for document in yaml.safe_load_all(path.read_text()) if document is not None]
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CliError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if len(documents) != 1 or not isinstance(documents[0], Mapping):
        raise CliError(f"{path}: expected one {KIND}, found {len(documents)} documents")
    (document,) = documents
    if (document.get("apiVersion"), document.get("kind")) != (API_VERSION, KIND):
        found = f"{document.get('apiVersion')} {document.get('kind')}"
        raise CliError(f"{path}: expected {API_VERSION} {KIND}, found {found}")
    return dict(document)


def spec_of(document: Document, source: str) -> TopologySpec:
    """What the document declares; raises `CliError` that names `source` and the first field that is wrong."""
    try:
        return TopologySpec.model_validate(document.get("spec"))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(map(str, ("spec", *fault["loc"])))
        raise CliError(f"{source}: {field}: {fault['msg']}; mtop validate says more") from error


def read_cluster(namespace: str, name: str) -> Document:
    """The resource as the API server has it."""
    from messaging_operator.clients.kube import Cluster  # its client library is large: only for those who need it
    from messaging_operator.errors import ClusterError
    from messaging_operator.state import TopologyKey

    try:
        found = Cluster.connect().topology(TopologyKey(namespace, name))
    except ClusterError as error:
        raise CliError(f"the API server: {error}") from error
    if found is None:
        raise CliError(f"no {KIND} {name} in namespace {namespace}: kubectl get mtop -A lists them")
    return found
