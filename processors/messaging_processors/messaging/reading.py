"""Redis in front of the database, for the reads of `accounts` and `messages`."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from messaging_processors.runtime.cache import Cache

M = TypeVar("M", bound=BaseModel)


def read_through(
    cache: Cache, key: str, model: type[M], load: Callable[[], M | None], lasts: Callable[[M], bool]
) -> M | None:
    """What Redis holds under `key`, or else what `load` finds.

    What `lasts` is put back into Redis, but never over an entry: one that appeared meanwhile is newer than what was
    loaded.
    """
    text = cache.get(key)
    try:
        if text:
            return model.model_validate_json(text)
    except ValidationError:  # written by another version of this program; the database knows better
        pass
    loaded = load()
    if loaded and lasts(loaded):
        cache.put_absent(key, loaded.model_dump_json())
    return loaded
