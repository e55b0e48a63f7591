"""When calls are made, and how often they are repeated, whatever happens."""

from hypothesis import given
from hypothesis import strategies as st

from messaging_api.topology import CircuitBreaker
from messaging_processors.sink.breaker import (
    FEWEST_CALLS,
    RETRIES_PER_SECOND,
    RETRY_RATIO,
    RETRY_RESERVE,
    Breaker,
    BreakerState,
    RetryBudget,
)
from testkit.clocks import Clock

OPEN_FOR = 10.0
WINDOW = 30.0


def a_breaker(clock: Clock, failure_ratio: str = "0.5") -> Breaker:
    return Breaker(CircuitBreaker(failure_ratio=failure_ratio, window="30s", open_for="10s"), clock)


def call(breaker: Breaker, failed: bool, times: int = 1) -> None:
    for _ in range(times):
        assert breaker.allows
        breaker.end(breaker.begin(), failed)


def opened(clock: Clock) -> Breaker:
    breaker = a_breaker(clock)
    call(breaker, failed=True, times=FEWEST_CALLS)
    return breaker


def test_it_opens_once_enough_calls_failed_and_stays_so_for_its_time() -> None:
    clock = Clock()
    breaker = a_breaker(clock)
    call(breaker, failed=True, times=FEWEST_CALLS - 1)
    assert breaker.state is BreakerState.CLOSED
    call(breaker, failed=True)
    assert (breaker.state, breaker.allows, breaker.remaining()) == (BreakerState.OPEN, False, OPEN_FOR)
    clock.now += OPEN_FOR - 0.1
    assert not breaker.allows
    clock.now += 0.1
    assert (breaker.state, breaker.allows) == (BreakerState.HALF_OPEN, True)


def test_the_ratio_is_that_of_the_window() -> None:
    clock = Clock()
    breaker = a_breaker(clock)
    call(breaker, failed=False, times=100)
    clock.now += WINDOW
    call(breaker, failed=False, times=4)
    call(breaker, failed=True, times=3)
    assert breaker.allows
    call(breaker, failed=True)
    assert not breaker.allows


def test_half_open_lets_one_call_through_and_its_end_decides() -> None:
    for failed, after in ((True, BreakerState.OPEN), (False, BreakerState.CLOSED)):
        clock = Clock()
        breaker = opened(clock)
        clock.now += OPEN_FOR
        probe = breaker.begin()
        assert not breaker.allows
        breaker.end(probe, failed)
        assert breaker.state is after


def test_a_call_that_began_before_it_opened_does_not_decide() -> None:
    clock = Clock()
    breaker = a_breaker(clock)
    late = breaker.begin()
    call(breaker, failed=True, times=FEWEST_CALLS)
    clock.now += OPEN_FOR
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.end(late, failed=False)
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.begin()
    breaker.end(late, failed=True)
    assert breaker.state is BreakerState.HALF_OPEN


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans())), st.sampled_from(["0.1", "0.5", "1"]))
def test_it_opens_for_the_ratio_and_never_lets_a_call_through_while_it_is_open(
    steps: list[tuple[float, bool]], ratio: str
) -> None:
    """Against the plain rule, call by call, over all that was seen since it last changed."""
    clock = Clock()
    breaker = a_breaker(clock, ratio)
    seen: list[tuple[float, bool]] = []
    open_until = 0.0
    for wait, failed in steps:
        clock.now += wait
        if clock.now < open_until:
            assert not breaker.allows
            continue
        is_probe = open_until > 0
        call(breaker, failed)
        seen = [(at, bad) for at, bad in [*seen, (clock.now, failed)] if at > clock.now - WINDOW]
        failures = sum(bad for _, bad in seen)
        opens = failed and (is_probe or (len(seen) >= FEWEST_CALLS and failures / len(seen) >= float(ratio)))
        open_until = clock.now + OPEN_FOR if opens else 0.0
        seen = [] if opens or is_probe else seen
        assert (breaker.state is BreakerState.OPEN) == opens


@given(st.lists(st.one_of(st.just("first"), st.just("again"), st.floats(0, 5)), max_size=300))
def test_repetitions_never_exceed_their_share(steps: list[str | float]) -> None:
    clock = Clock()
    begin = clock.now
    budget = RetryBudget(clock)
    firsts = repetitions = 0
    for step in steps:
        if step == "first":
            budget.first()
            firsts += 1
        elif step == "again":
            repetitions += budget.spend()
        else:
            clock.now += float(step)
        most = RETRY_RESERVE + firsts * RETRY_RATIO + (clock.now - begin) * RETRIES_PER_SECOND
        assert repetitions <= most + 1e-6


def test_what_is_used_up_comes_back_with_time() -> None:
    clock = Clock()
    budget = RetryBudget(clock)
    while budget.spend():
        pass
    assert 0 < budget.remaining() <= 1 / RETRIES_PER_SECOND
    clock.now += budget.remaining()
    assert budget.spend()
    assert not budget.spend()
