"""Records as values: offsets and dead letters."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from messaging_processors.runtime.records import (
    LONGEST_ERROR,
    Failure,
    Record,
    dead_letter,
    header,
    next_offsets,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
positions = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 2), st.integers(0, 50))


@given(st.lists(positions))
def test_reading_goes_on_after_the_last_record_of_each_partition(places: list[tuple[str, int, int]]) -> None:
    records = [Record(topic, partition, offset, None, None) for topic, partition, offset in places]
    offsets = next_offsets(records)
    assert offsets.keys() == {(topic, partition) for topic, partition, _ in places}
    for position, after in offsets.items():
        assert after == 1 + max(record.offset for record in records if record.position == position)


def test_a_header_that_is_there_twice_is_as_good_as_none() -> None:
    assert header((("domain", b"a"), ("domain", b"b")), "domain") is None
    assert header((("domain", b"a"), ("other", b"b")), "domain") == b"a"


def test_a_dead_letter_tells_where_it_comes_from_and_since_when() -> None:
    record = Record("postpaid", 3, 42, b"k", b"v", (("h", None),))
    failure = Failure("InvalidMessage", "é" * 1000, NOW, NOW + timedelta(seconds=5), attempts=7)
    letter = dead_letter(record, failure, "dlq", "billing-marketing")
    assert (letter.topic, letter.key, letter.value, letter.headers[0]) == ("dlq", b"k", b"v", ("h", None))
    about = {name: (value or b"").decode() for name, value in letter.headers[1:]}
    assert len(about.pop("dlq_error_message")) == LONGEST_ERROR
    assert about == {
        "dlq_processor": "billing-marketing",
        "dlq_error_class": "InvalidMessage",
        "dlq_attempts": "7",
        "dlq_topic": "postpaid",
        "dlq_partition": "3",
        "dlq_offset": "42",
        "dlq_first_failed_at": "2030-01-01T00:00:00+00:00",
        "dlq_last_failed_at": "2030-01-01T00:00:05+00:00",
    }
