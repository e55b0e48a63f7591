"""A database of its own for each test that asks for one; folders say what is in it."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from messaging_processors.runtime import database
from testkit.accounts import a_database


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    with a_database(postgres_url) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = database.connect(database_url)
    yield engine
    engine.dispose()
