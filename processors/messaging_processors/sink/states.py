"""Tells Redis what became of messages; `loop` calls it. Best effort: it can be late, and never holds anything up."""

from collections.abc import Collection, Iterable
from itertools import islice
from uuid import UUID

from messaging_api.message import MessageState, message_cache_key
from messaging_processors.runtime.cache import Cache
from messaging_processors.sink.rows import Row

_AT_A_TIME = 500
_MOST = 10_000
_RANKS = {state.value: state.rank for state in MessageState}


class States:
    """The states of messages in Redis, where they only move forward. What it could not be told it is told once back."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._untold: dict[str, str] = {}
        self._outdated: dict[str, None] = {}

    def probe(self) -> None:
        """Tells health whether Redis answers."""
        self._cache.probe()

    def close(self) -> None:
        """Tells what is still to be told, if Redis hears it now, and ends the connections."""
        self.tell()
        self._cache.close()

    def tell(self, rows: Iterable[Row] = (), replayed: Collection[UUID] = ()) -> None:
        """Tells these and what is still to be told; call it now and then with nothing.

        Of messages that were `replayed` Redis may know an end that is none any more: it is forgotten first.
        """
        for row in rows:
            key = message_cache_key(row.tenant, row.view.id)
            self._untold[key] = row.view.model_dump_json()
            if row.view.id in replayed:
                self._outdated[key] = None
        _shorten(self._untold)
        _shorten(self._outdated)
        if self._forgotten():
            self._tell_untold()

    def _forgotten(self) -> bool:
        if not self._outdated or self._cache.drop(*self._outdated):
            self._outdated.clear()
        return not self._outdated

    def _tell_untold(self) -> None:
        while self._untold:
            some = dict(islice(self._untold.items(), _AT_A_TIME))
            if not self._cache.advance(some, "state", _RANKS):
                return
            for key in some:
                del self._untold[key]


def _shorten(waiting: dict[str, object] | dict[str, str] | dict[str, None]) -> None:
    """Keeps the newest: Redis forgets the others by itself."""
    for key in list(islice(waiting, max(0, len(waiting) - _MOST))):
        del waiting[key]
