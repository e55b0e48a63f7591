"""`mtop dlq`: looks into the dead-letter topics of a topology, and puts letters back to where they came from.

Bodies, and with them phone numbers, are shown only on request.
"""

import heapq
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer

from messaging_cli.dead_letters import BATCH_LETTERS, read_letters, replay
from messaging_cli.errors import CliError
from messaging_cli.letter_views import letters_answer, letters_table, plan_table, summaries_answer, summaries_table
from messaging_cli.letters import Letter, Selection, Summary, summaries
from messaging_cli.output import Format, Output, console, emit
from messaging_cli.running import Kafka, Name, Running, find
from messaging_cli.sources import Namespace

app = typer.Typer(help="Dead letters: records that could not be processed.", no_args_is_help=True)

Processor = Annotated[str, typer.Option("--processor", "-p", help="Whose dead letters.")]
ErrorClass = Annotated[str | None, typer.Option("--error", help="Only letters of this class of error.")]
Key = Annotated[str | None, typer.Option("--key", help="Only letters of this key, which is the account.")]
Since = Annotated[str | None, typer.Option("--since", help="Only what failed then or later, UTC: 2026-11-24T20:00.")]
Until = Annotated[str | None, typer.Option("--until", help="Only what failed then or before, UTC; that second counts.")]
Partition = Annotated[int | None, typer.Option("--partition", min=0, help="Of the dead-letter topic.")]
First = Annotated[int | None, typer.Option("--from", min=0, help="The first offset there, as show prints it.")]
Last = Annotated[int | None, typer.Option("--to", min=0, help="The last offset there.")]
All = Annotated[bool, typer.Option("--all", help="Also those that were replayed.")]


@app.command("list")
def list_letters(
    name: Name,
    namespace: Namespace = None,
    processor: Annotated[str | None, typer.Option("--processor", "-p", help="Only this one's.")] = None,
    everything: All = False,
    kafka: Kafka = None,
    output: Output = Format.TABLE,
) -> None:
    """How many there are, whose and why."""
    running = find(name, namespace, kafka)
    readers = [running.reader(processor)] if processor else list(running.readers.values())
    letters = read_letters(running.kafka, sorted({reader.dead_letter_topic for reader in readers}))
    shown = (letter for letter in letters if everything or not letter.replayed)
    empty = {(reader.processor, reader.dead_letter_topic): Summary() for reader in readers}
    found = {at: summary for at, summary in (empty | summaries(shown)).items() if processor in (None, at[0])}
    emit(summaries_answer(found), output, lambda: summaries_table(found))


@app.command()
def show(
    name: Name,
    processor: Processor,
    namespace: Namespace = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 20,
    error: ErrorClass = None,
    key: Key = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    first: First = None,
    last: Last = None,
    everything: All = False,
    body: Annotated[bool, typer.Option("--body", help="Also what was written, and to which number.")] = False,
    kafka: Kafka = None,
    output: Output = Format.TABLE,
) -> None:
    """Letter by letter, the newest first."""
    running = find(name, namespace, kafka)
    mine = Selection(processor, error, key, _moment(since), _end(until), partition, first, last)
    letters = read_letters(running.kafka, [running.reader(processor).dead_letter_topic])
    shown = (letter for letter in letters if mine(letter) and (everything or not letter.replayed))
    newest = heapq.nlargest(limit, shown, key=lambda letter: (letter.last_failed_at, letter.at))
    emit(letters_answer(newest, body), output, lambda: letters_table(newest, body))


@app.command("replay")
def replay_letters(
    name: Name,
    processor: Processor,
    namespace: Namespace = None,
    error: ErrorClass = None,
    key: Key = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    first: First = None,
    last: Last = None,
    rate: Annotated[int | None, typer.Option(min=1, help="At most so many a second.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only says what would be put back.")] = False,
    kafka: Kafka = None,
) -> None:
    """Puts letters back to the topics that they came from, each of them once."""
    running = find(name, namespace, kafka)
    topic = running.reader(processor).dead_letter_topic
    wanted = Selection(processor, error, key, _moment(since), _end(until), partition, first, last)
    if dry_run:
        letters = read_letters(running.kafka, [topic])
        _tell_plan(letter for letter in letters if wanted(letter) and not letter.replayed)
        return
    most = min(rate or BATCH_LETTERS, BATCH_LETTERS)
    batches = replay(running.kafka, topic, transactional_id(running, processor), wanted, most)
    _tell_progress(_paced(batches, rate))


def transactional_id(running: Running, processor: str) -> str:
    """Always the same, so that of two replays at a time the older one is turned away."""
    return f"{running.key.namespace}.{running.key.name}.{processor}.replay"


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise CliError(f"{text!r} is no time such as 2026-11-24T20:00 or 2026-11-24T20:00:00+01:00") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _end(text: str | None) -> datetime | None:
    """Of the second, as that is what is shown of a time, unless it says a part of it."""
    at = _moment(text)
    return at and at.replace(microsecond=at.microsecond or 999_999)


def _paced(batches: Iterator[int], rate: int | None) -> Iterator[int]:
    for count in batches:
        yield count
        time.sleep(count / rate if rate else 0)


def _tell_progress(batches: Iterator[int]) -> None:
    done = 0
    try:
        with console.status("replaying") as status:
            for count in batches:
                done += count
                status.update(f"replayed {done}")
    finally:  # also where it ends early: so many are done
        console.print(f"replayed={done}", highlight=False)


def _tell_plan(letters: Iterator[Letter]) -> None:
    counts = Counter((letter.source.topic, letter.error) for letter in letters)
    console.print(plan_table(counts))
    console.print(f"would-replay={counts.total()}", highlight=False)
