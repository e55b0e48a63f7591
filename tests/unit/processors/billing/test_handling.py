"""What billing makes of a record: whatever it looks like, exactly one of a topic's processors answers for it."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_api.base import Money
from messaging_api.message import CHARGED_TYPE, ChargedMessage
from messaging_api.processor import BillingConfig
from messaging_api.topology import Tariff
from messaging_processors.billing.handling import Outcome, handle
from messaging_processors.billing.rating import charge
from messaging_processors.runtime.records import Headers, Record
from testkit.samples import DOMAINS, a_billing_config, an_accepted_message

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
# The first declared reader of a topic answers for what belongs to nobody.
PROCESSORS = [
    a_billing_config("marketing", unrouted=("postpaid", "prepaid")),
    a_billing_config("authentication"),
]
MESSAGE = an_accepted_message("account-1", "marketing")


def a_record(value: bytes | None = None, headers: Headers = (("domain", b"marketing"),), key: bytes = b"") -> Record:
    value = MESSAGE.model_dump_json().encode() if value is None else value
    return Record("postpaid", 3, 42, key, value, headers)


def answered(record: Record, config: BillingConfig = PROCESSORS[0]) -> Outcome:
    outcome = handle(record, config, NOW)
    assert outcome
    return outcome


def test_a_message_is_charged_by_its_tariff_and_keeps_what_it_was_accepted_with() -> None:
    outcome = answered(a_record())
    charged = ChargedMessage.model_validate_json(outcome.outgoing.value or b"")
    assert charged.charge.amount == "0.0075"
    assert dict(charged) == dict(MESSAGE) | {"charge": charged.charge}
    assert (outcome.outgoing.topic, outcome.outgoing.key, outcome.error) == ("marketing", b"account-1", "")


def test_a_charged_message_is_a_cloud_event_of_the_same_trace() -> None:
    headers = (("domain", b"marketing"), ("traceparent", b"00-a-b-01"), ("x-internal", b"1"))
    assert dict(answered(a_record(headers=headers)).outgoing.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": str(MESSAGE.id).encode(),
        "ce_type": CHARGED_TYPE.encode(),
        "ce_source": b"/messaging/user-api/billing-marketing",
        "ce_time": b"2030-01-02T03:04:05+00:00",
        "content-type": b"application/json",
        "domain": b"marketing",
        "traceparent": b"00-a-b-01",
    }


def test_another_domain_s_record_is_not_even_parsed() -> None:
    assert handle(a_record(b"\xff", (("domain", b"authentication"),)), PROCESSORS[0], NOW) is None


def test_what_belongs_to_nobody_is_left_to_the_topic_s_own_answerer() -> None:
    elsewhere = a_billing_config("marketing", unrouted=("prepaid",))
    assert handle(a_record(headers=()), elsewhere, NOW) is None
    assert answered(a_record(headers=())).error == "UnknownDomain"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"to": "12025550123"}, "to: String should match pattern"),
        ({"billingType": "Barter"}, "billingType: Input should be 'Postpaid' or 'Prepaid'"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
        ({"accountId": None}, "accountId: Input should be a valid string"),
    ],
)
def test_a_dead_letter_names_the_field_and_not_its_value(change: dict[str, object], why: str) -> None:
    record = a_record(json.dumps(json.loads(MESSAGE.model_dump_json()) | change).encode())
    outcome = answered(record)
    said = dict(outcome.outgoing.headers)["dlq_error_message"] or b""
    assert outcome.error == "InvalidMessage"
    assert said.decode().startswith(why)
    assert b"2025550123" not in said


def test_a_value_of_another_domain_than_its_header_is_nobody_s_to_charge() -> None:
    outcome = answered(a_record(headers=(("domain", b"authentication"),)), PROCESSORS[1])
    assert (outcome.error, outcome.outgoing.topic) == ("WrongDomain", "billing-authentication.dlq")


header_values = st.sampled_from([domain.encode() for domain in DOMAINS]) | st.none() | st.binary(max_size=20)
some_headers = st.lists(st.tuples(st.sampled_from(["domain", "Domain", "other"]), header_values), max_size=3)
some_values = st.none() | st.binary() | st.just(MESSAGE.model_dump_json().encode())


@given(some_headers, some_values, st.none() | st.binary(max_size=5))
def test_exactly_one_processor_answers_and_a_dead_letter_loses_nothing(
    headers: list[tuple[str, bytes | None]], value: bytes | None, key: bytes | None
) -> None:
    record = Record("postpaid", 3, 42, key, value, tuple(headers))
    (outcome,) = [outcome for config in PROCESSORS if (outcome := handle(record, config, NOW))]
    if outcome.error:
        assert (outcome.outgoing.key, outcome.outgoing.value) == (key, value)
        assert outcome.outgoing.headers[: len(headers)] == tuple(headers)


@given(st.from_regex(r"\A[0-9]{1,12}(\.[0-9]{1,6})?\Z").map(str))
def test_a_charge_is_exact(price: Money) -> None:
    priced = charge(Tariff(currency="EUR", per_message=price))
    assert Decimal(priced.amount) == Decimal(price)
    assert (priced.currency, "e" in priced.amount.lower()) == ("EUR", False)
