"""Every fault, one after the other, on one world; between them it comes to rest and the oracle looks at everything."""

import pytest

from chaos.checks.money import NO_MONEY
from chaos.episode import Fault
from chaos.faults import FAULTS
from chaos.judge import Judge
from messaging_api.account import EntryKind
from messaging_api.message import MessageState


def _each(fault: Fault) -> pytest.ParameterSet:
    return pytest.param(fault, id=fault.name, marks=[pytest.mark.elsewhere] if fault.elsewhere else [])


@pytest.mark.parametrize("fault", [*map(_each, FAULTS)])
def test_every_promise_holds(judge: Judge, fault: Fault) -> None:
    judge.strikes(fault)


def test_the_load_has_met_every_kind_of_entry(judge: Judge) -> None:
    """Else the oracle has judged a ledger in which nothing could go wrong."""
    seen = judge.looks()
    kinds = {(entry.kind, entry.reason) for entry in seen.entries if entry.kind is not EntryKind.REVERSAL}
    refusals = {(EntryKind.REFUSAL, reason) for reason in NO_MONEY}
    assert kinds == {(EntryKind.CHARGE, ""), (EntryKind.TOP_UP, ""), (EntryKind.EXPIRY, "Expired"), *refusals}
    assert any(entry.kind is EntryKind.REVERSAL for entry in seen.entries)
    assert any(entry.free_segments for entry in seen.entries)
    assert {row.state for row in seen.rows} >= {MessageState.DELIVERED, MessageState.FAILED}
    assert {one.state for one in seen.remembered} >= {MessageState.DELIVERED, MessageState.FAILED}
