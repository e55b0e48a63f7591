"""From request to record: what be-messaging adds, and what reaches Kafka."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from messaging_api.message import AcceptedMessage, MessageRequest
from messaging_api.topology import BillingType
from messaging_processors.messaging.accepting import accepted, record
from messaging_processors.runtime.records import Outgoing

ID = UUID("7b0d4c1e-0000-4000-8000-000000000001")
NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REQUEST = MessageRequest(account_id="acct-1", domain="marketing", to="+12025550101", body="Grüße")
MESSAGE = accepted(REQUEST, BillingType.PREPAID, ID, NOW)


def outgoing(traceparent: str | None = None) -> Outgoing:
    return record(MESSAGE, "prepaid", "/messaging/user-api/be-messaging", traceparent)


def headers(traceparent: str | None = None) -> dict[str, str]:
    return {name: (value or b"").decode() for name, value in outgoing(traceparent).headers}


def test_a_message_keeps_the_billing_type_that_it_was_accepted_with() -> None:
    assert MESSAGE.model_dump(by_alias=True) == {
        "id": ID,
        "accountId": "acct-1",
        "billingType": "Prepaid",
        "domain": "marketing",
        "to": "+12025550101",
        "body": "Grüße",
        "acceptedAt": NOW,
    }


def test_the_record_goes_by_account_and_says_all_that_the_message_says() -> None:
    assert (outgoing().topic, outgoing().key) == ("prepaid", b"acct-1")
    assert AcceptedMessage.model_validate_json(outgoing().value or b"") == MESSAGE


def test_the_headers_are_a_cloud_event_and_the_domain_that_billing_selects_by() -> None:
    assert headers() == {
        "ce_specversion": "1.0",
        "ce_id": str(ID),
        "ce_type": "dev.messagingtopology.message.accepted",
        "ce_source": "/messaging/user-api/be-messaging",
        "ce_time": "2026-05-04T03:02:01+00:00",
        "content-type": "application/json",
        "domain": "marketing",
    }


def test_the_callers_trace_goes_along() -> None:
    assert headers(TRACE)["traceparent"] == TRACE


@pytest.mark.parametrize("traceparent", ["", "made up", TRACE + "-more", TRACE.upper(), TRACE + "\n"])
def test_what_is_no_trace_does_not(traceparent: str) -> None:
    assert "traceparent" not in headers(traceparent)
