"""Dead letters as values: what is read from a record, what goes back, what marks it."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from messaging_cli.letter_views import letters_table, summaries_table
from messaging_cli.letters import Headers, Letter, Place, Selection, marked, marker, read_letter, restored, summaries
from messaging_processors.runtime.records import Failure, Record, dead_letter

AT = Place("marketing.dlq", 2, 7)
NOW = datetime(2030, 1, 1, tzinfo=UTC)
own = st.lists(st.tuples(st.text(max_size=8), st.none() | st.binary(max_size=8)), max_size=4)


def a_letter(value: bytes = b"{}", headers: Headers = (), attempts: int = 1, error: str = "Invalid") -> Letter:
    record = Record("postpaid", 3, 42, b"account-1", value, headers)
    outgoing = dead_letter(record, Failure(error, "why", NOW, NOW, attempts), "marketing.dlq", "marketing")
    letter = read_letter(AT, outgoing.key, outgoing.value, outgoing.headers)
    assert letter is not None
    return letter


@given(own.filter(lambda headers: not any(name.startswith("dlq_") for name, _ in headers)))
def test_what_the_processors_write_is_read_and_goes_back_as_it_was(headers: list[tuple[str, bytes | None]]) -> None:
    letter = a_letter(b"\x00value", tuple(headers), attempts=3)
    assert (letter.source, letter.processor, letter.attempts) == (Place("postpaid", 3, 42), "marketing", 3)
    assert (letter.key, letter.value) == (b"account-1", b"\x00value")
    assert letter.headers == (*headers, ("dlq_attempts", b"3"))


def test_attempts_of_a_replayed_record_add_up() -> None:
    again = a_letter(headers=a_letter(attempts=2).headers, attempts=3)
    assert again.attempts == 5
    assert again.headers == (("dlq_attempts", b"5"),)


def test_a_record_cannot_pretend_to_come_from_elsewhere() -> None:
    forged = (("dlq_topic", b"elsewhere"), ("dlq_processor", b"x"), ("dlq_attempts", b"many"))
    letter = a_letter(headers=forged)
    assert (letter.source.topic, letter.processor, letter.attempts) == ("postpaid", "marketing", 1)
    assert restored(forged) == (("dlq_attempts", b"0"),)


BEFORE, AFTER = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("conditions", "meant"),
    [
        ({}, True),
        ({"error": "Invalid"}, True),
        ({"error": "Unknown"}, False),
        ({"key": "account-1"}, True),
        ({"key": "account-2"}, False),
        ({"since": NOW, "until": NOW}, True),
        ({"since": AFTER}, False),
        ({"until": BEFORE}, False),
        ({"partition": 2, "first": 7, "last": 7}, True),
        ({"partition": 1}, False),
        ({"first": 8}, False),
        ({"last": 6}, False),
        ({"error": "Invalid", "key": "account-2"}, False),
    ],
)
def test_a_selection_means_what_fits_all_of_it(conditions: dict[str, Any], meant: bool) -> None:
    assert Selection("marketing", **conditions)(a_letter()) is meant
    assert not Selection("another", **conditions)(a_letter())


@pytest.mark.parametrize(
    ("value", "headers", "found"),
    [
        (b'{"id": "inside"}', (("ce_id", b"outside"),), "outside"),
        (b'{"id": "inside"}', (), "inside"),
        (b'{"id": 7}', (), ""),
        (b"[" * 100_000, (), ""),
        (b"\xff", (), ""),
        (b'{"id": "\\ud800"}', (), "\\ud800"),
    ],
)
def test_the_message_id_is_the_event_s_or_the_value_s(value: bytes, headers: Headers, found: str) -> None:
    assert a_letter(value, headers).message_id == found


def test_a_marker_names_its_letter_and_is_none() -> None:
    headers = marker(a_letter())
    assert marked(Place("marketing.dlq", 2, 99), None, headers) == AT
    assert read_letter(AT, b"account-1", None, headers) is None


def test_a_letter_is_no_marker_whatever_headers_its_record_had() -> None:
    outgoing = dead_letter(
        Record("postpaid", 0, 0, None, None, (("dlq_replayed", b"7"),)),
        Failure("Invalid", "", NOW, NOW),
        "marketing.dlq",
        "marketing",
    )
    assert marked(AT, outgoing.value, outgoing.headers) is None
    assert marked(AT, b"text", (("dlq_replayed", b"7"),)) is None
    assert marked(AT, None, (("dlq_replayed", b"x"),)) is None


def test_what_a_client_wrote_cannot_reach_the_terminal() -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    hostile = a_letter(b"\x1b[31mred\x07", (("ce_id", b"\x1b]0;x\x07[bold]y"),))
    console.print(letters_table([hostile], body=True), summaries_table(summaries([hostile])))
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert r"\x1b[31mred\x07" in told
    assert r"\x1b]0;x\x07[bold]y" in told
    assert "\x1b[31m" not in told
    assert "\x07" not in told


def test_the_table_at_a_fixed_width() -> None:
    console = Console(file=io.StringIO(), width=90)
    console.print(summaries_table(summaries([a_letter(), a_letter(), a_letter(error="Unknown")])))
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == [  # type: ignore[attr-defined]
        "",
        "  Topic           Letters   Errors      Oldest (UTC)          Newest (UTC)",
        " ─────────────────────────────────────────────────────────────────────────────────",
        "  marketing.dlq   3         2 Invalid   2030-01-01 00:00:00   2030-01-01 00:00:00",
        "                            1 Unknown",
        "",
    ]
