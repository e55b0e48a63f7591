"""A database of its own for each test of billing, in which the accounts of `feed` are registered."""

from collections.abc import Iterator

import pytest

from testkit.accounts import Accounts, a_database
from testkit.charging import ACCOUNTS


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    with a_database(postgres_url) as url:
        Accounts(url).register(*ACCOUNTS)
        yield url


@pytest.fixture
def accounts(database_url: str) -> Accounts:
    return Accounts(database_url)
