"""A document and its structural schema, walked together; the checks of this package look at one node each."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Node:
    """A value with its schema, its path, and the value it had before, if it is known."""

    schema: Schema
    value: Any
    path: str = ""
    old: Any = None

    def walk(self) -> Iterator["Node"]:
        """This node and all below it that have a schema."""
        yield self
        for child in self._children():
            yield from child.walk()

    def _children(self) -> Iterator["Node"]:
        if isinstance(self.value, dict):
            old = self.old if isinstance(self.old, dict) else {}
            for name, value in self.value.items():
                if schema := self._field_schema(name):
                    yield Node(schema, value, below(self.path, name), old.get(name))
        elif isinstance(self.value, list) and "items" in self.schema:
            for index, value in enumerate(self.value):
                yield Node(self.schema["items"], value, f"{self.path}[{index}]", self._old_item(value))

    def _field_schema(self, name: str) -> Schema | None:
        schema: Schema | None = self.schema.get("properties", {}).get(name, self.schema.get("additionalProperties"))
        return schema

    def _old_item(self, item: object) -> object:
        """Only the items of a map can be told from each other before and after; the place in the list says nothing."""
        if self.schema.get("x-kubernetes-list-type") != "map" or not isinstance(self.old, list):
            return None
        return next((old for old in self.old if self.item_key(old) == self.item_key(item)), None)

    def item_key(self, item: object) -> object:
        """What tells an item of this list from the others."""
        keys = self.schema.get("x-kubernetes-list-map-keys")
        if keys is None or not isinstance(item, dict):
            return item
        return {key: item[key] for key in keys if key in item}


def below(path: str, name: str) -> str:
    """The path of a field."""
    return f"{path}.{name}" if path else name


def as_json(value: object) -> object:
    """What YAML becomes on its way to the API server: `6.0` is an integer, keys and dates are strings."""
    match value:
        case Mapping():
            return {_as_name(key): as_json(child) for key, child in value.items()}
        case list():
            return [as_json(child) for child in value]
        case bool() | None:
            return value
        case int() | float():
            return _as_number(value)
        case _:
            return str(value).encode(errors="replace").decode()  # half of a surrogate pair is no character


def _as_number(value: float) -> float:
    """64 bits hold an integer, or it is a float; of any size, for which Python wants it written out."""
    if isinstance(value, float) and not value.is_integer():
        return value
    return int(value) if int(value) in _INT64 else float(str(value))


def _as_name(key: object) -> str:
    name = as_json(key)
    return name if isinstance(name, str) else json.dumps(name)
