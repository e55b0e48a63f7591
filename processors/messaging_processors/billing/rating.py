"""What a message costs, pure. Called by `handling`; exact decimals, never a float.

The rate whose prefix is the longest beginning of the number counts, else the tariff itself; of either the price that
was in force when the message was accepted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain

from messaging_api.tariff import Price as DeclaredPrice
from messaging_api.tariff import Rate, Tariff


@dataclass(frozen=True, slots=True)
class Price:
    """A fee, and a price for each segment, in units of the tariff's currency."""

    per_message: Decimal
    per_segment: Decimal

    def of(self, segments: int) -> Decimal:
        """What so many segments cost."""
        return self.per_message + self.per_segment * segments


class Rates:
    """All prices of a tariff and its table; made once, for a table can be large."""

    def __init__(self, tariff: Tariff, table: Sequence[Rate] = ()) -> None:
        self._otherwise = _Schedule(tariff)
        self._by_prefix = {rate.prefix: _Schedule(rate) for rate in chain(table, tariff.rates)}
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix}, reverse=True)

    def price(self, number: str, accepted_at: datetime) -> Price:
        """The price of a message to `number`, E.164 with its plus sign; at most 15 look-ups."""
        for length in self._lengths:
            if schedule := self._by_prefix.get(number[:length]):
                return schedule.at(accepted_at)
        return self._otherwise.at(accepted_at)


class _Schedule:
    """A price and its changes, the latest first."""

    def __init__(self, declared: Tariff | Rate) -> None:
        self._first = _price(declared)
        changes = sorted(declared.changes, key=lambda change: change.effective_from, reverse=True)
        self._changes = [(change.effective_from, _price(change)) for change in changes]

    def at(self, moment: datetime) -> Price:
        return next((price for start, price in self._changes if start <= moment), self._first)


def _price(declared: DeclaredPrice) -> Price:
    return Price(Decimal(declared.per_message), Decimal(declared.per_segment))
