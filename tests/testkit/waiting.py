"""The only waiting in the tests: poll until it is true, or say what was last seen."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(probe: Callable[[], T], within: float = 30.0, every: float = 0.2) -> T:
    """Calls `probe` until it returns something true, and returns that.

    An `AssertionError` raised by the probe counts as "not yet". After `within` seconds the last one is raised, so that
    the failure tells what was still wrong.
    """
    deadline = time.monotonic() + within
    while True:
        failure: AssertionError | None = None
        try:
            if found := probe():
                return found
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline:
            raise failure or AssertionError(f"not within {within:g} s: {probe}")
        time.sleep(every)
