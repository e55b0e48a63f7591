"""From request to record: what be-messaging adds, and what reaches Kafka."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from messaging_api.message import AcceptedMessage, MessageRequest, Receipt, ReceiptStatus
from messaging_api.topology import BillingType
from messaging_processors.messaging.accepting import accepted, message_id, message_record, receipt_record
from messaging_processors.runtime.records import Outgoing

ID = UUID("7b0d4c1e-0000-4000-8000-000000000001")
NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REQUEST = MessageRequest(account_id="acct-1", domain="marketing", to="+12025550101", body="Grüße")
MESSAGE = accepted(REQUEST, "shop", BillingType.PREPAID, ID, NOW)
RECEIPT = Receipt(
    id=ID, account_id="acct-1", domain="marketing", status=ReceiptStatus.FAILED, reason="off", received_at=NOW
)


def outgoing(traceparent: str | None = None) -> Outgoing:
    return message_record(MESSAGE, "prepaid", "/messaging/user-api/be-messaging", traceparent)


def headers(traceparent: str | None = None) -> dict[str, str]:
    return {name: (value or b"").decode() for name, value in outgoing(traceparent).headers}


def test_a_message_keeps_the_billing_type_that_it_was_accepted_with() -> None:
    assert MESSAGE.model_dump(by_alias=True) == {
        "id": ID,
        "tenant": "shop",
        "accountId": "acct-1",
        "billingType": "Prepaid",
        "domain": "marketing",
        "to": "+12025550101",
        "body": "Grüße",
        "acceptedAt": NOW,
        "validUntil": None,
    }


@pytest.mark.parametrize(
    ("own", "domains", "lasts"),
    [
        ("30s", "5m", timedelta(seconds=30)),
        (None, "5m", timedelta(minutes=5)),
        ("1h", None, timedelta(hours=1)),
        (None, None, None),
        ("999999999d", "5m", None),
    ],
)
def test_a_message_ends_when_it_says_or_else_when_its_domain_says(
    own: str | None, domains: str | None, lasts: timedelta | None
) -> None:
    request = REQUEST.model_copy(update={"valid_for": own})
    message = accepted(request, "shop", BillingType.PREPAID, ID, NOW, domains)
    assert message.valid_until == (None if lasts is None else NOW + lasts)


def test_an_id_is_made_of_tenant_and_key_or_of_nothing() -> None:
    assert message_id("shop", "k") == message_id("shop", "k")
    assert (
        len({message_id("shop", "k"), message_id("crm", "k"), message_id("shop", "l"), message_id("shop", None)}) == 4
    )
    assert message_id("shop", None) != message_id("shop", None)


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


def test_a_receipt_goes_by_account_and_is_an_event_of_its_own() -> None:
    one, two = (receipt_record(RECEIPT, "marketing", "/source", TRACE) for _ in range(2))
    assert (one.topic, one.key) == ("marketing", b"acct-1")
    assert Receipt.model_validate_json(one.value or b"") == RECEIPT
    said = dict(one.headers)
    assert (said["ce_type"], said["domain"]) == (b"dev.messagingtopology.message.receipt", b"marketing")
    assert len({said["ce_id"], dict(two.headers)["ce_id"], str(ID).encode()}) == 3
