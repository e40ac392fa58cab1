"""Migrations make the tables that the queries expect, once, and refuse what they do not know."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine

from stillhere.errors import StoreError
from stillhere.stores.sql import migrations
from stillhere.stores.sql.schema import metadata
from stillhere.stores.sqlite.store import SqliteStore
from tests.stores.every import session_of


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """Give a database that migrations made."""
    await SqliteStore(f"sqlite:///{tmp_path / 'sessions.db'}").close()
    return tmp_path / "sessions.db"


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts={"version_table": migrations.VERSION_TABLE})


def _schema(file: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'stillhere_version' ORDER BY name"
        ).fetchall()


def test_they_make_the_tables_of_the_schema(file: Path, tmp_path: Path) -> None:
    """Alembic finds no difference, and the very statements are those that the schema would make."""
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        assert compare_metadata(_context(connection), metadata) == []
    engine.dispose()
    plain = create_engine(f"sqlite:///{tmp_path / 'plain.db'}")
    metadata.create_all(plain)
    plain.dispose()
    assert _schema(file) == _schema(tmp_path / "plain.db")


def test_a_missing_column_would_be_found(tmp_path: Path) -> None:
    """The comparison above is worth something: tables with one column less are told apart."""
    engine = create_engine(f"sqlite:///{tmp_path / 'less.db'}")
    less = MetaData()
    for table in metadata.tables.values():
        table.to_metadata(less)
    less.tables["stillhere_views"]._columns.remove(less.tables["stillhere_views"].c.title)
    less.create_all(engine)
    with engine.connect() as connection:
        assert [difference[0] for difference in compare_metadata(_context(connection), metadata)] == ["add_column"]
    engine.dispose()


def test_newest_is_the_newest_file() -> None:
    """The revision that opening asks for is the head of the chain, and each file is named for its revision."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [migrations.NEWEST]
    assert {script.revision for script in scripts.walk_revisions()} == migrations._known()


async def test_opening_again_changes_nothing(file: Path) -> None:
    """A database at the newest revision is opened as it is, with everything in it."""
    before = _schema(file)
    for name in ("a", "b"):
        store = SqliteStore(f"sqlite:///{file}")
        await store.create(session_of(name))
        await store.close()
    store = SqliteStore(f"sqlite:///{file}")
    assert await store.get("handle-a") == session_of("a")
    await store.close()
    assert _schema(file) == before


def test_opening_again_does_not_load_alembic(file: Path) -> None:
    """Alembic is slow to load and needed once: a program that finds its database in order does without."""
    program = f"""if True:
        import asyncio, sys
        from stillhere.stores.sqlite.store import SqliteStore
        asyncio.run(SqliteStore("sqlite:///{file}").close())
        sys.exit("alembic" in sys.modules)
    """
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("revision", ["9999", "1975ea83b712", "*", "0001_sessions"])
def test_an_unknown_revision_is_refused(file: Path, revision: str) -> None:
    """A database of a newer version, or of another program, is left alone, and the sentence says what to do."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE stillhere_version SET version_num = ?", [revision])
    with pytest.raises(StoreError) as refused:
        SqliteStore(f"sqlite:///{file}")
    assert str(refused.value) == (
        f"the session store is at revision {revision!r}, which this version of stillhere does not know (its newest is '0001'); "
        "upgrade stillhere, or use another file if this one belongs to another program"
    )
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version_num FROM stillhere_version").fetchall() == [(revision,)]


def test_a_failed_migration_leaves_nothing_behind(tmp_path: Path) -> None:
    """Tables that are in the way make it an error, and the file is as it was: all of a migration, or nothing."""
    file = tmp_path / "sessions.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE stillhere_views (mine)")
    before = _schema(file)
    with pytest.raises(StoreError, match="table stillhere_views already exists"):
        SqliteStore(f"sqlite:///{file}")
    assert _schema(file) == before
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


def test_an_applications_own_database_can_be_shared(tmp_path: Path) -> None:
    """Tables of an application, migrations of its own included, and ours live side by side in one file."""
    file = tmp_path / "app.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(
            "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('theirs');"
            "CREATE TABLE sessions (theirs); CREATE TABLE visits (theirs); CREATE TABLE views (theirs);",
        )
    asyncio.run(SqliteStore(f"sqlite:///{file}").close())
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("theirs",)]
        assert connection.execute("SELECT version_num FROM stillhere_version").fetchall() == [(migrations.NEWEST,)]
