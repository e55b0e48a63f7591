"""What is given up when: what has lasted, and was looked at meanwhile."""

import pytest

from messaging_processors.runtime.patience import SECONDS, Patience, Trouble
from testkit.clocks import Clock


@pytest.mark.parametrize("trouble", Trouble)
def test_what_lasts_for_long_is_spent(trouble: Trouble) -> None:
    clock = Clock()
    patience = Patience(clock)
    for _ in range(int(SECONDS[trouble]) + 1):
        patience.note(trouble, lasts=True)
        assert patience.spent() is None
        clock.now += 1
    patience.note(trouble, lasts=True)
    assert patience.spent() is trouble


def test_what_ends_meanwhile_or_is_not_looked_at_is_not() -> None:
    clock = Clock()
    patience = Patience(clock)
    for _ in range(5):
        patience.note(Trouble.UNSETTLED, lasts=True)
        clock.now += SECONDS[Trouble.UNSETTLED] - 1
        patience.note(Trouble.UNSETTLED, lasts=False)
        patience.note(Trouble.REFUSED, lasts=False)
    patience.note(Trouble.UNSETTLED, lasts=True)
    clock.now += 1000
    assert patience.spent() is None
