"""Redis in front of the database, when both change while somebody reads."""

from uuid import uuid4

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

    def read_while_a_sink_writes() -> MessageView:
        assert cache.put(key, SENT.model_dump_json())
        return CHARGED

    assert read_through(cache, key, MessageView, read_while_a_sink_writes, always) == CHARGED
    assert cache.get(key) == SENT.model_dump_json()


def test_what_is_nowhere_is_not_remembered(cache: Cache) -> None:
    key = f"message:{uuid4()}"
    assert read_through(cache, key, MessageView, lambda: None, always) is None
    assert read_through(cache, key, MessageView, lambda: SENT, always) == SENT
