"""Whatever is done to a topology, the validator answers."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from messaging_cli.validation.topology import violations
from testkit.topologies import EXAMPLE

Path = tuple[str | int, ...]

TEXTS = st.text(st.characters())
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.dates() | st.binary()


def paths(value: object, above: Path = ()) -> Iterator[Path]:
    """Where something can be changed."""
    children: Any = ()
    if isinstance(value, dict | list):
        children = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in children:
        yield (*above, key)
        yield from paths(child, (*above, key))


def parent(document: dict[str, Any], path: Path) -> Any:  # noqa: ANN401  a dictionary or a list
    found: Any = document
    for key in path[:-1]:
        found = found[key]
    return found


EVERYWHERE = st.sampled_from(list(paths(EXAMPLE)))


def lines_for(document: dict[str, Any]) -> list[str]:
    """Told with and without the example as what it would replace."""
    return [str(violation) for old in (None, EXAMPLE) for violation in violations(document, old)]


@given(path=EVERYWHERE)
def test_a_missing_field_is_no_crash(path: Path) -> None:
    document = copy.deepcopy(EXAMPLE)
    del parent(document, path)[path[-1]]
    assert all(len(line.splitlines()) == 1 for line in lines_for(document))


@settings(max_examples=300, deadline=None)
@given(path=EVERYWHERE, value=SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(TEXTS, SCALARS, max_size=3))
def test_a_value_of_another_type_is_no_crash(path: Path, value: object) -> None:
    document = copy.deepcopy(EXAMPLE)
    parent(document, path)[path[-1]] = value
    assert all(": " in line for line in lines_for(document))
