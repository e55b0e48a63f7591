"""Where messages end up: rows, Redis entries, third-party calls; read from outside.

What does not answer fails an assertion, so that `eventually` asks again.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import redis
import sqlalchemy as sa
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from messaging_api.message import message_cache_key
from testkit.plain_http import PLAIN
from testkit.waiting import must_answer

_UNBALANCED = """
    SELECT a.tenant, a.id FROM accounts a LEFT JOIN ledger_entries e ON (e.tenant, e.account_id) = (a.tenant, a.id)
    GROUP BY a.tenant, a.id HAVING a.balance_micros <> coalesce(sum(e.amount_micros), 0)
"""


@dataclass(frozen=True)
class Arrivals:
    """Reads the stores and the third party of one running topology."""

    database_url: str
    cache_url: str
    third_party_url: str
    tenant: str

    def states(self) -> dict[str, str]:
        """State by message id, of every row."""
        return {str(message_id): state for message_id, state in self._read("SELECT id, state FROM messages")}

    def decisions(self) -> Counter[str]:
        """How many entries of the ledger say what billing decided about each message, by its id."""
        decided = "SELECT message_id FROM ledger_entries WHERE kind IN ('charge', 'refusal', 'expiry')"
        return Counter(str(message_id) for (message_id,) in self._read(decided))

    def unbalanced(self) -> list[str]:
        """The accounts that hold something else than the sum of their entries."""
        return [f"{tenant}/{account}" for tenant, account in self._read(_UNBALANCED)]

    @must_answer(sa.exc.SQLAlchemyError)
    def _read(self, query: str) -> list[tuple[Any, ...]]:
        engine = sa.create_engine(self.database_url, poolclass=sa.NullPool, connect_args={"connect_timeout": 5})
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    def missing(self, ids: Iterable[str], state: str = "sent") -> list[str]:
        """Which of the ids have no row in that state (yet)."""
        states = self.states()
        return [message_id for message_id in ids if states.get(message_id) != state]

    @must_answer(redis.RedisError)
    def cached_states(self, ids: Iterable[str]) -> dict[str, str]:
        """State by message id as Redis holds it; an id that Redis does not hold is left out."""
        wanted = list(ids)
        keys = [message_cache_key(self.tenant, UUID(message_id)) for message_id in wanted]
        with redis.Redis.from_url(self.cache_url, decode_responses=True, socket_timeout=5) as client:
            found = client.mget(keys) if keys else []
        return {key: json.loads(value)["state"] for key, value in zip(wanted, found, strict=True) if value}

    @must_answer(redis.RedisError)
    def flush_cache(self) -> None:
        with redis.Redis.from_url(self.cache_url, socket_timeout=5) as client:
            client.flushall()

    @must_answer(httpx.TransportError)
    def calls(self) -> Counter[str]:
        """How often the third party saw each id."""
        answer = PLAIN.get(f"{self.third_party_url}/calls").json()
        return Counter(answer["ids"])


@dataclass(frozen=True)
class Lag:
    """What a group has not committed yet, over topics whose records were not written in transactions.

    A transaction's own marker takes an offset that nobody reads, so a group is never at the end of such a topic.
    """

    bootstrap: str

    @must_answer(KafkaException)
    def of(self, group: str, topics: Iterable[str]) -> int:
        consumer = self._consumer(group)
        try:
            return sum(self._behind(consumer, partition) for partition in self._partitions(topics))
        finally:
            consumer.close()

    def is_zero(self, group: str, topics: Iterable[str]) -> bool:
        return self.of(group, topics) == 0

    @must_answer(KafkaException)
    def end_of(self, topic: str) -> int:
        """The number of offsets that were given out in a topic."""
        consumer = self._consumer("nobody")
        try:
            return sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in self._partitions([topic]))
        finally:
            consumer.close()

    @must_answer(KafkaException)
    def partitions_of(self, topic: str) -> int:
        return len(self._partitions([topic]))

    def _consumer(self, group: str) -> Consumer:
        # A committed reader would wait for open transactions to end before it is told the group's offsets (KIP-447).
        isolation = {"isolation.level": "read_uncommitted", "enable.auto.commit": False}
        return Consumer({"bootstrap.servers": self.bootstrap, "group.id": group, **isolation})

    def _partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        known = AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(timeout=10).topics
        return [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]

    @staticmethod
    def _behind(consumer: Consumer, partition: TopicPartition) -> int:
        low, high = consumer.get_watermark_offsets(partition, timeout=10)
        committed = consumer.committed([partition], timeout=10)[0].offset
        return int(high - (committed if committed >= 0 else low))
