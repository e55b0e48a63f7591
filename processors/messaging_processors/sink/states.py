"""Tells Redis what became of messages; `main` calls it. Best effort: it can be late, and never holds anything up."""

from collections.abc import Mapping
from itertools import islice
from uuid import UUID

from messaging_api.message import MessageState, MessageView, message_cache_key
from messaging_processors.runtime.cache import Cache

_AT_A_TIME = 500
_MOST = 10_000


class States:
    """The states of messages in Redis. What it could not be told it is told once back."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._untold: dict[str, str] = {}

    def probe(self) -> None:
        """Tells health whether Redis answers."""
        self._cache.probe()

    def close(self) -> None:
        """Tells what is still to be told, if Redis hears it now, and ends the connections."""
        self.tell({})
        self._cache.close()

    def tell(self, states: Mapping[UUID, MessageState]) -> None:
        """Tells these and what is still to be told; call it now and then with nothing."""
        for message_id, state in states.items():
            self._untold[message_cache_key(message_id)] = MessageView(id=message_id, state=state).model_dump_json()
        while self._untold:
            some = dict(islice(self._untold.items(), _AT_A_TIME))
            if not self._cache.put_many(some):
                break
            for key in some:
                del self._untold[key]
        for key in list(islice(self._untold, max(0, len(self._untold) - _MOST))):
            del self._untold[key]
