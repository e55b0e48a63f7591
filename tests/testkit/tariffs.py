"""What the API server refuses of prices and of what else is about money, and the largest tariff that it takes."""

from collections.abc import Callable
from typing import Any

Spec = dict[str, Any]


def largest_tariff() -> dict[str, Any]:
    price = {"perMessage": "0.0100", "perSegment": "0.0075"}
    changes = [{"effectiveFrom": f"2027-0{month}-01T00:00:00Z", "perSegment": "0.0080"} for month in (1, 7)]
    rates = [{"prefix": f"+123456{place}", "perSegment": "0.0400", "changes": changes} for place in range(5)]
    table = {"configMapKeyRef": {"name": "rates", "key": "rates.csv"}}
    return price | {"currency": "USD", "changes": changes, "rates": rates, "ratesFrom": table, "refund": "OnFailure"}


MONEY: dict[str, tuple[Callable[[Spec], object], str]] = {
    "a price that is a float": (
        lambda s: s["billing"][0]["tariff"].update(perMessage=0.0075),
        "spec.billing[0].tariff.perMessage",
    ),
    "a price that is no number": (
        lambda s: s["billing"][0]["tariff"].update(perMessage="cheap"),
        "spec.billing[0].tariff.perMessage",
    ),
    "a tariff without a price": (
        lambda s: s["billing"][1]["tariff"].pop("perMessage"),
        "a price needs perMessage, perSegment or both",
    ),
    "a rate without a price": (
        lambda s: s["billing"][0]["tariff"]["rates"].append({"prefix": "+49"}),
        "a price needs perMessage, perSegment or both",
    ),
    "a change without a price": (
        lambda s: s["billing"][0]["tariff"].update(changes=[{"effectiveFrom": "2027-01-01T00:00:00Z"}]),
        "a price needs perMessage, perSegment or both",
    ),
    "a negative price": (
        lambda s: s["billing"][0]["tariff"].update(perSegment="-0.0075"),
        "spec.billing[0].tariff.perSegment",
    ),
    "a prefix that is none": (
        lambda s: s["billing"][0]["tariff"]["rates"][0].update(prefix="0044"),
        "spec.billing[0].tariff.rates[0].prefix",
    ),
    "a prefix priced twice": (
        lambda s: s["billing"][0]["tariff"]["rates"].append({"prefix": "+44", "perSegment": "1"}),
        'Duplicate value: {"prefix":"+44"}',
    ),
    "a change at no time": (
        lambda s: s["billing"][0]["tariff"].update(changes=[{"effectiveFrom": "soon", "perSegment": "1"}]),
        "spec.billing[0].tariff.changes[0].effectiveFrom",
    ),
    "a change at a time without a zone": (
        lambda s: s["billing"][0]["tariff"].update(
            changes=[{"effectiveFrom": "2027-01-01T00:00:00", "perSegment": "1"}]
        ),
        "spec.billing[0].tariff.changes[0].effectiveFrom in body must be of type date-time",
    ),
    "a change on a day": (
        lambda s: s["billing"][0]["tariff"].update(changes=[{"effectiveFrom": "2027-01-01", "perSegment": "1"}]),
        'effectiveFrom in body must be of type date-time: "2027-01-01"',
    ),
    "two changes at a time": (
        lambda s: s["billing"][0]["tariff"].update(
            changes=[{"effectiveFrom": "2027-01-01T00:00:00Z", "perSegment": price} for price in ("1", "2")]
        ),
        'Duplicate value: {"effectiveFrom":"2027-01-01T00:00:00Z"}',
    ),
    "more rates than a resource can hold": (
        lambda s: s["billing"][0]["tariff"].update(
            rates=[{"prefix": f"+4{place}", "perSegment": "1"} for place in range(1, 7)]
        ),
        "spec.billing[0].tariff.rates: Too many: 6: must have at most 5 items",
    ),
    "a refund of another kind": (
        lambda s: s["billing"][0]["tariff"].update(refund="Sometimes"),
        'spec.billing[0].tariff.refund: Unsupported value: "Sometimes"',
    ),
    "free segments below none": (
        lambda s: s["billing"][0]["tariff"].update(freeSegments=-1),
        "spec.billing[0].tariff.freeSegments",
    ),
    "rates from nowhere": (
        lambda s: s["billing"][0]["tariff"].update(ratesFrom={}),
        "spec.billing[0].tariff.ratesFrom.configMapKeyRef: Required value",
    ),
    "messages that are valid for no time": (
        lambda s: s["billing"][0].update(validFor="0s"),
        "spec.billing[0].validFor",
    ),
    "bodies that are kept for no time": (
        lambda s: s["database"].update(retention={"bodies": "0d"}),
        "spec.database.retention.bodies",
    ),
    "a breaker that is always open": (
        lambda s: s["sinks"][0]["thirdParty"].update(circuitBreaker={"failureRatio": "0.00"}),
        "spec.sinks[0].thirdParty.circuitBreaker.failureRatio",
    ),
    "a breaker that is open at 0": (
        lambda s: s["sinks"][0]["thirdParty"].update(circuitBreaker={"failureRatio": "0"}),
        "spec.sinks[0].thirdParty.circuitBreaker.failureRatio",
    ),
}
