"""`python -m messaging_processors`: runs the processor that its configuration describes. Wiring only.

Every kind has a module `main` with `run(config, runtime)`. It is imported by name, because an image carries only the
libraries of its own kind.
"""

import importlib
import sys

import structlog

from messaging_api.processor import AnyProcessorConfig
from messaging_processors.config import ConfigError, load_config, load_ports, load_secrets, require_stores
from messaging_processors.runtime import health, logs
from messaging_processors.runtime.errors import SchemaTooNew
from messaging_processors.runtime.process import Runtime, shutdown_on_signals


def main() -> None:
    """Runs until SIGTERM or SIGINT; a configuration that cannot work ends it at once."""
    try:
        config, secrets, ports = load_config(), load_secrets(), load_ports()
        require_stores(config, secrets)
    except ConfigError as error:
        sys.exit(f"messaging_processors: {error}")
    logs.configure(config.topology, config.processor)
    runtime = Runtime(secrets=secrets, ports=ports, health=health.Health(), shutdown=shutdown_on_signals())
    health.serve(runtime.health, ports.health)
    try:
        run(config, runtime)
    except SchemaTooNew as error:
        sys.exit(f"messaging_processors: {error}")


def run(config: AnyProcessorConfig, runtime: Runtime) -> None:
    """Hands over to the kind's own `main`."""
    log = structlog.get_logger()
    log.info("starting", kind=config.kind, pod=runtime.secrets.pod_name)
    importlib.import_module(f"messaging_processors.{config.kind}.main").run(config, runtime)
    log.info("stopped")


if __name__ == "__main__":
    main()
