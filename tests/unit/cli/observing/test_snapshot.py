"""What two snapshots say about speed, what offsets say about lag, what /metrics say about a process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest

from messaging_api import metrics
from messaging_cli.kafka import Partition
from messaging_cli.observing.snapshot import (
    Counters,
    Log,
    Processor,
    Replica,
    Snapshot,
    Tail,
    Topic,
    behind,
    count,
    lag,
    rates,
)

amounts = st.integers(0, 10**9)


def a_snapshot(at: float, written: int | None, *counters: Counters | None) -> Snapshot:
    replicas = tuple(Replica("billing", f"billing-{number}", found) for number, found in enumerate(counters))
    topics = (Topic("postpaid", 1, written),)
    return Snapshot(at, "user-api", "messaging", "ready", topics, (Processor("billing", 1, 1, "", replicas),))


def test_a_rate_is_a_difference_over_time() -> None:
    before = a_snapshot(10.0, 100, Counters(10, 1), Counters(20, 0))
    after = a_snapshot(12.0, 140, Counters(30, 2), Counters(24, 0))
    found = rates(before, after)
    assert (found.written, found.records, found.errors) == ({"postpaid": 20}, {"billing": 12}, {"billing": 0.5})


def test_a_process_that_began_anew_counts_from_nothing() -> None:
    found = rates(a_snapshot(0, 5, Counters(1000, 7)), a_snapshot(1, 5, Counters(3, 1)))
    assert (found.records, found.errors) == ({"billing": 3}, {"billing": 1})


def test_a_process_that_is_new_waits_for_its_second_snapshot() -> None:
    found = rates(a_snapshot(0, 5, Counters(10)), a_snapshot(1, 5, Counters(11), Counters(5000)))
    assert found.records == {"billing": 1}


def test_what_did_not_answer_has_no_rate() -> None:
    found = rates(a_snapshot(0, None, None), a_snapshot(1, 5, Counters(7)))
    assert (found.written, found.records, found.errors) == ({}, {}, {})


@given(amounts, amounts, amounts, amounts)
def test_no_rate_is_negative(first: int, second: int, third: int, fourth: int) -> None:
    found = rates(a_snapshot(0, first, Counters(third)), a_snapshot(1, second, Counters(fourth)))
    assert found.written["postpaid"] >= 0
    assert found.records["billing"] >= 0


HERE = ("a", 0)


@pytest.mark.parametrize(
    ("committed", "left"),
    [
        ({HERE: 30}, 20),
        ({HERE: 50}, 0),
        ({}, 40),  # nothing committed: all that is kept
        ({HERE: 3}, 40),  # committed before what retention has left
        ({HERE: 60}, 40),  # a topic that was made anew
    ],
)
def test_a_group_is_behind_by_what_it_has_not_committed(committed: dict[Partition, int], left: int) -> None:
    log = Log(0, starts={HERE: 10}, ends={HERE: 50}, committed={"group": committed})
    assert lag("a", "group", log) == left


@pytest.mark.parametrize(
    ("position", "left"),
    [
        (48, 2),  # hidden by an open transaction, or come since
        (47, 2),
        (46, 3),
        (43, 3),  # between them only what nobody reads
        (42, 4),
        (50, 0),
    ],
)
def test_in_a_known_tail_only_records_count(position: int, left: int) -> None:
    assert behind(position, 50, Tail(end=48, records=(42, 46))) == left


def test_a_topic_s_lag_is_that_of_its_partitions() -> None:
    ends = {("a", 0): 10, ("a", 1): 20, ("b", 0): 1000}
    log = Log(0, dict.fromkeys(ends, 0), ends, {}, {"group": {("a", 0): 7}}, {("a", 0): Tail(10, (8,))})
    assert lag("a", "group", log) == 21


def test_a_processor_s_metrics_are_counted() -> None:
    registry = CollectorRegistry()
    Counter(metrics.CONSUMED, "", registry=registry).inc(12)
    Counter(metrics.REDELIVERED, "", registry=registry).inc(2)
    letters = Counter(metrics.DEAD_LETTERS, "", ["error"], registry=registry)
    letters.labels("Invalid").inc()
    letters.labels("Unknown").inc(2)
    assert count(generate_latest(registry).decode()) == Counters(records=12, errors=2, dead_letters=3)


def test_a_server_s_errors_are_those_that_it_does_not_stand_by() -> None:
    registry = CollectorRegistry()
    requests = Counter(metrics.REQUESTS, "", ["route", metrics.STATUS_LABEL], registry=registry)
    for status in ("202", "400", "503", "unanswered"):
        requests.labels("/v1/messages", status).inc()
    assert count(generate_latest(registry).decode()) == Counters(records=4, errors=2)


def test_what_is_no_exposition_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid metric name"):
        count("<html>not found</html>")


def test_what_is_away_is_told_once() -> None:
    away = {"kafka": "k:9092: refused"}
    replicas = tuple(Replica("sink", f"sink-{number}", None, away) for number in range(3))
    processor = Processor("sink", 0, 3, "", replicas)
    assert processor.away == ["kafka: k:9092: refused"]
    assert processor.dead_letters is None
