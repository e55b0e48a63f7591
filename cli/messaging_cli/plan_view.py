"""A plan as lines for people, the worst risk first, and as plain data for programs. Pure; `plan` prints it."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from rich.text import Text

from messaging_api.plan import Change, Risk
from messaging_cli.planning import Pending

_STYLES = {Risk.SAFE: "green", Risk.ORDERING_RISK: "yellow", Risk.DISRUPTIVE: "magenta", Risk.DATA_LOSS: "bold red"}
_WORST_FIRST = tuple(reversed(Risk))


def answer(pending: Pending) -> dict[str, object]:
    """In the order in which it would be done."""
    refused = [{"reason": problem.reason.value, "message": problem.message} for problem in pending.refused]
    return {"changes": [change.model_dump(mode="json") for change in pending.changes], "refused": refused}


def lines(pending: Pending) -> Text:
    """What shares its risk and its reason stands together."""
    if not pending:
        return Text("no changes")
    blocks = [_block(*heading, changes) for heading, changes in _grouped(pending.changes)]
    refused = [Text.assemble(("Refused", "bold red"), f": {problem.message}") for problem in pending.refused]
    return Text("\n").join([*blocks, *refused, *_summary(pending.changes)])


def _grouped(changes: Sequence[Change]) -> list[tuple[tuple[Risk, str], list[Change]]]:
    groups: defaultdict[tuple[Risk, str], list[Change]] = defaultdict(list)
    for change in changes:
        groups[change.risk, change.reason].append(change)
    return sorted(groups.items(), key=lambda group: _WORST_FIRST.index(group[0][0]))


def _block(risk: Risk, reason: str, changes: Sequence[Change]) -> Text:
    width = max(len(change.target) for change in changes)
    rows = [f"\n  {change.target:<{width}}  {_step(change)}" for change in changes]
    return Text.assemble((risk.value, _STYLES[risk]), f": {reason}", *rows)


def _step(change: Change) -> str:
    """Kubernetes' labels and annotations go by the name after their prefix."""
    field = f"{change.field.rpartition('/')[2]}: " if change.field else ""
    return f"{field}{_shown(change.before)} -> {_shown(change.after)}"


def _shown(value: str | None) -> str:
    return "absent" if value is None else value or '""'


def _summary(changes: Sequence[Change]) -> list[Text]:
    counts = Counter(change.risk for change in changes)
    parts = [f"{counts[risk]} {risk}" for risk in _WORST_FIRST if counts[risk]]
    total = "1 change" if len(changes) == 1 else f"{len(changes)} changes"
    return [Text(f"{total}: {', '.join(parts)}")] if changes else []
