"""What the process is told from outside; `__main__` calls it. The only reader of the environment.

Promises: a value that is missing or wrong ends the process at its start, with the name of the file or the variable.
"""

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from messaging_api.processor import (
    CONFIG_FILE,
    CONFIG_FOLDER,
    HEALTH_PORT,
    HTTP_PORT,
    AnyProcessorConfig,
    BillingConfig,
    MessagingConfig,
    SinkConfig,
)

_CONFIG: TypeAdapter[AnyProcessorConfig] = TypeAdapter(AnyProcessorConfig)


class ConfigError(Exception):
    """The process cannot start with this configuration."""


@dataclass(frozen=True)
class Secrets:
    """What only this process may know, and its own name; never logged, hence not in the representation."""

    database_url: str = field(default="", repr=False)
    cache_url: str = field(default="", repr=False)
    pod_name: str = ""


@dataclass(frozen=True)
class Ports:
    """Where the process listens. In a pod always the contract's ports; a local run has several processes a host."""

    http: int = HTTP_PORT
    health: int = HEALTH_PORT


def load_config() -> AnyProcessorConfig:
    """The mounted configuration file, validated."""
    path = Path(os.environ.get("MESSAGING_CONFIG") or Path(CONFIG_FOLDER, CONFIG_FILE))
    try:
        return _CONFIG.validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; mount the configuration or set MESSAGING_CONFIG") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error


def load_secrets() -> Secrets:
    """The connection URLs, empty for a processor that needs none, and the pod's name."""
    return Secrets(
        database_url=os.environ.get("DATABASE_URL", ""),
        cache_url=os.environ.get("CACHE_URL", ""),
        pod_name=os.environ.get("POD_NAME") or socket.gethostname(),
    )


def load_ports() -> Ports:
    """The contract's ports, unless HTTP_PORT and HEALTH_PORT say otherwise."""
    return Ports(http=_port("HTTP_PORT", HTTP_PORT), health=_port("HEALTH_PORT", HEALTH_PORT))


def require_stores(config: AnyProcessorConfig, secrets: Secrets) -> None:
    """Refuses a processor that keeps messages, accounts or the ledger but was not told where."""
    urls = {}
    if isinstance(config, MessagingConfig | BillingConfig | SinkConfig):
        urls["DATABASE_URL"] = secrets.database_url
    if isinstance(config, MessagingConfig | SinkConfig):
        urls["CACHE_URL"] = secrets.cache_url
    if missing := [variable for variable, url in urls.items() if not url]:
        raise ConfigError(f"{' and '.join(missing)}: not set, and {config.processor} cannot work without")


def _port(variable: str, default: int) -> int:
    text = os.environ.get(variable, str(default))
    if not text.isdigit():
        raise ConfigError(f"{variable}: {text!r} is not a port number")
    return int(text)
