"""What be-messaging makes of a request, pure: the accepted message and its Kafka record."""

import re
from datetime import datetime
from uuid import UUID

from messaging_api.base import TopicName
from messaging_api.message import (
    ACCEPTED_TYPE,
    DOMAIN_HEADER,
    ID_HEADER,
    TRACE_HEADER,
    AcceptedMessage,
    MessageRequest,
)
from messaging_api.topology import BillingType
from messaging_processors.runtime.records import Outgoing

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def accepted(request: MessageRequest, billing_type: BillingType, message_id: UUID, now: datetime) -> AcceptedMessage:
    """The message as it is from now on: with an id, and the billing type that it keeps."""
    return AcceptedMessage(
        id=message_id,
        account_id=request.account_id,
        billing_type=billing_type,
        domain=request.domain,
        to=request.to,
        body=request.body,
        accepted_at=now,
    )


def record(message: AcceptedMessage, topic: TopicName, source: str, traceparent: str | None) -> Outgoing:
    """Keyed by the account, for order within it; headers in CloudEvents' binary mode, the domain that billing selects
    by, and the caller's trace when it is one."""
    headers = {
        "ce_specversion": "1.0",
        ID_HEADER: str(message.id),
        "ce_type": ACCEPTED_TYPE,
        "ce_source": source,
        "ce_time": message.accepted_at.isoformat(),
        "content-type": "application/json",
        DOMAIN_HEADER: message.domain,
    }
    if traceparent and _TRACEPARENT.fullmatch(traceparent):
        headers[TRACE_HEADER] = traceparent
    encoded = tuple((name, value.encode()) for name, value in headers.items())
    return Outgoing(topic, message.account_id.encode(), message.model_dump_json().encode(), encoded)
