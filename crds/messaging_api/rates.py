"""The table of `tariff.ratesFrom`: CSV (RFC 4180) → rates. Pure.

    prefix,perSegment,effectiveFrom
    +44,0.0400,
    +44,0.0450,2027-01-01T00:00:00Z

The columns `perMessage` and `perSegment` may be left out, one of them; so may `effectiveFrom`, in the header or in a
row. A row that has it is a change of its prefix, which needs one row without.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import count
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, ValidationError

from messaging_api.base import Model, Money
from messaging_api.tariff import Prefix, PriceChange, Rate

_EXPECTED = {
    "prefix": "the beginning of an E.164 number, such as +44",
    "perMessage": "a decimal with at most 6 places, such as 0.0400",
    "perSegment": "a decimal with at most 6 places, such as 0.0400",
    "effectiveFrom": "a time with its zone, such as 2027-01-01T00:00:00Z",
}
_PRICES = ("perMessage", "perSegment")
_MOST_CHANGES = 2


class RatesError(ValueError):
    """Names the row (the header is row 1), the column and the value, and what would do."""


def _spelled_out(text: str) -> str:
    """A mere number would pass as seconds since 1970: 20270101 as a time long past."""
    if "T" not in text:
        raise ValueError("no time")
    return text


class _Row(Model):
    prefix: Prefix
    per_message: Money | None = None
    per_segment: Money | None = None
    effective_from: Annotated[AwareDatetime, BeforeValidator(_spelled_out)] | None = None

    @property
    def prices(self) -> dict[str, Money]:
        """Those that it names."""
        named = {"per_message": self.per_message, "per_segment": self.per_segment}
        return {name: price for name, price in named.items() if price is not None}


def read_rates(text: str) -> list[Rate]:
    """In the order of the table; raises `RatesError` for the first row that is wrong."""
    bases: dict[str, tuple[int, _Row]] = {}
    changes = defaultdict[str, list[tuple[int, _Row]]](list)
    for number, row in _rows(text):
        if row.effective_from:
            changes[row.prefix].append((number, row))
        elif row.prefix in bases:
            raise RatesError(f"row {number}, prefix: {row.prefix!r} stands in row {bases[row.prefix][0]} already")
        else:
            bases[row.prefix] = number, row
    for prefix, (first, *_) in changes.items():
        if prefix not in bases:
            raise RatesError(f"row {first[0]}, prefix: {prefix!r} has no row without effectiveFrom; add one")
    return [
        Rate(prefix=row.prefix, **row.prices, changes=_changes(changes[prefix])) for prefix, (_, row) in bases.items()
    ]


def _changes(rows: Iterable[tuple[int, _Row]]) -> list[PriceChange]:
    """The earliest first."""
    found: dict[AwareDatetime, PriceChange] = {}
    for number, row in rows:
        at = row.effective_from
        assert at
        if at in found:
            raise RatesError(f"row {number}, effectiveFrom: {row.prefix!r} changes at {at.isoformat()} already")
        if len(found) == _MOST_CHANGES:
            raise RatesError(
                f"row {number}, prefix: {row.prefix!r} has {_MOST_CHANGES} changes already; drop a past one"
            )
        found[at] = PriceChange(**row.prices, effective_from=at)
    return [found[at] for at in sorted(found)]


def _rows(text: str) -> Iterator[tuple[int, _Row]]:
    """With the number of each; empty lines are passed over."""
    lines = zip(count(1), csv.reader(StringIO(text.removeprefix("\ufeff")), strict=True), strict=False)
    try:
        header = next(([cell.strip() for cell in cells] for _, cells in lines if cells), [])
        _check(header)
        for number, cells in lines:
            if cells:
                yield number, _row(number, header, [cell.strip() for cell in cells])
    except csv.Error as error:
        raise RatesError(f"not CSV: {error}") from error


def _check(header: list[str]) -> None:
    unknown = [name for name in header if name not in _EXPECTED]
    if unknown or len(set(header)) < len(header):
        raise RatesError(f"row 1: the columns are {','.join(_EXPECTED)}, each once, and not {','.join(header)}")
    if "prefix" not in header or not set(_PRICES) & set(header):
        raise RatesError(f"row 1: the columns prefix and {' or '.join(_PRICES)} are needed, found {','.join(header)}")


def _row(number: int, header: list[str], cells: list[str]) -> _Row:
    if len(cells) != len(header):
        raise RatesError(f"row {number}: {len(cells)} values for {len(header)} columns")
    try:
        row = _Row.model_validate({name: cell for name, cell in zip(header, cells, strict=True) if cell})
    except ValidationError as error:
        column = str(error.errors()[0]["loc"][0])
        value = dict(zip(header, cells, strict=True))[column]
        raise RatesError(f"row {number}, {column}: {value!r} is not {_EXPECTED[column]}") from error
    if not row.prices:
        raise RatesError(f"row {number}, {' and '.join(_PRICES)}: empty, a price needs one of them or both")
    return row
