"""Percentiles are values that were measured; latencies to a row are told by two clocks."""

import pytest

from messaging_cli.report import latency, percentile, report
from messaging_cli.rows import Row
from messaging_cli.traffic import NO_ANSWER, Answer


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        (range(1, 101), 0.5, 50),
        (range(1, 101), 0.95, 95),
        (range(1, 101), 0.99, 99),
        (range(1, 101), 1, 100),
        ([7], 0.5, 7),
        ([1, 2], 0.5, 1),
        ([1, 2, 3], 0.99, 3),
    ],
)
def test_nearest_rank(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_a_latency_is_in_milliseconds_whatever_the_order() -> None:
    found = latency([0.3, 0.1, 0.2])
    assert found
    assert (found.count, found.p50, found.max) == (3, 200, 300)


def test_nothing_has_no_latency() -> None:
    assert latency([]) is None


def an_answer(id_: str, seconds: float = 0.01, posted_at: float = 1000) -> Answer:
    return Answer("account-00", "marketing", 202, id_, posted_at=posted_at, seconds=seconds)


def test_the_way_to_the_row_is_that_of_sent_messages_by_one_clock() -> None:
    """The database's clock is 5 s ahead: 1005.25 there is 1000.25 here."""
    rows = {"a": Row("sent", 1005.25), "b": Row("charged", 1009), "z": Row("sent", 9999)}
    done = report([an_answer("a"), an_answer("b"), an_answer("c")], 1.0, rows, clock_offset=5)
    assert done.post_to_row
    assert (done.post_to_row.count, done.post_to_row.max) == (1, 250)
    assert done.states == {"sent": 1, "charged": 1, "no row": 1}


def test_what_was_refused_is_told_with_its_reason() -> None:
    poor = Row("refused", 1001, "InsufficientBalance")
    rows = {"a": poor, "b": poor, "c": Row("failed", 1001, "handset 7 was off"), "d": Row("expired", 1001, "Expired")}
    done = report([an_answer(id_) for id_ in "abcd"], 1.0, rows)
    assert done.states == {"refused (InsufficientBalance)": 2, "failed": 1, "expired": 1}


def test_refusals_and_silence_are_counted_and_do_not_touch_the_latency() -> None:
    refused = Answer("account-00", "marketing", 503, detail="try again", seconds=9)
    silent = Answer("account-00", "marketing", NO_ANSWER, detail="ConnectError: refused", seconds=9)
    done = report([an_answer("a"), refused, silent, silent, silent], 2.0)
    assert done.statuses == {"no answer": 3, "202": 1, "503": 1}
    assert done.refusals == {"503": "try again", "no answer": "ConnectError: refused"}
    assert done.per_second == 2.5
    assert done.post_to_202
    assert (done.post_to_202.count, done.post_to_202.max) == (1, 10)
    assert done.post_to_row is None
