"""Check 9: what the processors said, and whether they stayed."""

import json
from collections.abc import Iterator

from chaos.observed import Observed
from chaos.tariffs import MARK, NUMBERS
from chaos.violations import Check, Violation, each

KEY_MARK = "load-key-"
"""Every Idempotency-Key begins with it."""
_LOUD = ("error", "critical")


def ends(world: Observed) -> Iterator[Violation]:
    """It would be started again, and nobody would notice."""
    return each(Check.ENDS, world.ends)


def errors(world: Observed) -> Iterator[Violation]:
    """Every line is JSON of a level below error."""
    return each(Check.ERRORS, (line for line in world.logs if is_loud(line.text)))


def privacy(world: Observed) -> Iterator[Violation]:
    """The digits count without the plus sign, too."""
    secrets = MARK, NUMBERS.removeprefix("+"), KEY_MARK
    return each(Check.PRIVACY, (line for line in world.logs if any(secret in line.text for secret in secrets)))


def is_loud(line: str) -> bool:
    """Whether it tells of an error, or is none of our own log's lines at all; the operator's are judged by it, too."""
    try:
        said = json.loads(line)
    except ValueError:
        return True
    return said.get("level") in _LOUD or "exception" in said
