"""The table of a run: what each fault did, and what held."""

from collections.abc import Sequence

from rich.table import Table

from chaos.episode import Result

_COLUMNS = (
    "fault",
    "rows",
    "bitten",
    "duplicates suppressed",
    "unavailable s",
    "recovery s",
    "messages",
    "took s",
    "held",
)


def table(results: Sequence[Result]) -> Table:
    """One line a fault."""
    made = Table(*_COLUMNS, title="chaos")
    for result in results:
        made.add_row(*_cells(result))
    return made


def _cells(result: Result) -> tuple[str, ...]:
    return (
        result.fault,
        result.rows,
        str(result.bites),
        str(result.suppressed),
        f"{result.gap:.1f}",
        f"{result.recovery:.1f}",
        str(result.messages),
        f"{result.seconds:.0f}",
        "all" if not result.violations else f"{result.violations} violations",
    )
