"""How many dead letters may be written: a burst, a share of what goes well, and then hardly any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_processors.runtime.dead_letter_rate import DeadLetterRate
from testkit.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rate(clock: Clock) -> DeadLetterRate:
    return DeadLetterRate(clock)


def test_a_burst_has_room_and_no_more(rate: DeadLetterRate) -> None:
    assert (rate.room(), rate.seconds()) == (100, 0)
    rate.written(60, 0)
    assert rate.room() == 40
    rate.written(40, 0)
    assert (rate.room(), rate.seconds()) == (0, 60)
    assert "for 60 s" in rate.why


def test_once_empty_it_opens_for_ten_letters_a_minute(rate: DeadLetterRate, clock: Clock) -> None:
    rate.written(100, 0)
    clock.now += 59
    assert (rate.room(), round(rate.seconds(), 6)) == (0, 1)
    clock.now += 1
    assert rate.room() == 10
    rate.written(4, 0)
    assert rate.room() == 6, "what is open stays open until it is empty"


def test_one_in_twenty_records_may_be_bad_for_ever(rate: DeadLetterRate) -> None:
    for _ in range(100):
        assert rate.room() >= 25
        rate.written(25, 500)
    assert rate.room() == 100


def test_quiet_times_save_up_a_burst_and_no_more(rate: DeadLetterRate, clock: Clock) -> None:
    rate.written(100, 0)
    clock.now += 1_000_000
    assert rate.room() == 100


turns = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.floats(0, 30)))


@given(turns)
def test_whoever_takes_only_what_has_room_never_exceeds_the_bound(turns: list[tuple[int, int, float]]) -> None:
    clock = Clock()
    rate, written, well = DeadLetterRate(clock), 0, 0
    for bad, good, seconds in turns:
        letters = min(bad, rate.room())
        rate.written(letters, good)
        written, well = written + letters, well + good
        clock.now += seconds
    assert written <= 100 + well * 0.05 + (clock.now - 1000) / 6 + 1e-6
