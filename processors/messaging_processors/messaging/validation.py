"""What is wrong with a request, as a problem document, pure; `app` calls it with FastAPI's list of errors.

The only `phonenumbers` import.

Promise: the offending part is named (`field`), and nothing of what the caller sent is repeated.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import phonenumbers

from messaging_api.message import PhoneNumber
from messaging_processors.runtime.problems import ProblemError

_NOT_AN_OBJECT = "model_attributes_type"
_PLACES = ("body", "path", "query", "header")

ErrorDetails = Mapping[str, Any]
"""One of pydantic's error dictionaries: `type`, `loc`, `msg`."""


def problem_of(errors: Sequence[ErrorDetails], content_type: str) -> ProblemError:
    """The problem that stands for `errors`; the field is the first one's, the detail tells them all."""
    first = errors[0]
    if first["type"] == "json_invalid":
        wrong = f"The body is not JSON: {first['ctx']['error']} at position {first['loc'][-1]}."
        return ProblemError(400, wrong, field="body")
    if first["type"] == _NOT_AN_OBJECT and not _is_json(content_type):
        return ProblemError(415, "Send the body as Content-Type: application/json.", field="Content-Type")
    if first["type"] == "missing" and first["loc"][0] == "header":
        needed = f"{_field(first)}: needed, so that a repeat takes effect once; send a new one for each new request."
        return ProblemError(400, needed, field=_field(first))
    return ProblemError(422, "; ".join(map(_sentence, errors)), field=_field(first))


def require_possible_number(number: PhoneNumber) -> None:
    """Raises the 422 of a number that no numbering plan has room for: an unknown country code, or a wrong length.

    One that can only be dialled locally is none either: E.164 has no room for a number without its area.
    """
    try:
        found = phonenumbers.is_possible_number_with_reason(phonenumbers.parse(number))
    except phonenumbers.NumberParseException as error:
        raise _impossible() from error
    if found != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise _impossible()


def _impossible() -> ProblemError:
    return ProblemError(422, "to: not a possible number of any country (E.164)", field="to")


def _is_json(content_type: str) -> bool:
    subtype = content_type.partition(";")[0].strip().lower().removeprefix("application/")
    return subtype == "json" or subtype.endswith("+json")


def _field(error: ErrorDetails) -> str:
    """`("body", "accountId")` → `accountId`; `("body",)` → `body`, all of it."""
    place, *path = error["loc"]
    if place not in _PLACES:
        path = [place, *path]
    return ".".join(map(str, path)) or place


def _sentence(error: ErrorDetails) -> str:
    return f"{_field(error)}: {error['msg']}"
