"""The table `messages` as the command line reads it: many rows a query, and the database's clock.

Read by SQL alone, because the command line does not import the processors whose table it is.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg

from messaging_cli.errors import CliError

_ROWS = """
    SELECT id::text, state, extract(epoch FROM updated_at)::float8, reason FROM messages WHERE id = ANY(%s::uuid[])
"""
_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"


@dataclass(frozen=True, slots=True)
class Row:
    """A message's row: its state, since when, in Unix time by the database's clock, and the reason, if it has one."""

    state: str
    updated_at: float
    reason: str = ""


@dataclass(frozen=True)
class Rows:
    """Reads a database, given as an URL of libpq or SQLAlchemy; raises `CliError` when it does not answer."""

    url: str

    def read(self, ids: Collection[str]) -> Mapping[str, Row]:
        """The rows of these messages, by id; a message that has none is left out."""
        with self._connection() as connection:
            return {key: Row(*columns) for key, *columns in connection.execute(_ROWS, [list(ids)])}

    def clock_offset(self) -> float:
        """By how many seconds the database's clock is ahead of ours."""
        with self._connection() as connection:
            asked = time.time()
            ((said,),) = connection.execute(_CLOCK).fetchall()
            return float(said) - (asked + time.time()) / 2

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        address = self.url.replace("+psycopg://", "://", 1)
        limit = "-c statement_timeout=15000"
        try:
            with psycopg.connect(address, connect_timeout=5, options=limit, application_name="mtop") as connection:
                yield connection
        except psycopg.Error as error:
            if isinstance(error, psycopg.ProgrammingError) and not error.sqlstate:  # it would repeat the password
                raise CliError("--database: not a URL like postgresql://USER:PASSWORD@HOST:PORT/NAME") from error
            said = " ".join(str(error).partition("\n")[0].split())
            raise CliError(f"the database at {urlsplit(self.url).hostname}: {said}") from error
