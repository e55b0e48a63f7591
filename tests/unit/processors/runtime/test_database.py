"""Which errors mean that the database is away, and which that a row is at fault."""

import psycopg
import pytest
from sqlalchemy import exc

from messaging_processors.runtime.database import describe, is_away


def refused(sqlstate: str) -> exc.DBAPIError:
    """What SQLAlchemy makes of a server's error of that code."""
    error = psycopg.errors.lookup(sqlstate)("said the server\nDETAIL: +12025550123")
    wrapped = exc.DBAPIError.instance("INSERT", {"to": "+12025550123"}, error, psycopg.Error)
    assert isinstance(wrapped, exc.DBAPIError)
    return wrapped


@pytest.mark.parametrize(
    "sqlstate",
    [
        "08006",
        "28P01",
        "3D000",
        "40001",
        "40P01",
        "53100",
        "53300",
        "57P01",
        "57014",
        "58030",
        "25006",
        "25P03",
        "55P03",
    ],
)
def test_what_heals_without_touching_a_record_is_waited_for(sqlstate: str) -> None:
    assert is_away(refused(sqlstate))


@pytest.mark.parametrize("sqlstate", ["22P05", "22003", "23502", "23505", "42P01", "42601"])
def test_what_is_wrong_with_data_or_statement_is_not(sqlstate: str) -> None:
    assert not is_away(refused(sqlstate))


def test_no_answer_is_the_connection_s_fault() -> None:
    assert is_away(exc.OperationalError("SELECT 1", None, psycopg.OperationalError("connection refused")))
    assert is_away(exc.TimeoutError("pool exhausted"))
    assert not is_away(exc.DataError("INSERT", None, psycopg.DataError("NUL bytes")))


def test_the_reason_holds_no_parameters() -> None:
    assert describe(refused("57P01")) == "said the server"
