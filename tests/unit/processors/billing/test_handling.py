"""What billing makes of a record: whatever it looks like, exactly one of a topic's processors answers for it."""

import json
import re
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_api.message import payload_hash
from messaging_api.processor import BillingConfig
from messaging_processors.billing.handling import Letter, Priced, handle
from messaging_processors.billing.rating import Rates
from messaging_processors.runtime.records import Headers, Record
from testkit.samples import DOMAINS, a_billing_config, an_accepted_message

# The first declared reader of a topic answers for what belongs to nobody.
PROCESSORS = [
    a_billing_config("marketing", unrouted=("postpaid", "prepaid")),
    a_billing_config("authentication"),
]
MESSAGE = an_accepted_message("account-1", "marketing")


def a_record(value: bytes | None = None, headers: Headers = (("domain", b"marketing"),), key: bytes = b"") -> Record:
    value = MESSAGE.model_dump_json().encode() if value is None else value
    return Record("postpaid", 3, 42, key, value, headers)


def handled(record: Record, config: BillingConfig = PROCESSORS[0]) -> Priced | Letter | None:
    return handle(record, config, Rates(config.tariff, config.rates))


def changed(**fields: object) -> Record:
    return a_record(json.dumps(json.loads(MESSAGE.model_dump_json()) | fields).encode())


def test_a_message_is_priced_by_number_and_length() -> None:
    priced = handled(changed(body="x" * 161))
    assert isinstance(priced, Priced)
    assert (priced.segments, priced.price.of(2)) == (2, Decimal("0.0075"))
    assert priced.message.id == MESSAGE.id
    assert priced.payload_hash == payload_hash(priced.message)


@pytest.mark.parametrize(
    ("accepted_at", "month"),
    [("2030-01-31T23:30:00-01:00", date(2030, 2, 1)), ("2030-02-01T00:30:00+01:00", date(2030, 1, 1))],
)
def test_the_month_of_a_message_is_the_one_in_utc(accepted_at: str, month: date) -> None:
    priced = handled(changed(acceptedAt=accepted_at))
    assert isinstance(priced, Priced)
    assert priced.month == month


def test_another_domain_s_record_is_not_even_parsed() -> None:
    assert handled(a_record(b"\xff", (("domain", b"authentication"),))) is None


def test_what_belongs_to_nobody_is_left_to_the_topic_s_own_answerer() -> None:
    elsewhere = a_billing_config("marketing", unrouted=("prepaid",))
    assert handled(a_record(headers=()), elsewhere) is None
    letter = handled(a_record(headers=()))
    assert isinstance(letter, Letter)
    assert letter.error == "UnknownDomain"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"to": "12025550123"}, "to: String should match pattern"),
        ({"billingType": "Barter"}, "billingType: Input should be 'Postpaid' or 'Prepaid'"),
        ({"accountId": None}, "accountId: Input should be a valid string"),
        ({"tenant": "no tenant\0"}, "tenant: String should match pattern"),
        ({"acceptedAt": "2030-01-01T00:00:00"}, "acceptedAt: Input should have timezone info"),
        ({"validUntil": "2030-01-01T00:00:00"}, "validUntil: Input should have timezone info"),
        ({"acceptedAt": "0001-01-01T00:00:00+01:00"}, "acceptedAt: outside of the calendar once it is UTC"),
    ],
)
def test_a_dead_letter_names_the_field_and_not_its_value(change: dict[str, object], why: str) -> None:
    letter = handled(changed(**change))
    assert isinstance(letter, Letter)
    assert letter.error == "InvalidMessage"
    assert letter.why.startswith(why)
    assert "2025550123" not in letter.why


def test_a_record_that_our_own_code_fails_on_is_a_dead_letter_that_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Rates, number: str, __: object) -> None:
        raise KeyError(number)

    monkeypatch.setattr(Rates, "price", fails)
    letter = handled(a_record())
    assert isinstance(letter, Letter)
    assert (letter.error, letter.is_callers) == ("ProcessorFault", False)
    assert re.fullmatch(r"KeyError at test_handling\.py:\d+", letter.why)


def test_times_are_told_in_utc_whatever_their_offset() -> None:
    """PostgreSQL refuses offsets that pydantic takes: a sink could not store what was charged."""
    priced = handled(changed(acceptedAt="2030-01-31T20:00:00-20:00"))
    assert isinstance(priced, Priced)
    assert '"acceptedAt":"2030-02-01T16:00:00Z"' in priced.message.model_dump_json(by_alias=True)
    assert priced.month == date(2030, 2, 1)


def test_a_field_of_a_newer_version_is_passed_over() -> None:
    assert isinstance(handled(changed(more=1)), Priced)


def test_a_value_of_another_domain_than_its_header_is_nobody_s_to_charge() -> None:
    letter = handled(a_record(headers=(("domain", b"authentication"),)), PROCESSORS[1])
    assert letter == Letter(
        a_record(headers=(("domain", b"authentication"),)), "WrongDomain", "header authentication, value marketing"
    )


header_values = st.sampled_from([domain.encode() for domain in DOMAINS]) | st.none() | st.binary(max_size=20)
some_headers = st.lists(st.tuples(st.sampled_from(["domain", "Domain", "other"]), header_values), max_size=3)
some_values = st.none() | st.binary() | st.just(MESSAGE.model_dump_json().encode())


@given(some_headers, some_values)
def test_exactly_one_processor_answers(headers: list[tuple[str, bytes | None]], value: bytes | None) -> None:
    record = Record("postpaid", 3, 42, b"key", value, tuple(headers))
    (item,) = [item for config in PROCESSORS if (item := handled(record, config))]
    assert item.record is record
