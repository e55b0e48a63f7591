"""Where a sink's messages end up: rows, Redis, the third party; and whether its group is done."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import redis
import sqlalchemy as sa

from messaging_api.message import (
    RECEIPT_TYPE,
    TYPE_HEADER,
    BilledMessage,
    MessageView,
    Receipt,
    ReceiptStatus,
    message_cache_key,
)
from messaging_api.processor import SinkConfig
from messaging_cli.local.third_party import ThirdParty
from messaging_processors.runtime.schema import messages
from messaging_processors.sink.loop import Sink
from testkit.broker import Broker, Headers
from testkit.loops import turn_until
from testkit.samples import a_billed_message


@dataclass(frozen=True)
class Ends:
    """All ends of one sink."""

    broker: Broker
    config: SinkConfig
    database_url: str
    cache_url: str
    third_party: ThirdParty

    def put(self, billed: Sequence[BilledMessage], partition: int = -1, headers: Headers = ()) -> None:
        """What billing would write; in one partition, it is read as one batch."""
        for message in billed:
            value, key = message.model_dump_json().encode(), message.account_id.encode()
            own = [(TYPE_HEADER, message.outcome.event_type), *headers]
            self.broker.put("marketing", value, own, key, partition)
        self.broker.flush()

    def put_receipts(self, *receipts: Receipt, partition: int = -1) -> None:
        """What be-messaging would write."""
        for receipt in receipts:
            value, key = receipt.model_dump_json().encode(), receipt.account_id.encode()
            self.broker.put("marketing", value, [(TYPE_HEADER, RECEIPT_TYPE)], key, partition)
        self.broker.flush()

    def committed(self) -> int:
        """How many records the group has behind it."""
        return self.broker.done(self.config.group_id, ["marketing"])

    def rows(self, charged: Iterable[BilledMessage]) -> dict[UUID, Any]:
        engine = sa.create_engine(self.database_url)
        with engine.connect() as connection:
            found = connection.execute(sa.select(messages).where(messages.c.id.in_([one.id for one in charged])))
            rows = {row.id: row for row in found}
        engine.dispose()
        return rows

    def states(self, charged: Iterable[BilledMessage]) -> Counter[str]:
        """How many rows there are in each state."""
        return Counter(row.state for row in self.rows(charged).values())

    def cached(self, charged: Iterable[BilledMessage]) -> Counter[str]:
        """How many messages Redis has in each state."""
        return Counter(view.state.value for message in charged if (view := self.cached_view(message)))

    def cached_view(self, message: BilledMessage) -> MessageView | None:
        """What Redis has of a message."""
        with redis.Redis.from_url(self.cache_url) as client:
            found = client.get(message_cache_key(message.tenant, message.id))
        return MessageView.model_validate_json(found) if isinstance(found, bytes) else None

    def calls(self, status: int = 200) -> Counter[str]:
        """How often the third party answered so, by message id."""
        return Counter(record.id for record in self.third_party.records if record.status == status)

    def dead_letters(self) -> list[str]:
        """What is wrong with each."""
        return sorted(letter.header("dlq_error_class") for letter in self.broker.everything("marketing.dlq"))


def some_messages(count: int, accounts: int = 5) -> list[BilledMessage]:
    """Of that many accounts in turn."""
    return [a_billed_message(f"account-{number % accounts}") for number in range(count)]


def a_receipt(message: BilledMessage, status: ReceiptStatus = ReceiptStatus.DELIVERED, reason: str = "") -> Receipt:
    """What the provider says of a message."""
    return Receipt(
        id=message.id,
        account_id=message.account_id,
        domain=message.domain,
        status=status,
        reason=reason,
        received_at=datetime.now(UTC),
    )


def finish(ends: Ends, count: int, *sinks: Sink) -> None:
    """Turns the sinks until their group has `count` records behind it."""
    turn_until(lambda: ends.committed() == count, *[sink.step for sink in sinks] * 3)


def once(charged: list[BilledMessage]) -> Counter[str]:
    """What the third party has seen when it saw each message once."""
    return Counter(str(message.id) for message in charged)
