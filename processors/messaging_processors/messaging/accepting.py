"""What be-messaging makes of a request, pure: the accepted message, and the records of messages and receipts."""

import re
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from messaging_api.access import Tenant
from messaging_api.base import Duration, TopicName, seconds
from messaging_api.message import (
    ACCEPTED_TYPE,
    RECEIPT_TYPE,
    AcceptedMessage,
    MessageRequest,
    Receipt,
    idempotent_id,
)
from messaging_api.processor import MessagingConfig
from messaging_api.topology import BillingType
from messaging_processors.runtime.events import Event
from messaging_processors.runtime.records import Outgoing

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def source_of(config: MessagingConfig) -> str:
    """The CloudEvents source of be-messaging's records."""
    return f"/{config.namespace}/{config.topology}/{config.processor}"


def message_id(tenant: Tenant, key: str | None) -> UUID:
    """Made of the `Idempotency-Key`, or one that nobody has had before."""
    return idempotent_id(tenant, key) if key else uuid4()


def accepted(
    request: MessageRequest,
    tenant: Tenant,
    billing_type: BillingType,
    message_id: UUID,
    now: datetime,
    valid_for: Duration | None = None,
) -> AcceptedMessage:
    """The message as it is from now on: with an id, the billing type that it keeps, and its end.

    `valid_for` is its domain's, for messages that do not have their own.
    """
    return AcceptedMessage(
        id=message_id,
        tenant=tenant,
        account_id=request.account_id,
        billing_type=billing_type,
        domain=request.domain,
        to=request.to,
        body=request.body,
        accepted_at=now,
        valid_until=_end(now, request.valid_for or valid_for),
    )


def message_record(message: AcceptedMessage, topic: TopicName, source: str, traceparent: str | None) -> Outgoing:
    """Keyed by the account, for order within it; with the domain that billing selects by, and the caller's trace."""
    event = Event(message.id, ACCEPTED_TYPE, source, message.accepted_at, message.domain, _trace(traceparent))
    return Outgoing(topic, message.account_id.encode(), message.model_dump_json().encode(), event.headers)


def receipt_record(receipt: Receipt, topic: TopicName, source: str, traceparent: str | None) -> Outgoing:
    """Keyed like its message, so that it comes after it; every receipt is an event of its own."""
    event = Event(uuid4(), RECEIPT_TYPE, source, receipt.received_at, receipt.domain, _trace(traceparent))
    return Outgoing(topic, receipt.account_id.encode(), receipt.model_dump_json().encode(), event.headers)


def _trace(traceparent: str | None) -> bytes | None:
    """The caller's, when it is one."""
    return traceparent.encode() if traceparent and _TRACEPARENT.fullmatch(traceparent) else None


def _end(begin: datetime, lasts: Duration | None) -> datetime | None:
    """None also for an end that is beyond the calendar."""
    try:
        return begin + timedelta(seconds=seconds(lasts)) if lasts else None
    except OverflowError:
        return None
