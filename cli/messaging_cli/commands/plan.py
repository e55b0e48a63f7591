"""`mtop plan`: what an apply would change, and at which risk."""

from dataclasses import replace

from messaging_cli.errors import CliError
from messaging_cli.local import state
from messaging_cli.local.localized import localized
from messaging_cli.output import Format, Output, emit
from messaging_cli.plan_view import answer, lines
from messaging_cli.planning import check, in_cluster, in_run, pending
from messaging_cli.running import Kafka
from messaging_cli.sources import Document, File, Name, Namespace, Source
from messaging_operator.state import TopologyKey

_PENDING = 2


def plan(
    name: Name = None,
    file: File = None,
    namespace: Namespace = None,
    kafka: Kafka = None,
    output: Output = Format.TABLE,
) -> int:
    """What an apply would change, how risky that is and why; the exit code is 2 where it is anything at all.

    Compares with the local run of that name, if one is up, unless a namespace says that the cluster is meant.
    """
    declared = Source(file, name, namespace).declared()
    check(declared.topology, str(file or name))
    key = _key(declared.topology, namespace)
    run = None if namespace else state.load(key.name)
    if run:
        here = replace(declared, topology=localized(declared.topology, run))
        found = pending(here, key, in_run(run), kafka)
    else:
        found = pending(declared, key, in_cluster(), kafka)
    emit(answer(found), output, lambda: lines(found))
    return _PENDING if found else 0


def _key(document: Document, namespace: str | None) -> TopologyKey:
    """As kubectl has it: the two places that can name the namespace must not disagree."""
    metadata = document["metadata"]
    name, declared = metadata["name"], metadata.get("namespace")
    if namespace and declared and namespace != declared:
        raise CliError(f"{name} is declared for namespace {declared}, not for {namespace}: leave -n out")
    if not (namespace or declared):
        raise CliError(f"{name} is declared for no namespace: -n NAMESPACE says for which")
    return TopologyKey(namespace or declared, name)
