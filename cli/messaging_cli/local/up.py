"""A local run from its beginning to its end: services, processes, reconciles, and a file that is watched.

Called by the commands `up` and `down`. The same desired → plan → apply as on a cluster; only the doors differ.
Promises: one run a topology; what is started here ends with it; a second signal ends everything at once.
"""

import fcntl
import os
import secrets
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import structlog

from messaging_api.access import ApiKey, Scope
from messaging_api.topology import GATEWAY_NAME, MESSAGING_NAME
from messaging_cli.errors import CliError
from messaging_cli.local import leftovers, state
from messaging_cli.local.localized import localized
from messaging_cli.local.services import free_port
from messaging_cli.local.stack import Addresses, stack
from messaging_cli.local.state import LocalRun
from messaging_cli.settings import environment, mark_children
from messaging_cli.sources import Declared, Document
from messaging_operator.clients import kafka, probes
from messaging_operator.clients.processes import Processes, Surroundings
from messaging_operator.reconcile import Clients, reconcile
from messaging_operator.settings import Settings
from messaging_operator.state import ProcessorImages, TopologyKey

_CLIENT = "local"
_TICK_SECONDS = 0.1
_RESYNC_SECONDS = 2.0
_END_SECONDS = 20.0
_SETTINGS = Settings(ProcessorImages("local", "local", "local", "Never"), _RESYNC_SECONDS, metrics_port=1)


@dataclass(frozen=True)
class Wishes:
    """What the command line was told."""

    file: Path
    given: Addresses
    port: int = 0


@dataclass
class Session:
    """A run that is up: `turn` keeps it as declared."""

    run: LocalRun
    processes: Processes
    read: Callable[[Declared], Declared]
    said: Callable[[str], None]
    declared: Declared
    _seen: float
    _due: float = 0.0

    @property
    def conditions(self) -> dict[str, dict[str, str]]:
        """The topology's conditions by type."""
        status = self.processes.resource.get("status", {})
        return {condition["type"]: condition for condition in status.get("conditions", [])}

    @property
    def is_ready(self) -> bool:
        """Whether all is as declared."""
        return self.conditions.get("Ready", {}).get("status") == "True"

    def turn(self) -> None:
        """One look at the file, the processes and, where something has changed or it is time, at everything."""
        changed = self._reread()
        changed |= self.processes.tick()
        if changed or time.monotonic() >= self._due:
            clients = Clients(self.processes, kafka.connect, probes.readiness)
            reconcile(TopologyKey(self.run.namespace, self.run.topology), clients, _SETTINGS, datetime.now(UTC))
            self._due = time.monotonic() + _RESYNC_SECONDS

    def _reread(self) -> bool:
        """Takes a changed file over; one that cannot be taken is told once, and the last good one stays in force."""
        with suppress(OSError):
            written = Path(self.run.file).stat().st_mtime
            if written != self._seen:
                self._seen = written
                return self._take()
        return False

    def _take(self) -> bool:
        try:
            declared = self.read(self.declared)
        except CliError as error:
            self.said(f"not applied: {error}")
            return False
        before, self.declared = self.declared, declared
        if declared.topology["spec"] != before.topology["spec"]:
            self.processes.declare(localized(declared.topology, self.run))
        self.processes.config_maps = declared.config_maps
        return declared != before


@contextmanager
def session(
    declared: Declared,
    wishes: Wishes,
    read: Callable[[Declared], Declared],
    said: Callable[[str], None],
    tell: Callable[[str, str, str], None],
) -> Iterator[Session]:
    """Everything started and nothing reconciled yet. Raises `CliError` where that cannot be.

    `read` reads the file again; it is given what is in force, which the new version must not contradict.
    """
    document = declared.topology
    name, namespace = document["metadata"]["name"], document["metadata"].get("namespace", "default")
    with _claimed(name) as folder:
        ports = {GATEWAY_NAME: _gateway_port(wishes.port), MESSAGING_NAME: free_port()}
        with stack(folder, wishes.given) as addresses:
            run = LocalRun(
                topology=name,
                namespace=namespace,
                file=str(wishes.file.resolve()),
                pid=os.getpid(),
                gateway_url=f"http://127.0.0.1:{ports[GATEWAY_NAME]}",
                api_key=f"{_CLIENT}-{secrets.token_hex(8)}",
                kafka=addresses.kafka,
                database_url=addresses.database_url,
                cache_url=addresses.cache_url,
                third_party_url=addresses.third_party_url,
                own_kafka=not wishes.given.kafka,
            )
            resource = localized(document, run)
            resource["metadata"] = {"name": name, "namespace": namespace, "uid": f"run-{run.pid}", "generation": 1}
            around = _surroundings(run, document, ports, tell)
            processes = Processes(around, resource, declared.config_maps)
            run.save()
            try:
                yield Session(run, processes, read, said, declared, _seen=wishes.file.stat().st_mtime)
            finally:
                _end(processes)


@contextmanager
def stopping(folder: Path) -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; the second of them kills all that the run has started."""
    stop = threading.Event()

    def on_signal(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            leftovers.end(folder)
            os._exit(128 + number)
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def down(topology: str) -> str:
    """Ends a run, and what a killed one has left; says which."""
    folder = state.folder_of(topology)
    run = state.load(topology)
    if run:
        os.kill(run.pid, signal.SIGTERM)
        _await(lambda: not state.is_alive(run), _END_SECONDS + 10)
    killed = leftovers.end(folder)
    shutil.rmtree(folder, ignore_errors=True)
    if run:
        return f"{topology} is down"
    return f"{topology} was not up" + (f"; ended {killed} processes of a killed run" if killed else "")


@contextmanager
def _claimed(topology: str) -> Iterator[Path]:
    """The run's folder, empty and ours alone for as long as the block lasts."""
    folder = state.folder_of(topology)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            run = state.load(topology)
            where = f" at {run.gateway_url} from {run.file}" if run else ""
            raise CliError(f"{topology} is up already{where}: mtop down {topology} ends it") from None
        leftovers.end(folder)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        mark_children(folder)
        _log_to(folder / "logs")
        try:
            yield folder
        finally:
            leftovers.end(folder)
            (folder / "run.json").unlink(missing_ok=True)


def _log_to(folder: Path) -> None:
    """What the operator in us says, beside what the processes say."""
    folder.mkdir()
    log = (folder / "operator.log").open("a", buffering=1)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(log),
    )


def _gateway_port(wanted: int) -> int:
    try:
        with socket.create_server(("127.0.0.1", wanted)) as listener:
            port: int = listener.getsockname()[1]
            return port
    except OSError as error:
        raise CliError(
            f"port {wanted}: {os.strerror(error.errno or 0)}; choose another with --port, or leave it out"
        ) from error


def _surroundings(
    run: LocalRun, document: Document, ports: dict[str, int], tell: Callable[[str, str, str], None]
) -> Surroundings:
    keys = run.folder / "keys"
    keys.mkdir(mode=0o700)
    client = ApiKey(key=run.api_key, tenant=_CLIENT, scopes=tuple(Scope))
    (keys / _CLIENT).write_text(client.model_dump_json())
    spec = document["spec"]
    urls = ((spec["database"], run.database_url), (spec["cache"], run.cache_url))
    references = [(store["urlFrom"]["secretKeyRef"], url) for store, url in urls]
    return Surroundings(
        folder=run.folder,
        environment=environment(),
        secrets={(reference["name"], reference["key"]): url for reference, url in references},
        api_keys=keys,
        service_ports=ports,
        free_port=free_port,
        readiness=probes.readiness,
        tell=tell,
    )


def _end(processes: Processes) -> None:
    """In order, and by force what does not obey."""
    _await(processes.end, _END_SECONDS)
    processes.kill()


def _await(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(_TICK_SECONDS)
