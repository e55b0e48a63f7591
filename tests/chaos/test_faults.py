"""Every fault, one after the other, on one world; between them it comes to rest and the oracle looks at everything."""

import pytest

from chaos.episode import Fault
from chaos.faults import FAULTS
from chaos.judge import Judge


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.name))
def test_every_promise_holds(judge: Judge, fault: Fault) -> None:
    judge.strikes(fault)
