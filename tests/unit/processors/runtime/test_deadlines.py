"""Calls that do not keep their own deadline."""

import threading

import pytest

from messaging_processors.runtime.deadlines import within


def test_what_a_call_raises_is_raised() -> None:
    done: list[int] = []
    within(5, lambda: done.append(1))
    assert done == [1]
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)


def test_a_call_that_does_not_return_is_left_alone() -> None:
    stuck = threading.Event()
    with pytest.raises(TimeoutError, match=r"did not return in 0\.1 s"):
        within(0.1, stuck.wait)
    stuck.set()
