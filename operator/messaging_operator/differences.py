"""Where something that is there differs from what is declared. Pure; `plan` asks whether, `changes` asks what.

What others added to an object does not count, and lists are compared as Kubernetes does: as maps by some key.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Difference:
    """A declared value and what is there in its place; None is nothing."""

    path: Path
    before: object
    after: object


def differences(actual: object, declared: object, path: Path = ()) -> Iterator[Difference]:
    """Every declared value that is not there, as deep down as both sides go."""
    match declared:
        case {**fields} if isinstance(actual, Mapping):
            for name, value in fields.items():
                yield from differences(actual.get(name), value, (*path, str(name)))
        case [{}, *_] if isinstance(actual, list):
            for place, item in enumerate(declared):
                yield from _item_differences(actual, item, (*path, place))
        case _ if actual != declared:
            yield Difference(path, actual, declared)


def _item_differences(actual: Sequence[object], item: object, path: Path) -> Iterator[Difference]:
    """Where an item stands says nothing, and others may have added some."""
    if not any(_holds(there, item) for there in actual):
        namesakes = (there for there in actual if _name(there) == _name(item))
        yield from differences(next(namesakes, None), item, path)


def _holds(actual: object, declared: object) -> bool:
    return next(differences(actual, declared), None) is None


def _name(item: object) -> object:
    return item.get("name") if isinstance(item, Mapping) else None


def spelled(path: Path) -> str:
    """`spec.template.spec.containers[0].image`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).lstrip(".")
