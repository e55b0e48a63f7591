"""A message as the database has it, and the changes that are asked for; `store` reads and writes them."""

from dataclasses import dataclass
from uuid import UUID

from messaging_api.message import BilledMessage, MessageState, MessageView, Receipt


@dataclass(frozen=True, slots=True)
class Row:
    """What the database has of a message, the text and the number left out."""

    tenant: str
    account_id: str
    domain: str
    view: MessageView


@dataclass(frozen=True, slots=True)
class Change:
    """A new state, for the row of that id only if it belongs to that account and domain."""

    id: UUID
    account_id: str
    domain: str
    state: MessageState
    reason: str = ""


def ending(message: BilledMessage, state: MessageState, reason: str = "") -> Change:
    """What became of a message that was to be sent."""
    return Change(message.id, message.account_id, message.domain, state, reason)


def told(receipt: Receipt) -> Change:
    """What a receipt says."""
    state = MessageState(receipt.status.value)
    return Change(receipt.id, receipt.account_id, receipt.domain, state, receipt.reason)
