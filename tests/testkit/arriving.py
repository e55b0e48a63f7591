"""Where a sink's messages end up: rows, Redis, the third party; and whether its group is done."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import redis
import sqlalchemy as sa

from messaging_api.message import ChargedMessage, message_cache_key
from messaging_api.processor import SinkConfig
from messaging_cli.local.third_party import ThirdParty
from messaging_processors.runtime.schema import messages
from messaging_processors.sink.main import Sink
from testkit.broker import Broker
from testkit.loops import turn_until
from testkit.samples import a_charged_message


@dataclass(frozen=True)
class Ends:
    """All ends of one sink."""

    broker: Broker
    config: SinkConfig
    database_url: str
    cache_url: str
    third_party: ThirdParty

    def put(self, charged: Sequence[ChargedMessage], partition: int = -1) -> None:
        """What billing would write; in one partition, it is read as one batch."""
        for message in charged:
            value, key = message.model_dump_json().encode(), message.account_id.encode()
            self.broker.put("marketing", value, key=key, partition=partition)
        self.broker.flush()

    def committed(self) -> int:
        """How many records the group has behind it."""
        return self.broker.done(self.config.group_id, ["marketing"])

    def rows(self, charged: Iterable[ChargedMessage]) -> dict[UUID, Any]:
        engine = sa.create_engine(self.database_url)
        with engine.connect() as connection:
            found = connection.execute(sa.select(messages).where(messages.c.id.in_([one.id for one in charged])))
            rows = {row.id: row for row in found}
        engine.dispose()
        return rows

    def states(self, charged: Iterable[ChargedMessage]) -> Counter[str]:
        """How many rows there are in each state."""
        return Counter(row.state for row in self.rows(charged).values())

    def cached(self, charged: Iterable[ChargedMessage]) -> Counter[str]:
        """How many messages Redis has in each state."""
        with redis.Redis.from_url(self.cache_url) as client:
            found = [client.get(message_cache_key(message.id)) for message in charged]
        return Counter(json.loads(text)["state"] for text in found if isinstance(text, bytes))

    def calls(self, status: int = 200) -> Counter[str]:
        """How often the third party answered so, by message id."""
        return Counter(record.id for record in self.third_party.records if record.status == status)

    def dead_letters(self) -> list[str]:
        """What is wrong with each."""
        return sorted(letter.header("dlq_error_class") for letter in self.broker.everything("marketing.dlq"))


def some_messages(count: int, accounts: int = 5) -> list[ChargedMessage]:
    """Of that many accounts in turn."""
    return [a_charged_message(f"account-{number % accounts}") for number in range(count)]


def finish(ends: Ends, count: int, *sinks: Sink) -> None:
    """Turns the sinks until their group has `count` records behind it."""
    turn_until(lambda: ends.committed() == count, *[sink.step for sink in sinks] * 3)


def once(charged: list[ChargedMessage]) -> Counter[str]:
    """What the third party has seen when it saw each message once."""
    return Counter(str(message.id) for message in charged)
