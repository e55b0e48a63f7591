"""A local run on the real broker, with topics of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.accounts import Accounts
from testkit.broker import Broker
from testkit.charging import ACCOUNTS
from testkit.local_runs import FakeRun, Mtop, a_local_run, prefixed

DOMAINS = ("marketing", "authentication", "agent-flow")
TOPICS = ("postpaid", "prepaid", *DOMAINS)
DEAD_LETTERS = tuple(f"{kind}{domain}.dlq" for kind in ("", "billing-") for domain in DOMAINS)


@pytest.fixture
def broker(broker: Broker) -> Broker:
    broker.make_topics(dict.fromkeys((*TOPICS, *DEAD_LETTERS), 2))
    return broker


@pytest.fixture
def local_run(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRun]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with a_local_run(broker.prefix.rstrip("."), prefixed(broker.prefix), broker.bootstrap) as found:
        yield found


@pytest.fixture
def database_url(database_url: str) -> str:
    """Where billing keeps its ledger; the accounts of `an_accepted_message` and `feed` are there."""
    Accounts(database_url).register(*ACCOUNTS)
    return database_url


@pytest.fixture
def mtop(capsys: pytest.CaptureFixture[str]) -> Mtop:
    return Mtop(capsys)
