"""What billing counts of its decisions."""

from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from messaging_api.account import EntryKind
from messaging_processors.billing.counting import count
from messaging_processors.billing.deciding import Decision, Emission, Repeat
from messaging_processors.billing.handling import Letter
from testkit.deciding import a_priced, an_entry

PRICED = a_priced()
ENTRY = an_entry(PRICED)
REFUSAL = replace(ENTRY, kind=EntryKind.REFUSAL, reason="InsufficientBalance")


@pytest.mark.parametrize(
    ("decision", "metric", "labels"),
    [
        (Emission(PRICED, ENTRY, again=False), "messaging_messages_charged_total", {}),
        (Emission(PRICED, REFUSAL, again=False), "messaging_messages_refused_total", {"reason": "InsufficientBalance"}),
        (Emission(PRICED, ENTRY, again=True), "messaging_outcomes_reemitted_total", {}),
        (Repeat(PRICED), "messaging_duplicates_suppressed_total", {}),
        (Letter(PRICED.record, "UnknownAccount", ""), "messaging_dead_letters_total", {"error": "UnknownAccount"}),
    ],
)
def test_each_decision_counts_once(decision: Decision, metric: str, labels: dict[str, str]) -> None:
    before = REGISTRY.get_sample_value(metric, labels) or 0
    count(decision)
    assert REGISTRY.get_sample_value(metric, labels) == before + 1
