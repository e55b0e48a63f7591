"""What an apply of a topology would change: the operator's own desired → observe → plan, and nothing applied.

The command `plan` calls it. Nothing is written, neither to Kafka nor to the cluster; raises `CliError`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from messaging_api.plan import Change
from messaging_api.processor import Readiness
from messaging_api.status import Reason, TopologyStatus
from messaging_cli.errors import CliError
from messaging_cli.local.recorded import RecordedRun
from messaging_cli.local.state import LocalRun
from messaging_cli.sources import Declared, Document
from messaging_cli.validation.topology import violations
from messaging_operator.changes import changes
from messaging_operator.clients import kafka
from messaging_operator.desired.topology import desired
from messaging_operator.desired.workloads import CONTAINER
from messaging_operator.errors import ClusterError, Problem, ResourceError
from messaging_operator.plan import plan
from messaging_operator.rates import Find, rate_tables
from messaging_operator.reconcile import Clients, observe, owner_of, spec_of
from messaging_operator.state import (
    COMPONENT_LABEL,
    Desired,
    Manifest,
    ObjectKey,
    Owner,
    ProcessorImages,
    TopicStates,
    TopologyKey,
)


@dataclass(frozen=True)
class Pending:
    """What an apply would do, and what it would leave as it is although the topology says otherwise."""

    changes: tuple[Change, ...]
    refused: tuple[Problem, ...]

    def __bool__(self) -> bool:
        return bool(self.changes or self.refused)


def in_run(run: LocalRun) -> Clients:
    """The world of a run on this machine."""
    return Clients(RecordedRun(run), kafka.connect, _ask_nobody)


def in_cluster() -> Clients:
    """The world that kubectl talks to."""
    from messaging_operator.clients.kube import Cluster  # its client library is large: only for those who need it

    with _told():
        return Clients(Cluster.connect(), kafka.connect, _ask_nobody)


def pending(declared: Declared, key: TopologyKey, clients: Clients, kafka_address: str | None) -> Pending:
    """Compares what is declared with what runs under that name, if anything does; Kafka is asked where it says."""
    with _told():
        live = clients.cluster.topology(key)
        if live and "deletionTimestamp" in live["metadata"]:
            raise CliError(f"{key.name} in namespace {key.namespace} is being deleted: apply again when it is gone")
        check(declared.topology, key.name, live)
        spec = spec_of(declared.topology)
        owner = owner_of(key, live) if live else Owner(key, uid="", generation=1, status=TopologyStatus())
        images = running_images(clients.cluster.children(key).values())
        wanted = desired(owner, spec, images, rate_tables(spec, _finder(declared, key, clients)))
        topics = _topics(wanted, clients, kafka_address or spec.kafka.bootstrap_servers)
        observed = observe(owner, wanted, topics, clients)
        todo = plan(wanted, observed)
        return Pending(changes(todo, observed), todo.problems)


def _finder(declared: Declared, key: TopologyKey, clients: Clients) -> Find:
    """An apply of the file would bring its ConfigMaps along."""

    def find(wanted: ObjectKey) -> Manifest | None:
        beside = declared.config_maps.get(wanted.name) if wanted.kind == "ConfigMap" else None
        return beside or clients.cluster.child(key.namespace, wanted)

    return find


def check(document: Document, source: str, live: Document | None = None) -> None:
    """What the API server would refuse, told without it; `live` is what the document would replace."""
    if found := violations(document, live):
        more = f" (and {len(found) - 1} more: mtop validate lists them)" if len(found) > 1 else ""
        raise CliError(f"{source}: {found[0]}{more}")


def running_images(objects: Iterable[Manifest]) -> ProcessorImages:
    """What runs now, as only the operator knows its images; where Deployments of a kind differ, what most run."""
    containers = [
        (item["metadata"].get("labels", {}).get(COMPONENT_LABEL), container)
        for item in objects
        if item["kind"] == "Deployment"
        for container in item["spec"]["template"]["spec"]["containers"]
        if container["name"] == CONTAINER
    ]

    def image(*kinds: str) -> str:
        return _most_common(container["image"] for kind, container in containers if kind in kinds)

    policy = _most_common(container["imagePullPolicy"] for _, container in containers)
    return ProcessorImages(image("gateway", "messaging"), image("billing"), image("sink"), policy)


def _most_common(values: Iterable[str]) -> str:
    return next((value for value, _ in Counter(values).most_common(1)), "")


def _topics(wanted: Desired, clients: Clients, address: str) -> TopicStates:
    found = clients.kafka(address).topics([topic.name for topic in wanted.topics])
    if not isinstance(found, Problem):
        return found
    if found.reason is Reason.KAFKA_UNREACHABLE:
        raise CliError(f"Kafka at {address} does not answer from here: --kafka HOST:PORT names one that does")
    raise CliError(found.message)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ClusterError as error:
        message = " ".join(str(error).split())
        raise CliError(f"the cluster: {message}; kubectl cluster-info says whether it answers") from error
    except ResourceError as error:
        raise CliError(str(error)) from error


def _ask_nobody(_addresses: Collection[str]) -> Mapping[str, Readiness]:
    """How pods are does not matter to a plan."""
    return {}
