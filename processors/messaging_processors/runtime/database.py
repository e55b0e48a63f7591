"""PostgreSQL: connections with deadlines, and which errors mean that the database is away.

Called by be-messaging, billing and the sinks. Promise: no call waits longer than a few seconds, and `transaction`
raises `Away` for exactly the errors that no record is to blame for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url, text

from messaging_processors.runtime.errors import Away

DATABASE = "database"
_CONNECT_SECONDS = 2
_STATEMENT_MS = 4000
_ANSWER_SECONDS = 5.0

# SQLSTATE classes and codes: connection, authorization, no such database, rollback (deadlock, serialization),
# resources (disk full, too many connections), operator (shutdown, statement timeout), system; read-only, a transaction
# that was idle or open for too long since its process had been frozen, lock timeout.
_AWAY_CLASSES = ("08", "28", "3D", "40", "53", "57", "58")
_AWAY_CODES = ("25006", "25P03", "25P04", "55P03")


T = TypeVar("T")


class _ImpatientConnection(psycopg.Connection[Any]):
    """Gives up on a server that is connected but silent; the driver itself would wait for ever."""

    patience = _ANSWER_SECONDS

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.errors._WaitTimeout as error:
            self.close()  # an answer that comes later must not be taken for the next one's
            raise psycopg.OperationalError(f"no answer in {self.patience:g} s") from error


def connect(url: str) -> Engine:
    """A small pool of connections that are tried before use. Connects at the first use, not now."""
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=5,
        pool_timeout=2,
        hide_parameters=True,  # they are customers' data, and errors are logged
        connect_args={
            "connect_timeout": _CONNECT_SECONDS,
            "tcp_user_timeout": _STATEMENT_MS,
            "options": f"-c statement_timeout={_STATEMENT_MS} -c idle_in_transaction_session_timeout=10000",
            "application_name": "messaging-topology",
        },
    )
    event.listen(engine, "do_connect", _connect_impatiently)
    return engine


def _connect_impatiently(_: object, __: object, arguments: list[Any], options: dict[str, Any]) -> _ImpatientConnection:
    return _ImpatientConnection.connect(*arguments, **options)


def patient(connection: Connection, seconds: int) -> None:
    """Lets every statement of this transaction take that long, for a migration; others never get its connection."""
    connection.execute(text(f"SET LOCAL statement_timeout = '{seconds}s'"))
    connection.detach()
    cast(_ImpatientConnection, connection.connection.dbapi_connection).patience = seconds + 1.0


def probe(engine: Engine) -> None:
    """Raises `Away` unless the database answers."""
    with transaction(engine) as connection:
        connection.execute(text("SELECT 1"))


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction, committed at the end of the block; raises `Away` when the database is."""
    try:
        with engine.begin() as connection:
            yield connection
    except exc.SQLAlchemyError as error:
        if is_away(error):
            raise Away(DATABASE, describe(error)) from error
        raise


def is_away(error: exc.SQLAlchemyError) -> bool:
    """True for what heals without anybody touching a record, false for errors in the data or in the statement."""
    if isinstance(error, exc.TimeoutError):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    code = getattr(error.orig, "sqlstate", None)
    if code is None:  # no answer from a server: only the connection can be to blame
        return error.connection_invalidated or isinstance(error, exc.OperationalError | exc.InterfaceError)
    return code.startswith(_AWAY_CLASSES) or code in _AWAY_CODES


def describe(error: exc.SQLAlchemyError) -> str:
    """The first line of what the driver said: without the statement, whose parameters are customers' data."""
    said = str(getattr(error, "orig", None) or error).strip()
    return said.splitlines()[0] if said else type(error).__name__
