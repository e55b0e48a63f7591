"""Check 9: what the processors said."""

import json
from collections.abc import Iterator

from chaos.observed import LogLine, Observed
from chaos.tariffs import MARK, NUMBERS
from chaos.violations import Check, Violation, each

KEY_MARK = "load-key-"
"""Every Idempotency-Key begins with it."""
_LOUD = ("error", "critical")
EXPECTED = (
    "the Kafka producer met a fatal error and is replaced",
    "TXNERR ",  # librdkafka, of a transaction to be aborted: a rebalance ended its generation, or Kafka is away
    "FAIL ",  # librdkafka, of a connection
    "ERROR ",  # the same, of all of them
    "REQTMOUT ",
    "FATAL ",  # of a producer that is fenced or whose epoch is gone: it is replaced
)
"""How events begin that are told as errors and belong to the faults."""


def errors(world: Observed) -> Iterator[Violation]:
    """Every line is JSON of a level below error, but for the expected."""
    return each(Check.ERRORS, (line for line in world.logs if _is_loud(line)))


def privacy(world: Observed) -> Iterator[Violation]:
    """The digits count without the plus sign, too."""
    secrets = MARK, NUMBERS.removeprefix("+"), KEY_MARK
    return each(Check.PRIVACY, (line for line in world.logs if any(secret in line.text for secret in secrets)))


def _is_loud(line: LogLine) -> bool:
    try:
        said = json.loads(line.text)
    except ValueError:
        return True
    loud = said.get("level") in _LOUD or "exception" in said
    return loud and not str(said.get("event")).startswith(EXPECTED)
