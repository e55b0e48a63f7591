"""A Redis that is not there: best effort, and not tried again for every record."""

from messaging_processors.runtime.cache import REDIS, Cache
from messaging_processors.runtime.health import Health


def test_a_redis_that_is_away_raises_nothing_and_is_left_alone_until_it_is_probed() -> None:
    health = Health()
    health.started()
    cache = Cache("redis://127.0.0.1:1/0", 60, health)
    assert cache.get("key") is None
    assert REDIS in health.readiness().away
    assert health.readiness().ready
    health.back(REDIS)
    assert not cache.put("key", "value")
    assert not cache.advance({"key": "{}"}, "state", {})
    assert REDIS not in health.readiness().away, "it was tried again"
    assert not cache.probe()
    assert REDIS in health.readiness().away
