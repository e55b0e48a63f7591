"""What billing writes: an outcome as the ledger has it, a dead letter that loses nothing."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_api.account import EntryKind
from messaging_api.message import BilledMessage, BillingOutcome
from messaging_processors.billing import emitting
from messaging_processors.billing.deciding import Emission
from messaging_processors.billing.handling import Letter
from messaging_processors.runtime.records import Headers, Record
from testkit.deciding import a_priced, an_entry
from testkit.samples import a_billing_config

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
CONFIG = a_billing_config("marketing")


def test_an_outcome_says_what_the_ledger_says_and_not_what_the_message_would_cost_now() -> None:
    priced = a_priced(per_message="7", segments=9)
    entry = replace(an_entry(priced), amount_micros=-1_500_000, currency="EUR", segments=2)
    outgoing = emitting.outcome(Emission(priced, entry, again=True), CONFIG, NOW)
    billed = BilledMessage.model_validate_json(outgoing.value or b"")
    assert (outgoing.topic, outgoing.key) == ("marketing", b"account-1")
    assert (billed.outcome, billed.segments, billed.reason) == (BillingOutcome.CHARGED, 2, "")
    assert (billed.charge.amount, billed.charge.currency) == ("1.5", "EUR")
    assert dict(billed).items() >= dict(priced.message).items()


@pytest.mark.parametrize(
    ("kind", "reason", "outcome"),
    [
        (EntryKind.REFUSAL, "InsufficientBalance", BillingOutcome.REFUSED),
        (EntryKind.EXPIRY, "Expired", BillingOutcome.EXPIRED),
    ],
)
def test_what_was_not_charged_costs_nothing_and_says_why(kind: EntryKind, reason: str, outcome: BillingOutcome) -> None:
    priced = a_priced()
    emission = Emission(priced, replace(an_entry(priced), kind=kind, reason=reason, amount_micros=0), again=False)
    outgoing = emitting.outcome(emission, CONFIG, NOW)
    billed = BilledMessage.model_validate_json(outgoing.value or b"")
    assert (billed.outcome, billed.reason, billed.charge.amount) == (outcome, reason, "0")
    assert dict(outgoing.headers)["ce_type"] == outcome.event_type.encode()


def test_an_outcome_is_a_cloud_event_of_the_same_trace() -> None:
    headers: Headers = (("domain", b"marketing"), ("traceparent", b"00-a-b-01"), ("x-internal", b"1"))
    priced = a_priced(headers=headers)
    outgoing = emitting.outcome(Emission(priced, an_entry(priced), again=False), CONFIG, NOW)
    assert dict(outgoing.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": str(priced.message.id).encode(),
        "ce_type": b"dev.messagingtopology.message.charged",
        "ce_source": b"/messaging/user-api/billing-marketing",
        "ce_time": b"2030-01-02T03:04:05+00:00",
        "content-type": b"application/json",
        "domain": b"marketing",
        "traceparent": b"00-a-b-01",
    }


@given(
    st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=3),
    st.none() | st.binary(),
    st.none() | st.binary(max_size=5),
)
def test_a_dead_letter_loses_nothing(
    headers: list[tuple[str, bytes | None]], value: bytes | None, key: bytes | None
) -> None:
    record = Record("postpaid", 3, 42, key, value, tuple(headers))
    outgoing = emitting.letter(Letter(record, "UnknownAccount", "why"), CONFIG, NOW)
    assert (outgoing.topic, outgoing.key, outgoing.value) == ("billing-marketing.dlq", key, value)
    assert outgoing.headers[: len(headers)] == tuple(headers)
    assert dict(outgoing.headers)["dlq_error_class"] == b"UnknownAccount"
