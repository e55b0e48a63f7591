"""Redis in front of the database, for the reads of `accounts` and `messages`."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from messaging_processors.runtime.cache import Cache

K = TypeVar("K")
M = TypeVar("M", bound=BaseModel)


def read_through(
    cache: Cache,
    keys: Mapping[K, str],
    model: type[M],
    load: Callable[[set[K]], Mapping[K, M]],
    lasts: Callable[[M], bool],
) -> dict[K, M]:
    """What Redis holds under `keys` (name → key), and what `load` finds of the others; what is nowhere is left out.

    What `lasts` is put back into Redis, but never over an entry: one that appeared meanwhile is newer than what was
    loaded.
    """
    texts = zip(keys, cache.get_all([*keys.values()]), strict=True)
    held = {name: found for name, text in texts if text and (found := _read(model, text))}
    missing = keys.keys() - held
    loaded = load(missing) if missing else {}
    if lasting := {keys[name]: found.model_dump_json() for name, found in loaded.items() if lasts(found)}:
        cache.put_absent(lasting)
    return held | dict(loaded)


def _read(model: type[M], text: str) -> M | None:
    """None where another version of this program has written it; the database knows better."""
    try:
        return model.model_validate_json(text)
    except ValidationError:
        return None
