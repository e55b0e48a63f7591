"""Redis in front of the database, when both change while somebody reads."""

from uuid import UUID, uuid4

import pytest

from messaging_api.message import MessageState, MessageView
from messaging_processors.messaging.reading import read_through
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.health import Health

ID = uuid4()
CHARGED, SENT = (MessageView(id=ID, state=state) for state in (MessageState.CHARGED, MessageState.SENT))


@pytest.fixture
def cache(redis_url: str) -> Cache:
    return Cache(redis_url, 60, Health())


def always(_: MessageView) -> bool:
    return True


def test_what_was_read_before_a_change_does_not_replace_it(cache: Cache) -> None:
    key = f"message:{uuid4()}"

    def read_while_a_sink_writes(_: set[UUID]) -> dict[UUID, MessageView]:
        assert cache.put(key, SENT.model_dump_json())
        return {ID: CHARGED}

    assert read_through(cache, {ID: key}, MessageView, read_while_a_sink_writes, always) == {ID: CHARGED}
    assert cache.get(key) == SENT.model_dump_json()


def test_what_is_nowhere_is_not_remembered(cache: Cache) -> None:
    key = f"message:{uuid4()}"
    assert read_through(cache, {ID: key}, MessageView, lambda _: {}, always) == {}
    assert read_through(cache, {ID: key}, MessageView, lambda _: {ID: SENT}, always) == {ID: SENT}


def test_only_what_redis_has_not_is_loaded_and_remembered(cache: Cache) -> None:
    keys = {name: f"message:{uuid4()}" for name in "abc"}
    loaded: list[set[str]] = []

    def load(names: set[str]) -> dict[str, MessageView]:
        loaded.append(names)
        return {"b": CHARGED} if "b" in names else {}

    assert cache.put(keys["a"], SENT.model_dump_json())
    for _ in range(2):
        assert read_through(cache, keys, MessageView, load, always) == {"a": SENT, "b": CHARGED}
    assert loaded == [{"b", "c"}, {"c"}]
