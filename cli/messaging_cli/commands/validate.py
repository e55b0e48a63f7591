"""`mtop validate`: whether the API server would accept a topology, without one."""

from rich.text import Text

from messaging_cli.output import Format, Output, emit
from messaging_cli.sources import Document, File, Name, Namespace, Source
from messaging_cli.validation.topology import violations
from messaging_cli.validation.violation import Violation


def validate(name: Name = None, file: File = None, namespace: Namespace = None, output: Output = Format.TABLE) -> int:
    """Check a topology against the schema and the rules of its resource; works offline."""
    document = Source(file, name, namespace).document()
    found = violations(document)
    emit(_answer(document, found), output, lambda: _lines(document, found))
    return 1 if found else 0


def _answer(document: Document, found: list[Violation]) -> dict[str, object]:
    return {
        "name": _name(document),
        "valid": not found,
        "violations": [{"field": violation.field, "message": violation.message} for violation in found],
    }


def _lines(document: Document, found: list[Violation]) -> Text:
    return Text("\n".join(map(str, found)) or f"{_name(document)}: valid")


def _name(document: Document) -> str:
    """As far as there is one: what is judged may be anything."""
    metadata = document.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""
