"""What every model of the contract shares: camelCase on the wire, nothing unknown, immutable."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "messagingtopology.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "MessagingTopology"
PLURAL = "messagingtopologies"


class Model(BaseModel):
    """A value of the contract. Unknown fields are refused, so that a typo is an error and not a default."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
    )


def cel(rule: str, message: str = "", expression: str = "") -> dict[str, str]:
    """One `x-kubernetes-validations` entry: a fixed message, or a CEL expression that names the offenders.

    Expressions must use `'%s'.format([...])`: concatenated strings burst the API server's cost budget.
    """
    return {"rule": rule} | ({"messageExpression": expression} if expression else {"message": message})


def rules(*validations: dict[str, str]) -> dict[str, Any]:
    """The schema extension that carries CEL rules, for `json_schema_extra`."""
    return {"x-kubernetes-validations": list(validations)}


def keyed_by(key: str, *validations: dict[str, str]) -> dict[str, Any]:
    """Marks a list as a map by `key`: duplicates are refused and transition rules follow an item through reordering."""
    listing = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return listing | (rules(*validations) if validations else {})


ProcessorName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]
TopicName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?$")]
Duration = Annotated[
    str,
    Field(
        max_length=12, pattern=r"^[1-9][0-9]{0,8}(ms|s|m|h|d)$", description="For example 200ms, 5s, 1h, 30d; never 0."
    ),
]
Money = Annotated[
    str,
    Field(max_length=20, pattern=r"^[0-9]{1,12}(\.[0-9]{1,6})?$", description="A decimal string, never a float."),
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", max_length=3, description="ISO 4217 code.")]
Domain = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(duration: Duration) -> float:
    """`200ms` → 0.2, `1h` → 3600.0."""
    digits = duration.rstrip("dhms")
    return int(digits) * _UNITS[duration[len(digits) :]]
