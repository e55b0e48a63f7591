"""Processors as real processes on this machine, for tests that stop, kill or overload them.

`launch` starts one with `python -m messaging_processors`; `running` forks it, which takes a tenth of the time, and ends
it hard: a test that wants an orderly end sends SIGTERM itself.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from messaging_api.access import ApiKey, Scope
from messaging_api.processor import GatewayConfig, ProcessorConfig, Readiness
from messaging_cli.local.services import free_port
from testkit.forked import Forked
from testkit.plain_http import PLAIN
from testkit.waiting import eventually

_PROBE_SECONDS = 2


@dataclass(frozen=True)
class Processor:
    """One running processor and where it answers."""

    process: subprocess.Popen[bytes] | Forked
    url: str
    health_url: str
    log: Path

    def readiness(self) -> Readiness:
        """What it says of itself; not ready as long as nobody answers."""
        try:
            return Readiness.model_validate_json(PLAIN.get(f"{self.health_url}/readyz", timeout=_PROBE_SECONDS).content)
        except httpx.TransportError as error:
            return Readiness(ready=False, away={"process": str(error)})

    def is_stuck(self) -> bool:
        """Says so itself; where nobody answers nothing is known."""
        try:
            answer = PLAIN.get(f"{self.health_url}/healthz", timeout=_PROBE_SECONDS)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE

    def await_ready(self) -> "Processor":
        """Waits until it can do its work."""
        eventually(self._is_ready, within=30)
        return self

    def await_all(self) -> "Processor":
        """Waits until it misses nothing, not even what it can do without."""
        eventually(lambda: not self.readiness().away, within=30)
        return self.await_ready()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"it has ended:\n{self.log.read_text()[-2000:]}"
        readiness = self.readiness()
        assert readiness.ready, f"not ready: {readiness.away}"
        return True


@dataclass(frozen=True)
class Slot:
    """A processor's name, ports and files: what stays the same when it is started again."""

    name: str
    http: int
    health: int
    config: Path
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """What the processor is told by it."""
        ports = {"HTTP_PORT": str(self.http), "HEALTH_PORT": str(self.health)}
        return ports | {"MESSAGING_CONFIG": str(self.config), "POD_NAME": self.name}


def a_slot(config: ProcessorConfig, folder: Path, name: str = "") -> Slot:
    """Free ports, and the configuration written; the name is the pod's."""
    http, health = free_port(), free_port()
    name = name or f"{config.processor}-{http}"
    slot = Slot(name, http, health, folder / f"{name}.json", folder / f"{name}.log")
    slot.config.write_text(config.model_dump_json())
    return slot


def launch(slot: Slot, module: str = "messaging_processors", **environment: str) -> Processor:
    """Starts it; what it says is appended to its log. Who starts it ends it. Another module may run it differently."""
    with slot.log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            env={**os.environ, **slot.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    return _processor(process, slot)


def _processor(process: subprocess.Popen[bytes] | Forked, slot: Slot) -> Processor:
    return Processor(process, f"http://127.0.0.1:{slot.http}", f"http://127.0.0.1:{slot.health}", slot.log)


def a_gateway_config(upstream: str, folder: Path, keys: Mapping[str, str]) -> GatewayConfig:
    """Of a gateway with these keys, by tenant, each of which may do everything; its Secret is mounted in `folder`."""
    secret = folder / "keys"
    secret.mkdir()
    for tenant, key in keys.items():
        (secret / tenant).write_text(ApiKey(key=key, tenant=tenant, scopes=tuple(Scope)).model_dump_json())
    return GatewayConfig(
        topology="user-api",
        namespace="messaging",
        processor="api-gateway",
        upstream=upstream,
        api_keys_folder=str(secret),
    )


@contextmanager
def running(config: ProcessorConfig, folder: Path, **environment: str) -> Iterator[Processor]:
    """A processor with this configuration and environment (DATABASE_URL, CACHE_URL), on free ports of its own."""
    slot = a_slot(config, folder)
    processor = _processor(Forked(slot.log, slot.environment | environment), slot)
    try:
        yield processor
    finally:
        processor.process.kill()
        processor.process.wait()
