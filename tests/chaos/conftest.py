"""The one world of a run, the oracle's judgement after every fault, and the table at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from chaos.database_proxy import database_proxy
from chaos.episode import Result
from chaos.judge import Judge
from chaos.report import table
from chaos.world import Proxies, Services, World, a_world
from messaging_cli.local.process import Service
from messaging_cli.local.third_party import ThirdParty, third_party

REPORT = Path("build/chaos-report.txt")
_RESULTS = pytest.StashKey[list[Result]]()


@pytest.fixture(scope="session")
def provider() -> Iterator[ThirdParty]:
    with third_party() as running:
        yield running


@pytest.fixture(scope="session")
def proxies(postgres: Service) -> Iterator[Proxies]:
    with database_proxy(postgres.address) as messaging, database_proxy(postgres.address) as workers:
        yield Proxies(messaging, workers)


@pytest.fixture(scope="session")
def world(
    kafka: Service,
    postgres: Service,
    redis_service: Service,
    provider: ThirdParty,
    proxies: Proxies,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    services = Services(kafka, postgres, redis_service, provider, proxies)
    with a_world(services, tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="session")
def judge(world: World, request: pytest.FixtureRequest) -> Judge:
    return Judge(world, request.config.stash.setdefault(_RESULTS, []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table, on the terminal and in a file."""
    if not (results := config.stash.get(_RESULTS, [])):
        return
    REPORT.parent.mkdir(exist_ok=True)
    with REPORT.open("w", encoding="utf-8") as file:
        Console(width=150, file=file).print(table(results))
    terminalreporter.write_line("")
    terminalreporter.write_line(REPORT.read_text(encoding="utf-8"))
