"""Dead letters for people and for programs, pure: tables and plain data. Called by `commands.dlq`.

What a client wrote is text in a table, never markup.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from rich import box
from rich.table import Table
from rich.text import Text

from messaging_cli.letters import Letter, Summary, readable

Summaries = Mapping[tuple[str, str], Summary]
"""By processor and dead-letter topic."""
_DATE_WIDTH = 10


def summaries_answer(summaries: Summaries) -> list[dict[str, object]]:
    """One entry a processor and topic."""
    return [
        {
            "processor": processor,
            "topic": topic,
            "count": found.count,
            "replayed": found.replayed,
            "errors": dict(found.errors.most_common()),
            "oldest": _time(found.oldest),
            "newest": _time(found.newest),
        }
        for (processor, topic), found in summaries.items()
    ]


def summaries_table(summaries: Summaries) -> Table:
    """One row a processor and topic; what was replayed is told where it was asked for and there is any."""
    replayed = any(found.replayed for found in summaries.values())
    table = _table("Topic", "Letters", *(["Replayed"] if replayed else []), "Errors", "Oldest (UTC)", "Newest (UTC)")
    table.columns[0].no_wrap = True
    for (processor, topic), found in summaries.items():
        errors = "\n".join(f"{count} {error}" for error, count in found.errors.most_common())
        counts = (found.count, found.replayed) if replayed else (found.count,)
        _add(table, _whose(processor, topic), *counts, errors, _short(found.oldest), _short(found.newest))
    return table


def letters_answer(letters: Iterable[Letter], body: bool) -> list[dict[str, object]]:
    """One entry a letter; `body` adds the record's value as it is."""
    return [_letter(letter) | ({"body": readable(letter.value or b"")} if body else {}) for letter in letters]


def letters_table(letters: Iterable[Letter], body: bool) -> Table:
    """One row a letter."""
    table = _table("Letter", "Source", "Error", "Tries", "Failed (UTC)", "Message")
    table.columns[1].no_wrap = True
    if body:
        table.add_column("Body", overflow="fold")
    for letter in letters:
        times = "\n".join(dict.fromkeys((_short(letter.first_failed_at), _short(letter.last_failed_at))))
        error = f"{letter.error}: {letter.message}" + (" (replayed)" if letter.replayed else "")
        shown = (readable(letter.value or b""),) if body else ()
        _add(table, _at(letter), letter.source, error, letter.attempts, times, letter.message_id, *shown)
    return table


def plan_table(counts: Counter[tuple[str, str]]) -> Table:
    """What a replay would put back, by source topic and class of error."""
    table = _table("Back to", "Error", "Letters")
    for (topic, error), count in sorted(counts.items()):
        _add(table, topic, error, count)
    return table


def _letter(letter: Letter) -> dict[str, object]:
    return {
        "letter": _at(letter),
        "source": str(letter.source),
        "error": letter.error,
        "errorMessage": letter.message,
        "attempts": letter.attempts,
        "firstFailedAt": _time(letter.first_failed_at),
        "lastFailedAt": _time(letter.last_failed_at),
        "messageId": letter.message_id,
        "replayed": letter.replayed,
    }


def _whose(processor: str, topic: str) -> str:
    """Most topics are named after their processor."""
    return topic if topic == f"{processor}.dlq" else f"{topic} of {processor}"


def _at(letter: Letter) -> str:
    return f"{letter.at.partition}@{letter.at.offset}"


def _time(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def _short(at: datetime | None) -> str:
    """In UTC, and where the terminal is narrow the date above the time."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold", min_width=_DATE_WIDTH if "UTC" in column else None)
    return table


def _add(table: Table, *cells: object) -> None:
    table.add_row(*(Text(str(cell)) for cell in cells))
