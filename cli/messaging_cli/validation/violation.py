"""Field errors in the API server's own sentences; made by the checks of this package, printed by `mtop validate`."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong; where `blocking`, rules would not know what they evaluate and are not run."""

    field: str
    message: str
    blocking: bool = False

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


UNCHECKED = Violation(
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid;"
    " correct the existing errors to complete validation",
)


def unknown(field: str) -> Violation:
    return Violation(field, f'unknown field "{field}"', blocking=True)


def required(field: str) -> Violation:
    return Violation(field, "Required value", blocking=True)


def wrong_type(field: str, expected: str, found: str) -> Violation:
    detail = f'{field} in body must be of type {expected}: "{found}"'
    return Violation(field, f'Invalid value: "{found}": {detail}', blocking=True)


def unsupported(field: str, value: object, supported: list[str]) -> Violation:
    values = ", ".join(map(_shown, supported))
    return Violation(field, f"Unsupported value: {_shown(value)}: supported values: {values}", blocking=True)


def too_long(field: str, limit: int) -> Violation:
    return Violation(field, f"Too long: may not be more than {_counted(limit, 'byte')}", blocking=True)


def too_many(field: str, count: int, limit: int) -> Violation:
    return Violation(field, f"Too many: {count}: must have at most {_counted(limit, 'item')}", blocking=True)


def out_of_bounds(field: str, value: object, bound: str) -> Violation:
    """A value of the right type that is not as it `should` be."""
    return Violation(field, f"Invalid value: {_shown(value)}: {field} in body should {bound}")


def duplicate(field: str, value: object) -> Violation:
    return Violation(field, f"Duplicate value: {_shown(value)}")


def no_map_item(field: str, value: object) -> Violation:
    return Violation(field, f"Invalid value: {_shown(value)}: must be an object for an array of list-type map")


def failed_rule(field: str, kind: str, sentence: str) -> Violation:
    """A rule that cannot be evaluated on this value."""
    return Violation(field or "<nil>", f'Invalid value: "{kind}": {sentence}')


def broken_rule(field: str, value: object, sentence: str) -> Violation:
    """An object or a list is not shown, it would be the whole document."""
    shown = "" if isinstance(value, dict | list) else f"{_shown(value)}: "
    return Violation(field or "<nil>", f"Invalid value: {shown}{sentence}")


def broken_table(field: str, sentence: str) -> Violation:
    """Of which the API server knows nothing."""
    return Violation(field, f"Invalid value: {sentence}")


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
