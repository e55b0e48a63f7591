"""Which gateway and database a command talks to: those of a local run, or those that it is given."""

from dataclasses import dataclass
from typing import Annotated

import typer

from messaging_cli.errors import CliError
from messaging_cli.gateway import Gateway
from messaging_cli.local import state
from messaging_cli.local.state import LocalRun

GatewayUrl = Annotated[str | None, typer.Option("--gateway", help="The API gateway's URL, in place of a local run's.")]
ApiKey = Annotated[str | None, typer.Option("--api-key", help="The key that the gateway knows you by.")]
DatabaseUrl = Annotated[str | None, typer.Option("--database", help="URL of the database that the sinks write to.")]


@dataclass(frozen=True)
class Target:
    """Where to send; `run` where that is a local run, `database_url` where it is known."""

    gateway: Gateway
    database_url: str | None
    run: LocalRun | None


def find(name: str | None, gateway: str | None, api_key: str | None, database: str | None = None) -> Target:
    """The local run `name`, or the only one, with what else is given in its place; with a URL no run is needed."""
    run = _run(name) if name or not gateway else None
    if not run:
        if not gateway:
            raise CliError(f"{_missing(name)}: mtop up FILE starts one, --gateway URL --api-key KEY is for a cluster")
        return Target(Gateway(gateway, api_key or ""), database, None)
    there = Gateway(gateway or run.gateway_url, api_key or run.api_key)
    return Target(there, database or run.database_url, run)


def _run(name: str | None) -> LocalRun | None:
    if name:
        return state.load(name)
    alive = state.running()
    if len(alive) > 1:
        raise CliError(f"several topologies run here, name one: {', '.join(run.topology for run in alive)}")
    return alive[0] if alive else None


def _missing(name: str | None) -> str:
    return f"no topology {name} runs here" if name else "no topology runs here"
