"""Waiting for the ends of messages: no longer than they take, and dead letters only when rows bring no news."""

from collections.abc import Collection, Mapping

from messaging_cli.rows import Row
from messaging_cli.sending import settle

SENT, CHARGED = Row("sent", 1), Row("charged", 1)


class Readings:
    """Answers each reading with the next of `rows`, and with the last one from then on."""

    def __init__(self, *rows: Mapping[str, Row], dead: Collection[str] = ()) -> None:
        self.rows = list(rows)
        self.dead = dead
        self.asked: list[list[str]] = []
        self.times_dead_letters_were_read = 0

    def read(self, ids: Collection[str]) -> Mapping[str, Row]:
        self.asked.append(sorted(ids))
        rows = self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]
        return {id_: row for id_, row in rows.items() if id_ in ids}

    def dead_letters(self) -> Collection[str]:
        self.times_dead_letters_were_read += 1
        return self.dead


def test_only_what_is_open_is_read_again() -> None:
    readings = Readings({"a": SENT, "b": CHARGED}, {"b": SENT, "c": SENT})
    found = settle(["a", "b", "c"], readings.read, readings.dead_letters)
    assert readings.asked == [["a", "b", "c"], ["b", "c"]]
    assert found.states == dict.fromkeys("abc", "sent")
    assert readings.times_dead_letters_were_read == 0


def test_what_has_no_row_is_looked_for_among_dead_letters() -> None:
    readings = Readings({"a": SENT}, dead={"b", "z"})
    found = settle(["a", "b"], readings.read, readings.dead_letters)
    assert readings.times_dead_letters_were_read == 1
    assert not found.is_open("b")


def test_a_message_that_never_ends_is_given_up() -> None:
    readings = Readings({"a": CHARGED})
    found = settle(["a"], readings.read, readings.dead_letters, seconds=0)
    assert found.is_open("a")
    assert found.states == {"a": "charged"}


def test_somebody_may_want_to_stop() -> None:
    readings = Readings({"a": CHARGED})
    assert settle(["a"], readings.read, readings.dead_letters, go_on=lambda: False).is_open("a")


def test_nothing_needs_no_reading() -> None:
    readings = Readings({})
    settle([], readings.read, readings.dead_letters)
    assert readings.asked == []
