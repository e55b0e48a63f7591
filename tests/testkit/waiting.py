"""The only waiting in the tests: poll until it is true, or say what was last seen."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


def for_seconds(seconds: float) -> None:
    """What has to last, lasts that long."""
    end = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= end, seconds + 1, every=min(seconds, 0.2))


@contextmanager
def must_answer(*silence: type[Exception]) -> Iterator[None]:
    """That something does not answer is a failed assertion: `eventually` asks again, everybody else fails.

    For the doors through which tests look at what can be restarting just then; a decorator, too.
    """
    try:
        yield
    except silence as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error
