"""Waiting longer with every failure in a row."""

import pytest

from messaging_processors.runtime.backoff import Backoff
from testkit.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backoff(clock: Clock) -> Backoff:
    return Backoff(clock)


def test_it_doubles_up_to_ten_seconds_with_some_jitter(backoff: Backoff) -> None:
    waits = [backoff.failed() for _ in range(100)]
    for wait, wanted in zip(waits, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4] + [10.0] * 94, strict=True):
        assert 0.8 * wanted <= wait <= 1.2 * wanted
    assert len(set(waits)) > 50


def test_success_makes_the_next_failure_the_first(backoff: Backoff) -> None:
    for _ in range(10):
        backoff.failed()
    backoff.succeeded()
    assert backoff.remaining() == 0
    assert backoff.failed() <= 0.24


@pytest.mark.parametrize(("asked", "wanted"), [(7.0, 7.0), (1e9, 300.0)])
def test_it_waits_as_long_as_the_other_side_asks_within_reason(backoff: Backoff, asked: float, wanted: float) -> None:
    assert backoff.failed(asked) == wanted


def test_being_asked_for_less_does_not_make_it_hasty(backoff: Backoff) -> None:
    assert [backoff.failed(0.0) for _ in range(8)][-1] >= 8.0


def test_remaining_runs_down(backoff: Backoff, clock: Clock) -> None:
    wait = backoff.failed(5.0)
    clock.now += 2
    assert backoff.remaining() == pytest.approx(wait - 2)
    clock.now += 10
    assert backoff.remaining() == 0
