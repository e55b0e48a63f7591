"""What one tenant may ask, and that it is nobody else's."""

import pytest

from messaging_api.topology import RateLimit
from messaging_processors.gateway.limiting import RateLimiter
from messaging_processors.runtime.problems import ProblemError
from testkit.waiting import eventually


def admitted(limiter: RateLimiter, tenant: str, asked: int) -> int:
    """How many of so many requests at once are let in."""
    refused = 0
    for _ in range(asked):
        try:
            limiter.admit(tenant)
        except ProblemError:
            refused += 1
    return asked - refused


@pytest.mark.parametrize(("burst", "at_once"), [(None, 2), (1, 1), (5, 5)])
def test_a_burst_is_let_in_and_no_more(burst: int | None, at_once: int) -> None:
    limiter = RateLimiter(RateLimit(requests_per_second=2, burst=burst))
    assert admitted(limiter, "shop", 10) == at_once


def test_nobody_pays_for_another_s_hurry() -> None:
    limiter = RateLimiter(RateLimit(requests_per_second=1, burst=3))
    assert admitted(limiter, "shop", 10) == admitted(limiter, "bank", 3) == 3


def test_what_is_refused_delays_nothing() -> None:
    limiter = RateLimiter(RateLimit(requests_per_second=1))
    assert admitted(limiter, "shop", 1000) == 1
    with pytest.raises(ProblemError) as refused:
        limiter.admit("shop")
    assert refused.value.headers == {"Retry-After": "1"}


def test_a_bucket_fills_again() -> None:
    limiter = RateLimiter(RateLimit(requests_per_second=20, burst=1))
    assert admitted(limiter, "shop", 2) == 1
    eventually(lambda: admitted(limiter, "shop", 1) == 1, within=5)
