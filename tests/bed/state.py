"""What is up and where: written by `cluster`, read by tests, the Makefile and people.

Promises: the file exists only for a cluster that was completely made, and `load()` says how to
make one where there is none.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from messaging_cli.errors import CliError
from messaging_cli.local import cache
from messaging_cli.local.services import database_url

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ports:
    """On 127.0.0.1 of the host, each the way to one NodePort of the cluster."""

    gateway: int
    kafka: int
    postgres: int
    redis: int
    third_party: int


@dataclass(frozen=True)
class BedState:
    cluster: str
    kubeconfig: str
    kind: str
    kubectl: str
    helm: str
    docker_host: str
    node_image: str
    ports: Ports
    audit_log: str
    inputs: str  # digest of what the cluster was made from

    @classmethod
    def load(cls) -> "BedState":
        try:
            content = json.loads(state_file().read_text())
        except FileNotFoundError as error:
            raise CliError("no cluster is up for this checkout: `python -m bed up`") from error
        return cls(**content | {"ports": Ports(**content["ports"])})

    def save(self) -> None:
        scratch = state_file().with_suffix(".partial")
        scratch.write_text(json.dumps(asdict(self), indent=1))
        scratch.rename(state_file())

    @property
    def node(self) -> str:
        """The container that is the cluster's only node."""
        return f"{self.cluster}-control-plane"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.gateway}"

    @property
    def third_party_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.third_party}"

    @property
    def kafka_bootstrap(self) -> str:
        return f"127.0.0.1:{self.ports.kafka}"

    @property
    def database_url(self) -> str:
        return database_url("127.0.0.1", self.ports.postgres)

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.ports.redis}/0"


def cluster_name() -> str:
    """Of this checkout: two checkouts on one machine have two clusters."""
    return f"mtop-{hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:6]}"


def cluster_folder() -> Path:
    return cache.root() / "clusters" / cluster_name()


def save_images(names: dict[str, str]) -> None:
    """What `python -m bed images` built for this checkout, by kind."""
    cluster_folder().mkdir(parents=True, exist_ok=True)
    images_file().write_text(json.dumps(names))


def project_images() -> dict[str, str]:
    try:
        names: dict[str, str] = json.loads(images_file().read_text())
    except FileNotFoundError as error:
        raise CliError("the project's images are not built: `python -m bed images`") from error
    return names


def images_file() -> Path:
    return cluster_folder() / "images.json"


def state_file() -> Path:
    return cluster_folder() / "state.json"
