"""What a sink makes of a record, pure: a message to store and send, or a dead letter. Called by `main`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from messaging_api.message import ChargedMessage
from messaging_api.processor import SinkConfig
from messaging_processors.runtime.records import Failure, Outgoing, Record, dead_letter, explain


@dataclass(frozen=True, slots=True)
class Item:
    """A message and the record that brought it."""

    record: Record
    message: ChargedMessage


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be processed, ready to be written, and what is wrong with it."""

    record: Record
    outgoing: Outgoing
    error: str


@dataclass(frozen=True)
class Decoded:
    """A batch, told apart. Of several records with one message id only the first is an item."""

    items: list[Item]
    dead_letters: list[DeadLetter]


def decode(records: Sequence[Record], config: SinkConfig, now: datetime) -> Decoded:
    """Tells messages from poison."""
    items: dict[object, Item] = {}
    dead_letters: list[DeadLetter] = []
    for record in records:
        try:
            message = ChargedMessage.model_validate_json(record.value or b"")
            items.setdefault(message.id, Item(record, message))
        except ValidationError as error:
            dead_letters.append(poison(record, config, Failure("InvalidMessage", explain(error), now, now)))
    return Decoded(list(items.values()), dead_letters)


def poison(record: Record, config: SinkConfig, failure: Failure) -> DeadLetter:
    """The dead letter of a record that must not be tried again."""
    outgoing = dead_letter(record, failure, config.dead_letter_topic, config.processor)
    return DeadLetter(record, outgoing, failure.error_class)
