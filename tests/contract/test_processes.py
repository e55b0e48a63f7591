"""The local run's processes keep the contract of the API server."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from messaging_api.topology import GATEWAY_NAME, MESSAGING_NAME
from messaging_cli.local.services import free_port
from messaging_cli.settings import environment
from messaging_operator.clients import probes
from messaging_operator.clients.processes import Processes, Surroundings
from messaging_operator.state import TopologyKey
from testkit.cluster_contract import TOPOLOGY, ClusterContract, Place, cleared
from testkit.topologies import IMAGES


@dataclass
class Here(Place):
    """Processes turn only when they are told to."""

    door: Processes

    def turn(self) -> None:
        self.door.tick()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/client").write_text("key-of-client")
    around = Surroundings(
        folder=tmp_path,
        environment=environment(),
        secrets={},
        api_keys=tmp_path / "keys",
        service_ports={GATEWAY_NAME: free_port(), MESSAGING_NAME: free_port()},
        free_port=free_port,
        readiness=probes.readiness,
        tell=lambda *_: None,
    )
    processes = Processes(around, {"metadata": {"namespace": "messaging", "name": TOPOLOGY, "generation": 1}})
    with cleared(Here(processes, TopologyKey("messaging", TOPOLOGY), IMAGES)) as place:
        yield place
    processes.kill()


class TestProcesses(ClusterContract):
    """The whole suite."""
