"""The table of `tariff.ratesFrom`: what a price team keeps in CSV becomes rates, and a mistake is told by its place."""

from datetime import UTC, datetime

import pytest

from messaging_api.rates import RatesError, read_rates
from messaging_api.tariff import PriceChange, Rate

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)
SUMMER = datetime(2027, 7, 1, tzinfo=UTC)


def test_rows_become_rates_in_their_order() -> None:
    table = "prefix,perMessage,perSegment\n+44,0.01,0.0400\n+4477,,0.0500\n\n+1,0.02,\n"
    assert read_rates(table) == [
        Rate(prefix="+44", per_message="0.01", per_segment="0.0400"),
        Rate(prefix="+4477", per_segment="0.0500"),
        Rate(prefix="+1", per_message="0.02"),
    ]


def test_rows_with_a_time_are_changes_of_their_prefix_the_earliest_first() -> None:
    table = (
        "prefix,perSegment,effectiveFrom\n"
        "+44,0.0500,2027-07-01T02:00:00+02:00\n"
        "+44,0.0400,\n"
        "+44,0.0450,2027-01-01T00:00:00Z\n"
    )
    later, latest = (
        PriceChange(per_segment=p, effective_from=at) for p, at in (("0.0450", NEW_YEAR), ("0.0500", SUMMER))
    )
    assert read_rates(table) == [Rate(prefix="+44", per_segment="0.0400", changes=[later, latest])]


def test_what_a_spreadsheet_writes_is_read() -> None:
    assert read_rates('\ufeff"prefix","perSegment"\r\n"+44"," 0.0400"\r\n') == [
        Rate(prefix="+44", per_segment="0.0400")
    ]


def test_a_table_without_rows_has_no_rates() -> None:
    assert read_rates("prefix,perSegment\n") == []


TIMED = "prefix,perSegment,effectiveFrom\n+44,0.04,\n"
WRONG = {
    "nothing": ("", "row 1: the columns prefix and perMessage or perSegment are needed"),
    "no price column": ("prefix\n+44\n", "row 1: the columns prefix and perMessage or perSegment are needed"),
    "an unknown column": ("prefix,price\n+44,1\n", "row 1: the columns are prefix,perMessage,perSegment,effectiveFrom"),
    "a column twice": ("prefix,perSegment,perSegment\n", "row 1: the columns are"),
    "a prefix without its plus": ("prefix,perSegment\n44,1\n", "row 2, prefix: '44' is not the beginning of an E.164"),
    "no prefix": ("prefix,perSegment\n,1\n", "row 2, prefix: '' is not the beginning of an E.164 number"),
    "a prefix twice": ("prefix,perSegment\n+44,1\n+1,1\n+44,2\n", "row 4, prefix: '+44' stands in row 2 already"),
    "a price that is none": ("prefix,perSegment\n+44,1\n+1,cheap\n", "row 3, perSegment: 'cheap' is not a decimal"),
    "a negative price": ("prefix,perMessage\n+44,-1\n", "row 2, perMessage: '-1' is not a decimal"),
    "a decimal comma": ('prefix,perMessage\n+44,"0,04"\n', "row 2, perMessage: '0,04' is not a decimal"),
    "no price at all": ("prefix,perSegment\n+44,\n", "row 2, perMessage and perSegment: empty"),
    "a value too many": ("prefix,perSegment\n+44,0,04\n", "row 2: 3 values for 2 columns"),
    "no time": (TIMED + "+44,1,soon\n", "row 3, effectiveFrom: 'soon' is not a time with its zone"),
    "a time without a zone": (TIMED + "+44,1,2027-01-01T00:00:00\n", "row 3, effectiveFrom: '2027-01-01T00:00:00' is"),
    "a number for a time": (TIMED + "+44,1,20270101\n", "row 3, effectiveFrom: '20270101' is not a time"),
    "a time twice": (
        TIMED + "+44,1,2027-01-01T00:00:00Z\n+44,2,2027-01-01T01:00:00+01:00\n",
        "row 4, effectiveFrom: '+44' changes at 2027-01-01T01:00:00+01:00 already",
    ),
    "more changes than are kept": (
        TIMED + "".join(f"+44,1,2027-0{month}-01T00:00:00Z\n" for month in (1, 2, 3)),
        "row 5, prefix: '+44' has 2 changes already; drop a past one",
    ),
    "a change of nothing": (
        "prefix,perSegment,effectiveFrom\n+44,1,2027-01-01T00:00:00Z\n",
        "row 2, prefix: '+44' has no row without effectiveFrom; add one",
    ),
    "no CSV": ('prefix,perSegment\n"+44,1\n', "not CSV: unexpected end of data"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_names_its_row_its_column_and_its_value(case: str) -> None:
    table, said = WRONG[case]
    with pytest.raises(RatesError) as refusal:
        read_rates(table)
    assert str(refusal.value).startswith(said)
