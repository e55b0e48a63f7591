"""What a message costs: the longest prefix, the price in force when it was accepted, to the last digit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_api.tariff import PriceChange, Rate, Tariff
from messaging_processors.billing.rating import Rates

NOW = datetime(2030, 6, 1, tzinfo=UTC)
NEXT_YEAR = datetime(2031, 1, 1, tzinfo=UTC)
LATER = datetime(2031, 6, 1, tzinfo=UTC)
TARIFF = Tariff(
    currency="USD",
    per_message="0.01",
    per_segment="0.0075",
    rates=[Rate(prefix="+1", per_segment="0.001"), Rate(prefix="+120255501", per_segment="0.002")],
    changes=[
        PriceChange(per_message="0.03", effective_from=LATER),
        PriceChange(per_message="0.02", effective_from=NEXT_YEAR),
    ],
)
TABLE = [
    Rate(prefix="+1", per_segment="9"),
    Rate(prefix="+1202", per_segment="0.0015", changes=[PriceChange(per_message="1", effective_from=NEXT_YEAR)]),
    Rate(prefix="+12025550199", per_segment="0.009"),
]


def cost(number: str, segments: int = 1, at: datetime = NOW) -> str:
    return f"{Rates(TARIFF, TABLE).price(number, at).of(segments):f}"


@pytest.mark.parametrize(
    ("number", "price"),
    [
        ("+447700900123", "0.0175"),  # the tariff's own
        ("+13105550100", "0.001"),  # in the tariff and in the table: the tariff's
        ("+12035550100", "0.001"),
        ("+12025560100", "0.0015"),
        ("+12025550123", "0.002"),
        ("+12025550199", "0.009"),
        ("+120255501991", "0.009"),
    ],
)
def test_the_longest_prefix_counts(number: str, price: str) -> None:
    assert cost(number) == price


@pytest.mark.parametrize(
    ("at", "price"),
    [
        (NEXT_YEAR - timedelta(microseconds=1), "0.0175"),
        (NEXT_YEAR, "0.02"),
        (LATER - timedelta(microseconds=1), "0.02"),
        (LATER, "0.03"),
    ],
)
def test_the_price_is_the_one_in_force_at_acceptance(at: datetime, price: str) -> None:
    assert Decimal(cost("+447700900123", at=at)) == Decimal(price)


def test_a_rate_has_changes_of_its_own() -> None:
    assert [cost("+12025560100", at=at) for at in (NOW, LATER)] == ["0.0015", "1"]


def test_each_segment_costs_the_fee_once() -> None:
    assert cost("+447700900123", 3) == "0.0325"
    assert cost("+447700900123", 0) == "0.0100"


prefixes = st.from_regex(r"\A\+[1-3]{1,6}\Z")


@given(st.lists(prefixes, unique=True, max_size=5), st.lists(prefixes, unique=True), st.from_regex(r"\A\+[1-3]{7}\Z"))
def test_any_table_is_read_like_a_search_through_all_of_it(inline: list[str], table: list[str], number: str) -> None:
    def rates(prefixes: list[str], start: int) -> list[Rate]:
        return [Rate(prefix=prefix, per_message=str(start + index)) for index, prefix in enumerate(prefixes)]

    tariff = Tariff(currency="USD", per_message="9999", rates=rates(inline, 0))
    known = rates(table, 1000) + tariff.rates  # of equal length the later one
    best = max(
        (rate for rate in known if number.startswith(rate.prefix)), key=lambda rate: len(rate.prefix), default=None
    )
    fitting = [rate for rate in known if best and rate.prefix == best.prefix]
    expected = fitting[-1].per_message if fitting else "9999"
    assert Rates(tariff, rates(table, 1000)).price(number, NOW).of(7) == Decimal(expected)
