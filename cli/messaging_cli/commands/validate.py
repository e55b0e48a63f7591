"""`mtop validate`: whether the API server would accept a topology, without one."""

from rich.text import Text

from messaging_cli.output import Format, Output, emit
from messaging_cli.sources import Document, File, Name, Namespace, Source
from messaging_cli.validation.tables import absent_tables, table_faults
from messaging_cli.validation.topology import violations
from messaging_cli.validation.violation import Violation


def validate(name: Name = None, file: File = None, namespace: Namespace = None, output: Output = Format.TABLE) -> int:
    """Check a topology against the schema and the rules of its resource, and the rates beside it; works offline."""
    declared = Source(file, name, namespace).declared()
    found = violations(declared.topology)
    warned = absent_tables(declared) if file and not found else []
    found = found or table_faults(declared)
    emit(_answer(declared.topology, found, warned), output, lambda: _lines(declared.topology, found, warned))
    return 1 if found else 0


def _answer(document: Document, found: list[Violation], warned: list[Violation]) -> dict[str, object]:
    return {
        "name": _name(document),
        "valid": not found,
        "violations": [{"field": violation.field, "message": violation.message} for violation in found],
        "warnings": [{"field": warning.field, "message": warning.message} for warning in warned],
    }


def _lines(document: Document, found: list[Violation], warned: list[Violation]) -> Text:
    """A warning is no fault: what is not in the file may be in the cluster."""
    verdict = map(str, found) if found else [f"{_name(document)}: valid"]
    return Text("\n".join([*verdict, *(f"warning: {warning}" for warning in warned)]))


def _name(document: Document) -> str:
    """As far as there is one: what is judged may be anything."""
    metadata = document.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""
