"""A database of its own for each test of billing, in which the accounts of `feed` are registered."""

import pytest

from testkit.accounts import Accounts
from testkit.charging import ACCOUNTS


@pytest.fixture
def database_url(database_url: str) -> str:
    Accounts(database_url).register(*ACCOUNTS)
    return database_url


@pytest.fixture
def accounts(database_url: str) -> Accounts:
    return Accounts(database_url)
