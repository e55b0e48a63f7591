"""What the world under test charges, and what its load sends, with everything counted by hand.

Nothing of the processors' own rating is used: that is what makes the checker's price an independent one.
"""

from dataclasses import dataclass

from messaging_api.message import MessageRequest
from messaging_api.money import amount
from messaging_api.tariff import Rate, Refund, Tariff

CURRENCY = "USD"
MARK = "Zq7"
"""Every text begins with it, and no log may have it."""
NUMBERS = "+120255501"
"""Every recipient begins with it, and no log may have it."""


@dataclass(frozen=True)
class Price:
    """Millionths for the message and for each segment."""

    fee: int
    segment: int


@dataclass(frozen=True)
class DomainTariff:
    """A domain's prices by the beginning of the number, the longest that fits counts; `""` fits all."""

    prices: dict[str, Price]
    free_segments: int
    refund: Refund

    def price(self, to: str, segments: int, free: int) -> int:
        """What a message costs, in millionths, when `free` of its segments are."""
        prefix = max((prefix for prefix in self.prices if to.startswith(prefix)), key=len)
        price = self.prices[prefix]
        return price.fee + price.segment * (segments - free)

    def declared(self) -> Tariff:
        """As a billing processor is told."""
        base = self.prices[""]
        rates = [
            Rate(prefix=prefix, per_message=amount(price.fee), per_segment=amount(price.segment))
            for prefix, price in self.prices.items()
            if prefix
        ]
        return Tariff(
            currency=CURRENCY,
            per_message=amount(base.fee),
            per_segment=amount(base.segment),
            rates=rates,
            free_segments=self.free_segments,
            refund=self.refund,
        )


TARIFFS = {
    "marketing": DomainTariff(
        {"": Price(1_000, 7_500), f"{NUMBERS}5": Price(1_000, 12_500), f"{NUMBERS}59": Price(0, 33_333)},
        free_segments=3,
        refund=Refund.ON_FAILURE,
    ),
    "authentication": DomainTariff({"": Price(20_000, 0)}, free_segments=0, refund=Refund.NEVER),
}
RECIPIENTS = tuple(f"{NUMBERS}{number}" for number in ("01", "23", "50", "55", "59", "99"))

# 3GPP TS 23.038 and 23.040: 160 septets, or 153 a segment; 70 of UCS-2, or 67 a segment; € takes two septets.
SEGMENTS = {
    MARK: 1,
    MARK + "a" * 157: 1,
    MARK + "a" * 158: 2,
    MARK + "a" * 303: 2,
    MARK + "a" * 304: 3,
    MARK + "€" * 78: 1,
    MARK + "€" * 79: 2,
    MARK + "ж" * 67: 1,
    MARK + "ж" * 68: 2,
    MARK + "ж" * 131: 2,
    MARK + "ж" * 132: 3,
}
"""Segments by text."""
BODIES = tuple(SEGMENTS)


def a_request(account: str, domain: str, number: int, valid_for: str = "") -> MessageRequest:
    """The `number`th message of a load: texts and recipients in turn, in all combinations."""
    return MessageRequest(
        account_id=account,
        domain=domain,
        to=RECIPIENTS[number % len(RECIPIENTS)],
        body=BODIES[number % len(BODIES)],
        valid_for=valid_for or None,
    )
