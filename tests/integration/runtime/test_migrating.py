"""The schema on a real PostgreSQL: made once, whoever comes first; newer ones are used or refused, never touched."""

import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from messaging_processors.runtime import migrations
from messaging_processors.runtime.errors import Away, SchemaTooNew
from messaging_processors.runtime.migrating import ensure_schema
from messaging_processors.runtime.schema import metadata
from testkit.accounts import Accounts, migrate
from testkit.processes import running
from testkit.samples import a_billing_config

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
EXPAND = """
import sqlalchemy as sa
from alembic import op

revision = "1.2"
down_revision = "1.1"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("nickname", sa.Text, nullable=False, server_default=""))
    op.create_table("invoices", sa.Column("id", sa.Uuid, primary_key=True))
"""
CONTRACT = """
from alembic import op

revision = "2.0"
down_revision = "1.2"


def upgrade() -> None:
    op.drop_column("accounts", "credit_limit_micros")
"""
SLOW = """
from alembic import op

revision = "1.2"
down_revision = "1.1"


def upgrade() -> None:
    op.execute("SELECT pg_sleep(5.5)")
"""


def scripts_with(folder: Path, *revisions: str) -> str:
    """Ours and these; where they lie."""
    scripts = folder / f"{len(revisions)}-more"
    shutil.copytree(Path(migrations.__file__).parent, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    for number, revision in enumerate(revisions):
        (scripts / "versions" / f"later_{number}.py").write_text(revision)
    return str(scripts)


def version(engine: sa.Engine) -> str:
    with engine.connect() as connection:
        return str(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one())


def test_the_migrations_make_what_the_processors_use(engine: sa.Engine) -> None:
    """Tables, their columns' types, which may be NULL, and the primary keys."""
    ensure_schema(engine)
    found = sa.MetaData()
    found.reflect(engine)
    assert found.tables.keys() - {"alembic_version"} == metadata.tables.keys()
    for name, table in metadata.tables.items():
        made = {column.name: column for column in found.tables[name].columns}
        for column in table.columns:
            twin = made[column.name]
            assert declared(twin) == declared(column), column
        unknown = [made[column] for column in made.keys() - table.columns.keys()]
        assert all(column.server_default is not None for column in unknown), f"{name}: {unknown} must fill themselves"


def declared(column: "sa.Column[object]") -> tuple[str, bool | None, bool]:
    """What a text may hold no statement has to know."""
    kind = column.type.compile(DIALECT).replace("VARCHAR", "TEXT")
    return kind, column.nullable, column.primary_key


def test_of_many_that_start_at_once_one_migrates(database_url: str, engine: sa.Engine) -> None:
    """Threads of one process and other processes."""
    with ProcessPoolExecutor(3, get_context("spawn")) as processes, ThreadPoolExecutor(4) as threads:
        migrating = [processes.submit(migrate, database_url) for _ in range(3)]
        migrating += [threads.submit(migrate, database_url) for _ in range(4)]
    assert [one.exception() for one in migrating] == [None] * 7
    assert version(engine) == "1.1"


def test_after_an_expansion_older_processors_go_on(database_url: str, engine: sa.Engine, tmp_path: Path) -> None:
    accounts = Accounts(database_url)
    accounts.register("before")
    ensure_schema(engine, scripts_with(tmp_path, EXPAND))
    assert version(engine) == "1.2"
    ensure_schema(engine)
    assert version(engine) == "1.2"
    accounts.register("after", balance="5")
    assert (accounts.balance("before"), accounts.balance("after")) == ("0", "5")


def test_a_newer_major_version_is_refused_and_untouched(engine: sa.Engine, tmp_path: Path) -> None:
    ensure_schema(engine, scripts_with(tmp_path, EXPAND, CONTRACT))
    with pytest.raises(SchemaTooNew, match=r"version 2\.0 is newer than 1\.1.*run processors of the version"):
        ensure_schema(engine)
    assert version(engine) == "2.0"


def test_a_processor_that_is_too_old_ends_and_says_why(database_url: str, engine: sa.Engine, tmp_path: Path) -> None:
    ensure_schema(engine, scripts_with(tmp_path, EXPAND, CONTRACT))
    with running(a_billing_config(bootstrap_servers="127.0.0.1:9"), tmp_path, DATABASE_URL=database_url) as billing:
        assert billing.process.wait(30) == 1
    assert "messaging_processors: database schema: version 2.0 is newer than 1.1" in billing.log.read_text()


def test_a_migration_may_take_longer_than_any_other_statement(engine: sa.Engine, tmp_path: Path) -> None:
    """And only it: whoever waits for it meanwhile is told that the database is away."""
    ensure_schema(engine)
    scripts = scripts_with(tmp_path, SLOW)
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(ensure_schema, engine, scripts) for _ in range(2)]
        failed = [error for one in both if (error := one.exception())]
    assert [type(error) for error in failed] == [Away]
    assert "statement timeout" in str(failed[0])
    assert version(engine) == "1.2"
    with engine.connect() as connection, pytest.raises(sa.exc.OperationalError, match="statement timeout"):
        connection.execute(sa.text("SELECT pg_sleep(5)"))


def test_a_migration_that_fails_leaves_nothing_behind(engine: sa.Engine, tmp_path: Path) -> None:
    broken = EXPAND + '    op.execute("SELECT 1 / 0")\n'
    ensure_schema(engine)
    with pytest.raises(sa.exc.DataError):
        ensure_schema(engine, scripts_with(tmp_path, broken))
    assert version(engine) == "1.1"
    assert not sa.inspect(engine).has_table("invoices")
