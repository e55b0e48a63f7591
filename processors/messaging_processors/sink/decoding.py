"""What a sink makes of a record, pure: a message to store, a receipt, or a dead letter. Called by `loop`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from messaging_api.message import RECEIPT_TYPE, TYPE_HEADER, BilledMessage, Receipt
from messaging_api.processor import SinkConfig
from messaging_processors.runtime.records import Failure, Outgoing, Record, dead_letter, explain, header, is_replayed
from messaging_processors.sink.rows import Change


@dataclass(frozen=True, slots=True)
class Item:
    """A message and the record that brought it."""

    record: Record
    message: BilledMessage


@dataclass(frozen=True, slots=True)
class Told:
    """A receipt and the record that brought it."""

    record: Record
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be processed, ready to be written, what is wrong with it, and what its message becomes."""

    record: Record
    outgoing: Outgoing
    error: str
    ends: Change | None = None


@dataclass
class Decoded:
    """A batch, told apart. Of several records of one message one is an item: the first, or else a replayed one."""

    items: dict[UUID, Item] = field(default_factory=dict)
    receipts: list[Told] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)


def decode(records: Sequence[Record], config: SinkConfig, now: datetime) -> Decoded:
    """Tells messages, receipts and poison apart."""
    decoded = Decoded()
    for record in records:
        is_receipt = header(record.headers, TYPE_HEADER) == RECEIPT_TYPE.encode()
        try:
            if is_receipt:
                decoded.receipts.append(Told(record, Receipt.model_validate_json(record.value or b"")))
            else:
                message = BilledMessage.model_validate_json(record.value or b"")
                if message.id not in decoded.items or is_replayed(record):
                    decoded.items[message.id] = Item(record, message)
        except ValidationError as error:
            failure = Failure("InvalidReceipt" if is_receipt else "InvalidMessage", explain(error), now, now)
            decoded.dead_letters.append(poison(record, config, failure))
    return decoded


def poison(record: Record, config: SinkConfig, failure: Failure, ends: Change | None = None) -> DeadLetter:
    """The dead letter of a record that must not be tried again."""
    outgoing = dead_letter(record, failure, config.dead_letter_topic, config.processor)
    return DeadLetter(record, outgoing, failure.error_class, ends)
