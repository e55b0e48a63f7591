"""`mtop up` and `mtop down`: the topology of a file on this machine."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from messaging_api.access import API_KEY_HEADER
from messaging_cli import running
from messaging_cli.dead_letters import dead_message_ids
from messaging_cli.demonstration import demonstrate
from messaging_cli.errors import CliError
from messaging_cli.local import state
from messaging_cli.local.stack import Addresses
from messaging_cli.local.up import Session, Wishes, session, stopping
from messaging_cli.local.up import down as end_run
from messaging_cli.output import console
from messaging_cli.planning import check
from messaging_cli.sources import Declared, read_file
from messaging_cli.validation.tables import absent_tables, table_faults

_TURN_SECONDS = 0.1
_DEMO_SECONDS, _DEMO_RATE = 20.0, 100.0
_INTERRUPTED = 130


def up(
    file: Annotated[Path, typer.Argument(help="A file with one MessagingTopology.")],
    kafka: Annotated[str, typer.Option(help="Bootstrap servers to use instead of a broker of its own.")] = "",
    database: Annotated[str, typer.Option(help="A PostgreSQL URL to use instead of an own server.")] = "",
    redis: Annotated[str, typer.Option(help="A Redis URL to use instead of an own server.")] = "",
    third_party: Annotated[str, typer.Option(help="Where third parties answer, instead of the recording one.")] = "",
    port: Annotated[int, typer.Option(help="The gateway's port; any free one if left out.")] = 0,
    demo: Annotated[bool, typer.Option("--demo", help="Send traffic for 20 s, print where it went, and end.")] = False,
) -> int:
    """Runs a topology here, without a cluster, until Ctrl-C; an edit of the file is applied at once."""
    declared = valid(file)
    wishes = Wishes(file, Addresses(kafka, database, redis, third_party), port)
    with stopping(state.folder_of(declared.topology["metadata"]["name"])) as stop:
        news = _News()
        with session(declared, wishes, lambda old: valid(file, old), news.say, news.event) as it:
            if not _become_ready(it, stop):
                return _INTERRUPTED
            news.quiet = False
            console.print(_summary(it), soft_wrap=True, highlight=False)
            if demo:
                return _demonstrate(it, stop)
            _turn_until(it, stop.is_set)
            console.print("ending; Ctrl-C again kills")
    return 0


def down(name: Annotated[str, typer.Argument(help="The topology; not needed where only one is up.")] = "") -> int:
    """Ends a local run, and cleans up after a killed one."""
    if not name:
        up_now = [run.topology for run in state.running()]
        if len(up_now) != 1:
            raise CliError(f"which one? up are: {', '.join(up_now) or 'none'}")
        (name,) = up_now
    console.print(end_run(name))
    return 0


def valid(file: Path, old: Declared | None = None) -> Declared:
    """The topology of the file; raises `CliError` that names the first field that is wrong.

    The rates that it refers to must be there, too: nobody else could bring them here.
    """
    declared = read_file(file)
    check(declared.topology, str(file), old.topology if old else None)
    for fault in (*table_faults(declared), *absent_tables(declared)):
        raise CliError(f"{file}: {fault}")
    return declared


class _News:
    """What happens, told as it happens; the beginning of a run is one long list of creations, and not told."""

    quiet = True

    def say(self, text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    def event(self, kind: str, reason: str, message: str) -> None:
        if not self.quiet:
            colour = "yellow" if kind == "Warning" else "green"
            console.print(f"[{colour}]{reason}[/] {message}", highlight=False, soft_wrap=True)


def _become_ready(it: Session, stop: Event) -> bool:
    with console.status("starting") as status:

        def ready() -> bool:
            status.update(it.conditions.get("Ready", {}).get("message", "starting"))
            return it.is_ready or stop.is_set()

        _turn_until(it, ready)
    return it.is_ready


def _turn_until(it: Session, done: Callable[[], bool]) -> None:
    pause = Event()
    while not done():
        it.turn()
        pause.wait(_TURN_SECONDS)


def _demonstrate(it: Session, stop: Event) -> int:
    """The traffic runs beside the loop: processes have to be looked after meanwhile."""
    readers = running.find(it.run.topology, None, None).readers.values()
    topics = sorted({reader.dead_letter_topic for reader in readers})
    with ThreadPoolExecutor(1) as pool:
        balanced = pool.submit(
            demonstrate,
            it.run,
            _DEMO_SECONDS,
            _DEMO_RATE,
            dead_letters=lambda: dead_message_ids(it.run.kafka, topics),
            go_on=lambda: not stop.is_set(),
        )
        _turn_until(it, balanced.done)
    return _INTERRUPTED if stop.is_set() else int(not balanced.result())


def _summary(it: Session) -> str:
    run, status = it.run, it.processes.resource["status"]
    lines = {
        "gateway": f"{run.gateway_url}  {API_KEY_HEADER}: {run.api_key}",
        "Kafka": run.kafka,
        "PostgreSQL": run.database_url,
        "Redis": run.cache_url,
        "third party": f"{run.third_party_url}/records shows what it received",
        "logs": str(run.folder / "logs"),
        "look": f"mtop status {run.topology} --watch",
        "send": f"mtop send {run.topology}",
        "change": f"edit {run.file}",
        "end": "Ctrl-C",
    }
    title = f"{run.topology} is up: topics {status['topicsReady']}, processors {status['processorsReady']}"
    return "\n".join([title, *(f"  {name:<12} {text}" for name, text in lines.items())])
