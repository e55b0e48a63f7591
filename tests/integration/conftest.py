"""A database of its own and topics of its own for each test that asks for them; folders say what is in them."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from messaging_processors.runtime import cache, database
from testkit.accounts import a_database
from testkit.broker import Broker


@pytest.fixture(autouse=True)
def _a_busy_machine_is_no_absent_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what the test's own process asks Redis; processes of processors have the real deadline."""
    monkeypatch.setattr(cache, "_DEADLINE", 2.0)


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    with a_database(postgres_url) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = database.connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def broker(kafka_bootstrap: str) -> Iterator[Broker]:
    broker = Broker(kafka_bootstrap)
    yield broker
    broker.remove_topics()
