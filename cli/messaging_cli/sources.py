"""Where a topology comes from: a file, or the cluster that kubectl talks to.

A file may hold, beside its one MessagingTopology, the ConfigMaps with the rates that its tariffs refer to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeGuard

import typer
import yaml
from pydantic import ValidationError

from messaging_api.base import API_VERSION, KIND
from messaging_api.topology import TopologySpec
from messaging_cli.errors import CliError

Document = Mapping[str, Any]
"""A Kubernetes object as JSON, a MessagingTopology unless it is said otherwise."""

File = Annotated[
    Path | None, typer.Option("--file", "-f", help="A file with one MessagingTopology, and ConfigMaps of its rates.")
]
Name = Annotated[str | None, typer.Argument(help="The topology's name; see --namespace.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Look for NAME in the cluster, here.")]


@dataclass(frozen=True)
class Declared:
    """A topology, and the ConfigMaps that stand beside it, by name; those of other namespaces are none of its."""

    topology: Document
    config_maps: Mapping[str, Document] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """What a command was told: `-f FILE`, or `NAME -n NAMESPACE`."""

    file: Path | None = None
    name: str | None = None
    namespace: str | None = None

    def declared(self) -> Declared:
        """The resource, and what its file says besides; raises `CliError` where there is none."""
        if self.file:
            return read_file(self.file)
        if self.name and self.namespace:
            return Declared(read_cluster(self.namespace, self.name))
        raise CliError("name a topology: -f FILE, or NAME -n NAMESPACE")


class _Loader(yaml.SafeLoader):
    """Times stay text, as they do on their way to the API server."""


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _text)


def read_file(path: Path) -> Declared:
    """What a YAML file holds: one MessagingTopology, and any number of ConfigMaps."""
    documents = _documents(path)
    config_maps = [document for document in documents if _is_config_map(document)]
    topology = _topology(path, [document for document in documents if not _is_config_map(document)] or config_maps)
    metadata = topology.get("metadata")
    namespace = metadata.get("namespace") if isinstance(metadata, Mapping) else None
    ours = [found for found in config_maps if found["metadata"].get("namespace") in (None, namespace)]
    return Declared(topology, {found["metadata"].get("name"): found for found in ours})


def _is_config_map(document: object) -> TypeGuard[Document]:
    match document:
        case {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**_metadata}}:
            return True
    return False


def _documents(path: Path) -> list[Any]:
    try:
        loaded = yaml.load_all(path.read_text(), _Loader)
        return [document for document in loaded if document is not None]
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CliError(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def _topology(path: Path, documents: Sequence[Any]) -> Document:
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
