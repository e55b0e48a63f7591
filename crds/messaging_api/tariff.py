"""What messages cost, as a platform team declares it: a part of the resource, beside `topology`."""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field

from messaging_api.base import Currency, Model, Money, cel, keyed_by, rules


class Price(Model):
    """What a message costs: a fee, and a price for each of its segments (3GPP TS 23.038, 23.040)."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("has(self.perMessage) || has(self.perSegment)", message="a price needs perMessage, perSegment or both")
        )
    )

    per_message: Money = "0"
    per_segment: Money = "0"


class PriceChange(Price):
    """Another price for what is accepted from then on. What is in the ledger already stays as it was."""

    effective_from: Annotated[
        AwareDatetime, Field(description="RFC 3339, such as 2027-01-01T00:00:00Z.", json_schema_extra={"maxLength": 35})
    ]


Prefix = Annotated[
    str, Field(max_length=16, pattern=r"^\+[1-9][0-9]{0,14}$", description="The beginning of an E.164 number.")
]


class Rate(Price):
    """The price of numbers that begin with `prefix`; of several that fit, the longest counts."""

    prefix: Prefix
    changes: Annotated[list[PriceChange], Field(max_length=2, json_schema_extra=keyed_by("effectiveFrom"))] = []


class ConfigMapKey(Model):
    """One key of a ConfigMap in the topology's namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    key: Annotated[str, Field(min_length=1, max_length=253)]


class RatesSource(Model):
    """A table too large for the resource: CSV, as `rates` reads it."""

    config_map_key_ref: ConfigMapKey


class Refund(StrEnum):
    """Whether a message that was charged and never arrives is paid back."""

    NEVER = "Never"
    ON_FAILURE = "OnFailure"


class Tariff(Price):
    """What messages of a domain cost, wherever no rate says otherwise."""

    currency: Currency
    changes: Annotated[list[PriceChange], Field(max_length=2, json_schema_extra=keyed_by("effectiveFrom"))] = []
    rates: Annotated[list[Rate], Field(max_length=5, json_schema_extra=keyed_by("prefix"))] = []
    rates_from: RatesSource | None = None
    free_segments: Annotated[
        int, Field(ge=0, le=1_000_000, description="For each account and calendar month (UTC); the fee is not waived.")
    ] = 0
    refund: Refund = Refund.NEVER
