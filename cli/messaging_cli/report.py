"""How sent traffic fared: answers by status, latencies, states of the rows; pure. Shown by `send` and by the demo."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.console import Group
from rich.table import Table

from messaging_api.message import MessageState
from messaging_cli.rows import Row
from messaging_cli.traffic import NO_ANSWER, Answer

NO_ROW = "no row"


@dataclass(frozen=True)
class Latency:
    """Milliseconds that `count` messages took."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True)
class Report:
    """`post_to_row` and `states` are None where no database was at hand."""

    messages: int
    per_second: float
    statuses: dict[str, int]
    refusals: dict[str, str]
    """By status, what one of the answers said."""
    post_to_202: Latency | None
    post_to_row: Latency | None = None
    states: dict[str, int] | None = None

    def document(self) -> dict[str, object]:
        """For programs."""
        return asdict(self)


def report(
    answers: Sequence[Answer], seconds: float, rows: Mapping[str, Row] | None = None, clock_offset: float = 0
) -> Report:
    """`clock_offset`: by how much the clock of `rows` is ahead of that of `answers`."""
    accepted = [answer for answer in answers if answer.accepted]
    return Report(
        messages=len(answers),
        per_second=round(len(answers) / seconds, 1) if seconds else 0,
        statuses=statuses(answers),
        refusals={status_name(answer): answer.detail for answer in answers if not answer.accepted},
        post_to_202=latency(answer.seconds for answer in accepted),
        post_to_row=None if rows is None else latency(_seconds_to_row(accepted, rows, clock_offset)),
        states=None if rows is None else _states(accepted, rows),
    )


def statuses(answers: Iterable[Answer]) -> dict[str, int]:
    """How often each was answered, the most frequent first."""
    return dict(Counter(map(status_name, answers)).most_common())


def status_name(answer: Answer) -> str:
    """The HTTP status as people call it."""
    return "no answer" if answer.status == NO_ANSWER else str(answer.status)


def latency(seconds: Iterable[float]) -> Latency | None:
    """Percentiles in milliseconds; None of nothing."""
    ordered = sorted(1000 * value for value in seconds)
    if not ordered:
        return None
    p50, p95, p99, longest = (round(percentile(ordered, share), 1) for share in (0.5, 0.95, 0.99, 1))
    return Latency(len(ordered), p50, p95, p99, longest)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed (nearest rank): one that was measured."""
    return ordered[math.ceil(share * len(ordered)) - 1]


def _seconds_to_row(accepted: Iterable[Answer], rows: Mapping[str, Row], clock_offset: float) -> Iterable[float]:
    """The row tells when it was sent, not when it was written first."""
    sent = ((answer, rows[answer.id]) for answer in accepted if answer.id in rows)
    return [row.updated_at - clock_offset - answer.posted_at for answer, row in sent if row.state == "sent"]


def _states(accepted: Iterable[Answer], rows: Mapping[str, Row]) -> dict[str, int]:
    return dict(Counter(_state(rows.get(answer.id)) for answer in accepted).most_common())


def _state(row: Row | None) -> str:
    """What was not charged is told with its reason, one of few; other reasons are as many as there are failures."""
    if row is None:
        return NO_ROW
    return f"{row.state} ({row.reason})" if row.state == MessageState.REFUSED and row.reason else row.state


def picture(done: Report) -> Group:
    """For people."""
    title = f"{done.messages} messages, {done.per_second:g} a second"
    answers = Table("answer", "messages", "for example", title=title)
    for status, number in done.statuses.items():
        answers.add_row(status, str(number), done.refusals.get(status, ""))
    latencies = Table("milliseconds", "messages", *(f"{name:>8}" for name in ("p50", "p95", "p99", "max")))
    _add_latency(latencies, "POST → 202", done.post_to_202)
    _add_latency(latencies, "POST → row sent", done.post_to_row)
    if done.states is None:
        return Group(answers, latencies, "no rows were read: --database URL tells where they are")
    return Group(answers, latencies, "rows: " + ", ".join(f"{number} {state}" for state, number in done.states.items()))


def _add_latency(table: Table, name: str, found: Latency | None) -> None:
    figures = (found.p50, found.p95, found.p99, found.max) if found else ()
    table.add_row(name, str(found.count if found else 0), *(f"{figure:8.1f}" for figure in figures))
