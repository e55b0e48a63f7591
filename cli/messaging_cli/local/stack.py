"""Everything that a local topology stands on: Kafka, PostgreSQL, Redis, a third party; each started or given.

`up` calls it. Promise: what was started here ends with the block, whatever happens in it.
"""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from messaging_cli.errors import CliError
from messaging_cli.local import services
from messaging_cli.local.process import Service, ServiceError
from messaging_cli.local.third_party import third_party

_KAFKA_HEAP = "256m"
_CONNECT_SECONDS = 3.0


@dataclass(frozen=True)
class Addresses:
    """Where each part answers; an empty one is still to be started."""

    kafka: str = ""
    database_url: str = ""
    cache_url: str = ""
    third_party_url: str = ""


@contextmanager
def stack(folder: Path, given: Addresses) -> Iterator[Addresses]:
    """All at once, because Kafka takes its time; raises `CliError` where one does not start or, given, not answer."""
    _require(given)
    missing: dict[str, AbstractContextManager[Service]] = {}
    if not given.kafka:
        missing["kafka"] = services.kafka(folder / "kafka", heap=_KAFKA_HEAP)
    if not given.database_url:
        missing["database_url"] = services.postgres(folder / "postgres")
    if not given.cache_url:
        missing["cache_url"] = services.redis(folder / "redis")
    with ExitStack() as running:
        recording = nullcontext(None) if given.third_party_url else third_party()
        provider = running.enter_context(recording)
        started = _start(missing, running)
        yield Addresses(
            kafka=given.kafka or started["kafka"],
            database_url=given.database_url or started["database_url"],
            cache_url=given.cache_url or started["cache_url"],
            third_party_url=provider.address if provider else given.third_party_url,
        )


def _require(given: Addresses) -> None:
    """A refused connection is told now and not by eight processes."""
    for option, address in (
        ("--kafka", given.kafka.split(",")[0]),
        ("--database", given.database_url),
        ("--redis", given.cache_url),
        ("--third-party", given.third_party_url),
    ):
        if not address:
            continue
        place = urlsplit(address if "//" in address else f"//{address}")
        try:
            socket.create_connection((place.hostname or "", place.port or 80), _CONNECT_SECONDS).close()
        except (OSError, ValueError) as error:
            shown = f"{place.hostname}:{place.port}"
            raise CliError(f"{option} {shown}: {error}; start it, or leave {option} out for one of our own") from error


def _start(missing: dict[str, AbstractContextManager[Service]], running: ExitStack) -> dict[str, str]:
    with ThreadPoolExecutor() as pool:
        starting = {name: pool.submit(running.enter_context, service) for name, service in missing.items()}
    try:
        return {name: future.result().address for name, future in starting.items()}
    except (ServiceError, OSError, RuntimeError, ModuleNotFoundError) as error:
        raise CliError(" ".join(str(error).split())) from error
