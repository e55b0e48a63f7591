"""A real Redis: who is late never restores what is over."""

import json
from itertools import permutations
from threading import Barrier, Thread
from uuid import uuid4

import pytest
import redis

from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.health import Health
from testkit.waiting import eventually

RANKS = {"charged": 1, "sent": 2, "expired": 2, "delivered": 3}


@pytest.fixture
def cache(redis_url: str) -> Cache:
    return Cache(redis_url, 60, Health())


def value(state: str) -> str:
    return json.dumps({"state": state})


def advance(cache: Cache, key: str, state: str) -> str:
    """What is there afterwards."""
    assert cache.advance({key: value(state)}, "state", RANKS)
    return str(json.loads(cache.get(key) or "{}")["state"])


@pytest.mark.parametrize("order", [*permutations(["charged", "sent", "delivered"])])
def test_whatever_the_order_of_writers_the_furthest_stays(cache: Cache, order: tuple[str, ...]) -> None:
    key = uuid4().hex
    for state in order:
        known = advance(cache, key, state)
    assert known == "delivered"


def test_of_two_that_are_as_far_the_first_stays(cache: Cache) -> None:
    key = uuid4().hex
    assert [advance(cache, key, "sent"), advance(cache, key, "expired")] == ["sent", "sent"]


@pytest.mark.parametrize("garbage", ["", "{", "7", "[]", "{}", '{"state": "of another version"}', '{"state": []}'])
def test_what_cannot_be_read_is_replaced(cache: Cache, garbage: str) -> None:
    key = uuid4().hex
    assert cache.put(key, garbage)
    assert advance(cache, key, "charged") == "charged"


def test_what_was_forgotten_begins_anew_and_does_not_last_for_ever(cache: Cache, redis_url: str) -> None:
    key = uuid4().hex
    advance(cache, key, "delivered")
    assert cache.drop(key, "another")
    assert advance(cache, key, "charged") == "charged"
    with redis.Redis.from_url(redis_url) as client:
        assert 0 < client.pttl(key) <= 60_000


def test_writers_at_the_same_time_leave_the_furthest(redis_url: str) -> None:
    states = ["charged", "sent", "delivered"] * 4
    keys = [uuid4().hex for _ in range(200)]
    start = Barrier(len(states))

    def write(state: str) -> None:
        cache = Cache(redis_url, 60, Health())
        start.wait()
        for key in keys:
            cache.advance({key: value(state)}, "state", RANKS)
        cache.close()

    threads = [Thread(target=write, args=(state,)) for state in states]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert {json.loads(text)["state"] for text in client.mget(keys) if text} == {"delivered"}


def test_what_redis_answers_after_the_deadline_is_nobody_else_s_answer(cache: Cache, redis_url: str) -> None:
    late, other = uuid4().hex, uuid4().hex
    assert cache.put(late, "late")
    assert cache.put(other, "other")
    with redis.Redis.from_url(redis_url) as client:
        client.client_pause(4000)
    assert cache.get(late) is None
    eventually(cache.probe)
    assert cache.get(other) == "other"
