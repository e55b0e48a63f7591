"""What became of a message: Redis, else the row that its sink wrote. be-messaging only ever reads it."""

from uuid import UUID

from sqlalchemy import Engine, select

from messaging_api.message import MessageState, MessageView, message_cache_key
from messaging_processors.messaging.reading import read_through
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.database import DATABASE, transaction
from messaging_processors.runtime.health import Health
from messaging_processors.runtime.schema import messages
from messaging_processors.runtime.watching import require


class Messages:
    """Finds messages; raises `Away` when only the database could answer and it is away. Thread-safe."""

    def __init__(self, engine: Engine, cache: Cache, health: Health) -> None:
        self._engine = engine
        self._cache = cache
        self._health = health

    def find(self, message_id: UUID) -> MessageView | None:
        """The message's state; None as long as no sink has stored it."""
        key = message_cache_key(message_id)
        return read_through(self._cache, key, MessageView, lambda: self._stored(message_id), _is_final)

    def _stored(self, message_id: UUID) -> MessageView | None:
        require(self._health, DATABASE)
        with transaction(self._engine) as connection:
            state = connection.scalar(select(messages.c.state).where(messages.c.id == message_id))
        return MessageView(id=message_id, state=MessageState(state)) if state else None


def _is_final(message: MessageView) -> bool:
    """Only then it may be remembered: its sink may change any other and be unable to tell Redis."""
    return message.state in (MessageState.SENT, MessageState.DEAD_LETTERED)
