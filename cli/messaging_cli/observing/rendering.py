"""A snapshot for people and for programs, pure. Called by `commands.status`."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from messaging_cli.observing.snapshot import Processor, Rates, Snapshot, Topic

UNKNOWN = "-"


def picture(snapshot: Snapshot, rates: Rates) -> RenderableType:
    """The tables; below them what could not be asked."""
    title = Text(f"{snapshot.namespace}/{snapshot.name}: {snapshot.ready}")
    gaps = [Text(gap, style="yellow") for gap in snapshot.gaps]
    return Group(title, _topics(snapshot.topics, rates), _processors(snapshot.processors, rates), *gaps)


def answer(snapshot: Snapshot, rates: Rates) -> dict[str, object]:
    """The same as plain data; what is not known is null."""
    return {
        "name": snapshot.name,
        "namespace": snapshot.namespace,
        "ready": snapshot.ready,
        "topics": [
            {
                "name": topic.name,
                "partitions": topic.partitions,
                "writtenPerSecond": _rounded(rates.written.get(topic.name)),
                "lag": dict(topic.lag),
            }
            for topic in snapshot.topics
        ],
        "processors": [_processor(processor, rates) for processor in snapshot.processors],
        "gaps": list(snapshot.gaps),
    }


def _processor(processor: Processor, rates: Rates) -> dict[str, object]:
    return {
        "name": processor.name,
        "ready": processor.ready,
        "desired": processor.desired,
        "recordsPerSecond": _rounded(rates.records.get(processor.name)),
        "errorsPerSecond": _rounded(rates.errors.get(processor.name)),
        "deadLetters": processor.dead_letters,
        "away": processor.away,
        "message": processor.message,
    }


def _topics(topics: tuple[Topic, ...], rates: Rates) -> Table:
    table = _table("Topic", "Partitions", "Written/s", "Lag")
    for topic in topics:
        lag = "\n".join(f"{count} {reader}" for reader, count in topic.lag.items())
        table.add_row(Text(topic.name), str(topic.partitions), _figure(rates.written.get(topic.name)), Text(lag))
    return table


def _processors(processors: tuple[Processor, ...], rates: Rates) -> Table:
    table = _table("Processor", "Ready", "Records/s", "Errors/s", "Dead letters", "Away")
    for processor in processors:
        table.add_row(
            Text(processor.name),
            Text(f"{processor.ready}/{processor.desired}", style="" if _is_ready(processor) else "red"),
            _figure(rates.records.get(processor.name)),
            _figure(rates.errors.get(processor.name)),
            _figure(processor.dead_letters),
            Text("\n".join(processor.away) or processor.message),
        )
    return table


def _is_ready(processor: Processor) -> bool:
    return processor.ready == processor.desired


def _table(*columns: str) -> Table:
    """Figures stand below each other, at the right; names and texts at the left."""
    table = Table(box=box.SIMPLE_HEAD)
    texts = {columns[0], columns[-1]}
    for column in columns:
        table.add_column(column, justify="left" if column in texts else "right", overflow="fold")
    return table


def _figure(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
