"""Redis, best effort; be-messaging and the sinks call it. The only `redis` import.

Promise: an absent, silent or full Redis costs nothing but speed: the first call that it fails at most `_DEADLINE`, the
next ones no time, until `probe` finds it back. Meanwhile reads find nothing, writes are lost, and health tells. What a
process could not tell it before its own end stays there as it was, until its time is over: nothing that is charged or
sent depends on it.
"""

import json
from collections.abc import Callable, Mapping, Sequence

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from messaging_processors.runtime.health import Health

REDIS = "redis"
_DEADLINE = 0.2

# In Redis itself, so that nobody comes between the look and the write.
_ADVANCE = """
local ranks, known = cjson.decode(ARGV[2]), redis.call('GET', KEYS[1])
if known then
  local readable, object = pcall(cjson.decode, known)
  local rank = readable and type(object) == 'table' and ranks[object[ARGV[3]]]
  if rank and rank >= ranks[cjson.decode(ARGV[1])[ARGV[3]]] then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
return 1
"""


class Cache:
    """Texts by key, each for `ttl` seconds. Thread-safe."""

    def __init__(self, url: str, ttl: float, health: Health) -> None:
        # The client's own retries would stretch one call on a dead Redis to seconds, on a silent one to a minute.
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=_DEADLINE,
            socket_connect_timeout=_DEADLINE,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._ttl_ms = int(ttl * 1000)
        self._health = health
        self._away = False

    def get(self, key: str) -> str | None:
        """The text under `key`; None when there is none or Redis is away."""
        return self.get_all([key])[0]

    def get_all(self, keys: Sequence[str]) -> list[str | None]:
        """The text under each key in one round trip; None where there is none or Redis is away."""
        found: list[str | None] = []
        self._attempt(lambda: found.extend(None if text is None else str(text) for text in self._redis.mget(keys)))
        return found or [None] * len(keys)

    def put(self, key: str, value: str) -> bool:
        """Sets `key`; False when Redis is away."""
        return self._attempt(lambda: self._redis.set(key, value, px=self._ttl_ms))

    def put_absent(self, pairs: Mapping[str, str]) -> bool:
        """Sets those keys in one round trip where there is nothing yet: what was read elsewhere never replaces what is
        newer."""
        pipeline = self._redis.pipeline(transaction=False)
        for key, value in pairs.items():
            pipeline.set(key, value, px=self._ttl_ms, nx=True)
        return self._attempt(pipeline.execute)

    def advance(self, pairs: Mapping[str, str], field: str, ranks: Mapping[str, int]) -> bool:
        """Sets all of `pairs` in one round trip, but never over what is as far; False when Redis is away.

        Values are JSON objects, and `ranks` says how far each value of their `field` is. So the order in which writers
        come does not matter: who is late changes nothing.
        """
        order = json.dumps(ranks)
        pipeline = self._redis.pipeline(transaction=False)
        for key, value in pairs.items():
            pipeline.eval(_ADVANCE, 1, key, value, order, field, self._ttl_ms)
        return self._attempt(pipeline.execute)

    def drop(self, *keys: str) -> bool:
        """Forgets `keys`; False when Redis is away."""
        return self._attempt(lambda: self._redis.delete(*keys))

    def probe(self) -> bool:
        """Whether Redis answers; health is told. To be called every few seconds: nobody else tries one that is away."""
        return self._try(self._redis.ping)

    def close(self) -> None:
        """Ends the connections."""
        self._redis.close()

    def _attempt(self, call: Callable[[], object]) -> bool:
        return not self._away and self._try(call)

    def _try(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except redis.RedisError as error:
            self._away = True
            self._health.away(REDIS, str(error) or type(error).__name__, required=False)
            return False
        self._away = False
        self._health.back(REDIS)
        return True
