"""What a structural schema says about one value: the API server's checks before any rule runs.

Called for every node of a document; pure. It knows the words that the generated schema uses, not all of OpenAPI.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date

from messaging_cli.validation import violation
from messaging_cli.validation.cel import matches
from messaging_cli.validation.node import Node, below
from messaging_cli.validation.violation import Violation

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def breaches(node: Node) -> Iterator[Violation]:
    """Everything that is wrong with the value itself; its children are nodes of their own."""
    yield from _type(node)
    yield from _enum(node)
    if check := _CHECKS.get(type(node.value)):
        yield from check(node)


def _type(node: Node) -> Iterator[Violation]:
    expected, found = node.schema.get("type"), _TYPES.get(type(node.value), "null")
    absent = node.value is None and node.schema.get("nullable", False)
    if expected not in (None, found) and (expected, found) != ("number", "integer") and not absent:
        yield violation.wrong_type(node.path, expected, found)


def _enum(node: Node) -> Iterator[Violation]:
    supported = node.schema.get("enum")
    if supported and node.value not in supported:
        yield violation.unsupported(node.path, node.value, supported)


def _fields(node: Node) -> Iterator[Violation]:
    properties = node.schema.get("properties", {})
    if not (node.schema.get("additionalProperties") or node.schema.get("x-kubernetes-preserve-unknown-fields")):
        yield from (violation.unknown(below(node.path, name)) for name in node.value if name not in properties)
    for name in node.schema.get("required", ()):
        if name not in node.value:
            yield violation.required(below(node.path, name))
    yield from _size(node, "Properties", "properties")


def _items(node: Node) -> Iterator[Violation]:
    yield from _size(node, "Items", "items")
    kind = node.schema.get("x-kubernetes-list-type")
    strangers = [index for index, item in enumerate(node.value) if not isinstance(item, dict | None)]
    if kind == "map" and strangers:
        yield violation.no_map_item(f"{node.path}[{strangers[0]}]", node.value[strangers[0]])
    elif kind in ("map", "set"):
        yield from _duplicates(node)


def _duplicates(node: Node) -> Iterator[Violation]:
    """A key is told once, where it appears again."""
    seen: Counter[str] = Counter()
    for index, key in enumerate(map(node.item_key, node.value)):
        text = json.dumps(key, sort_keys=True)
        seen[text] += 1
        if seen[text] == 2:
            yield violation.duplicate(f"{node.path}[{index}]", key)


def _size(node: Node, word: str, things: str) -> Iterator[Violation]:
    size = len(node.value)
    least, most = node.schema.get(f"min{word}", 0), node.schema.get(f"max{word}", size)
    if size < least:
        yield violation.out_of_bounds(node.path, size, f"have at least {least} {things}")
    if size > most:
        yield violation.too_many(node.path, size, most)


def _text(node: Node) -> Iterator[Violation]:
    """The first fault only: what is too long is not measured by its pattern, too."""
    least, most = node.schema.get("minLength", 0), node.schema.get("maxLength")
    pattern, form = node.schema.get("pattern"), node.schema.get("format")
    if most is not None and len(node.value) > most:
        yield violation.too_long(node.path, most)
    elif len(node.value) < least:
        yield violation.out_of_bounds(node.path, node.value, f"be at least {least} chars long")
    elif pattern and not matches(node.value, pattern):
        yield violation.out_of_bounds(node.path, node.value, f"match '{pattern}'")
    elif form == "date-time" and not _is_date_time(node.value):
        yield violation.wrong_type(node.path, form, node.value)


def _is_date_time(text: str) -> bool:
    """As the API server sees it (go-openapi's strfmt); the times that Python reads beyond RFC 3339 are none to it."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", text, re.ASCII):
        return False
    try:
        date.fromisoformat(text[:10])
        return text[11:13] <= "23" and text[14:16] <= "59" and text[17:19] <= "59"
    except ValueError:
        return False


def _number(node: Node) -> Iterator[Violation]:
    least, most = node.schema.get("minimum"), node.schema.get("maximum")
    if most is not None and node.value > most:
        yield violation.out_of_bounds(node.path, node.value, f"be less than or equal to {most}")
    if least is not None and node.value < least:
        yield violation.out_of_bounds(node.path, node.value, f"be greater than or equal to {least}")


_CHECKS: dict[type, Callable[[Node], Iterator[Violation]]] = {
    dict: _fields,
    list: _items,
    str: _text,
    int: _number,
    float: _number,
}
