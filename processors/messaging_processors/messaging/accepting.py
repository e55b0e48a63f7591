"""What be-messaging makes of a request, pure: the accepted message, and the records of messages and receipts."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from messaging_api.access import Tenant
from messaging_api.base import Domain, Duration, TopicName, seconds
from messaging_api.message import (
    ACCEPTED_TYPE,
    DOMAIN_HEADER,
    ID_HEADER,
    RECEIPT_TYPE,
    TRACE_HEADER,
    TYPE_HEADER,
    AcceptedMessage,
    MessageRequest,
    Receipt,
    idempotent_id,
)
from messaging_api.topology import BillingType
from messaging_processors.runtime.records import Outgoing

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class Event:
    """What a record's headers say in CloudEvents' binary mode: the source is the same for all of a topology's."""

    id: UUID
    type: str
    source: str
    time: datetime
    domain: Domain
    traceparent: str | None = None


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
    event = Event(message.id, ACCEPTED_TYPE, source, message.accepted_at, message.domain, traceparent)
    return Outgoing(topic, message.account_id.encode(), message.model_dump_json().encode(), headers(event))


def receipt_record(receipt: Receipt, topic: TopicName, source: str, traceparent: str | None) -> Outgoing:
    """Keyed like its message, so that it comes after it; every receipt is an event of its own."""
    event = Event(uuid4(), RECEIPT_TYPE, source, receipt.received_at, receipt.domain, traceparent)
    return Outgoing(topic, receipt.account_id.encode(), receipt.model_dump_json().encode(), headers(event))


def headers(event: Event) -> tuple[tuple[str, bytes], ...]:
    """The CloudEvents Kafka binding, the domain, and the caller's trace when it is one."""
    texts = {
        "ce_specversion": "1.0",
        ID_HEADER: str(event.id),
        TYPE_HEADER: event.type,
        "ce_source": event.source,
        "ce_time": event.time.isoformat(),
        "content-type": "application/json",
        DOMAIN_HEADER: event.domain,
    }
    if event.traceparent and _TRACEPARENT.fullmatch(event.traceparent):
        texts[TRACE_HEADER] = event.traceparent
    return tuple((name, text.encode()) for name, text in texts.items())


def _end(begin: datetime, lasts: Duration | None) -> datetime | None:
    """None also for an end that is beyond the calendar."""
    try:
        return begin + timedelta(seconds=seconds(lasts)) if lasts else None
    except OverflowError:
        return None
