"""Waiting goes on over what is false, what fails an assertion and what does not answer, and over nothing else."""

from collections.abc import Callable, Iterator

import pytest

from testkit.waiting import eventually, must_answer


def a_probe(*results: bool | Exception) -> Callable[[], bool]:
    """Gives these one after the other; only a `ConnectionError` is silence to it."""
    remaining: Iterator[bool | Exception] = iter(results)

    @must_answer(ConnectionError)
    def probe() -> bool:
        result = next(remaining)
        if isinstance(result, Exception):
            raise result
        return result

    return probe


def test_what_does_not_answer_is_asked_again() -> None:
    assert eventually(a_probe(ConnectionRefusedError("not yet"), False, AssertionError(), True), every=0)


def test_the_last_silence_is_told() -> None:
    with pytest.raises(AssertionError, match="ConnectionError: still away"):
        eventually(a_probe(ConnectionError("still away")), within=-1)


def test_a_mistake_ends_the_waiting_at_once() -> None:
    with pytest.raises(KeyError):
        eventually(a_probe(KeyError("state"), True))
