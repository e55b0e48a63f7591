"""The table of `mtop status` as it is printed."""

import io

from rich.console import Console

from messaging_cli.observing.rendering import answer, picture
from messaging_cli.observing.snapshot import Counters, Processor, Rates, Replica, Snapshot, Topic

SNAPSHOT = Snapshot(
    at=1.0,
    name="user-api",
    namespace="messaging",
    ready="not ready: RolloutInProgress: marketing: 0 of 1 updated",
    topics=(
        Topic("postpaid", 6, 1000, {"billing-marketing": 12, "billing-authentication": 0}),
        Topic("marketing.dlq", 3, None),
    ),
    processors=(
        Processor("billing-marketing", 1, 1, "", (Replica("billing-marketing", "b-0", Counters(9, 0, 2)),)),
        Processor("marketing", 0, 1, "", (Replica("marketing", "m-0", None, {"database": "[red]refused[/red]"}),)),
    ),
    gaps=("no metrics from m-0",),
)
EXPECTED = [
    "messaging/user-api: not ready: RolloutInProgress: marketing: 0 of 1 updated",
    "",
    "  Topic           Partitions   Written/s   Lag",
    " ───────────────────────────────────────────────────────────────────",
    "  postpaid                 6       1,234   12 billing-marketing",
    "                                           0 billing-authentication",
    "  marketing.dlq            3           -",
    "",
    "",
    "  Processor           Ready   Records/s   Errors/s   Dead letters   Away",
    " ────────────────────────────────────────────────────────────────────────────────────────────────",
    "  billing-marketing     1/1         0.5          0              2",
    "  marketing             0/1           -          -              -   database: [red]refused[/red]",
    "",
    "no metrics from m-0",
]
RATES = Rates({"postpaid": 1234.5}, {"billing-marketing": 0.5}, {"billing-marketing": 0.0})


def test_the_table_at_a_fixed_width() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(picture(SNAPSHOT, RATES))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines == EXPECTED


def test_the_answer_says_null_where_nothing_is_known() -> None:
    found = answer(SNAPSHOT, RATES)
    assert found["topics"] == [
        {
            "name": "postpaid",
            "partitions": 6,
            "writtenPerSecond": 1234.5,
            "lag": {"billing-marketing": 12, "billing-authentication": 0},
        },
        {"name": "marketing.dlq", "partitions": 3, "writtenPerSecond": None, "lag": {}},
    ]
    processors = found["processors"]
    assert isinstance(processors, list)
    assert processors[1] == {
        "name": "marketing",
        "ready": 0,
        "desired": 1,
        "recordsPerSecond": None,
        "errorsPerSecond": None,
        "deadLetters": None,
        "away": ["database: [red]refused[/red]"],
        "message": "",
    }
    assert found["gaps"] == ["no metrics from m-0"]
