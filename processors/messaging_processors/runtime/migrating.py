"""Brings the database's schema to what this version of the processors needs; every processor calls `ensure_schema`.

Revisions are named `major.minor`. Promises: of processors that start at once one migrates and the others wait for it;
a schema of the same major version and a newer minor one is used as it is, for minor revisions only add; a newer major
one is refused, and nothing is touched.
"""

from dataclasses import dataclass

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from messaging_processors.runtime.database import patient, transaction
from messaging_processors.runtime.errors import SchemaTooNew

_SCHEMA_LOCK = 0x6D746F70
"""Any number, the same in every processor."""
_SCRIPTS = "messaging_processors.runtime:migrations"
_STATEMENT_SECONDS = 45
"""A loop that does not turn looks dead after a minute; what a revision asks for in one statement takes less."""


@dataclass(frozen=True, order=True)
class Version:
    """A revision's name."""

    major: int
    minor: int

    @classmethod
    def parse(cls, revision: str) -> "Version":
        """`"1.2"` → 1, 2."""
        major, _, minor = revision.partition(".")
        return cls(int(major), int(minor))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


def ensure_schema(engine: Engine, scripts: str = _SCRIPTS) -> None:
    """Migrates what is older; raises `Away` when the database is, `SchemaTooNew` when its schema is."""
    config = Config()
    config.set_main_option("script_location", scripts)
    newest = Version.parse(ScriptDirectory.from_config(config).get_current_head() or "0.0")
    with transaction(engine) as connection:
        if not _is_older(connection, newest):
            return
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
        if _is_older(connection, newest):  # nobody else was faster
            patient(connection, _STATEMENT_SECONDS)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _is_older(connection: Connection, newest: Version) -> bool:
    revision = MigrationContext.configure(connection).get_current_revision()
    present = Version.parse(revision) if revision else Version(0, 0)
    if present.major > newest.major:
        raise SchemaTooNew(
            f"database schema: version {present} is newer than {newest}, the newest that this processor knows, and not"
            f" made for it: run processors of the version that migrated the database, or restore a backup from before"
        )
    return present < newest
