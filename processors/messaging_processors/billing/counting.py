"""What billing tells of its decisions once they are committed: metrics, and a line for each dead letter."""

import structlog

from messaging_api.account import EntryKind
from messaging_processors.billing.deciding import Decision, Emission, Repeat
from messaging_processors.runtime import metrics

_log = structlog.get_logger()


def count(decision: Decision) -> None:
    """Counts one decision."""
    match decision:
        case Emission(again=True):
            metrics.REEMITTED.inc()
        case Emission(entry=entry) if entry.kind is EntryKind.CHARGE:
            metrics.CHARGED.inc()
        case Emission(entry=entry):
            metrics.REFUSED.labels(entry.reason).inc()
        case Repeat():
            metrics.DUPLICATES.inc()
        case _:
            metrics.DEAD_LETTERS.labels(decision.error).inc()
            at = decision.record
            _log.warning("dead letter", topic=at.topic, partition=at.partition, offset=at.offset, error=decision.error)
