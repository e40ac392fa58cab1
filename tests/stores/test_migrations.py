"""Migrations make the tables that the queries expect, once, and refuse what they do not know."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from msgspec.structs import replace
from sqlalchemy import Connection, MetaData, create_engine, text

from stillhere.core.records import View, Visit
from stillhere.errors import StoreError
from stillhere.stores import open_store
from stillhere.stores.protocol import Granting, Sweepable
from stillhere.stores.sql import migrations
from stillhere.stores.sql.schema import metadata
from stillhere.stores.sqlite.store import SqliteStore
from stillhere.testing.scene import grant_of
from tests.stores.every import IDLE, session_of
from tests.support import START

VISIT = Visit(
    handle="handle-a",
    number=1,
    subject="first@fund.example",
    started_at=START,
    last_seen_at=START + 9,
    covered_until_at=START + 9,
    visible_ms=9,
    active_ms=3,
)
VIEW = View(
    handle="handle-a",
    view="v",
    visit=1,
    tab="t",
    page="/a",
    title="A",
    opened_at=START,
    last_seen_at=START + 9,
    visible_ms=9,
    active_ms=3,
    scroll_pct=12.5,
    seq=4,
)


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """Give a database that migrations made."""
    await SqliteStore(f"sqlite:///{tmp_path / 'sessions.db'}").close()
    return tmp_path / "sessions.db"


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts={"version_table": migrations.VERSION_TABLE})


def _schema(file: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'stillhere_version' ORDER BY name"
        ).fetchall()
    # SQLite writes columns that are added later on one line.
    return [(name, " ".join(sql.split())) for name, sql in found]


def test_they_make_the_tables_of_the_schema(file: Path, tmp_path: Path) -> None:
    """Alembic finds no difference, and the very statements, white space apart, are those that the schema would make."""
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


@pytest.mark.parametrize("revision", ["0001", "0002", "0003"])
async def test_a_database_of_an_older_revision_is_brought_forward(tmp_path: Path, revision: str) -> None:
    """Sessions, visits and views of an older version are all there afterwards, take grants, and are swept and ended like new ones."""
    file = tmp_path / "sessions.db"
    engine = create_engine(f"sqlite:///{file}")
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    later = {"heat", "bands", "uncounted_from_at", "uncounted_until_at"}
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for table, kept in (
            ("sessions", {**msgspec.to_builtins(session_of("a")), "attributes": '{"role": "admin"}'}),
            ("visits", msgspec.to_builtins(VISIT)),
            ("views", msgspec.to_builtins(VIEW)),
        ):
            record = {name: value for name, value in kept.items() if name not in later}
            names = ", ".join(record)
            values = ", ".join(f":{name}" for name in record)
            connection.execute(text(f"INSERT INTO stillhere_{table} ({names}) VALUES ({values})"), record)  # noqa: S608  # our own names
    engine.dispose()
    store, archive = open_store(f"sqlite:///{file}")
    session = replace(session_of("a"), attributes={"role": "admin"})
    assert await store.get("handle-a") == session
    found = await archive.visit("handle-a.1", beat_interval=1, now=START)
    assert found is not None
    assert (found[0].visible_ms, found[1]) == (VISIT.visible_ms, [VIEW])
    assert isinstance(store, Granting)
    assert (await store.swap(grant_of("a"), now=START)).done
    assert isinstance(store, Sweepable)
    assert await store.sweep(limit=10, now=START + IDLE - 1) == []
    assert [swept.handle for swept in await store.sweep(limit=10, now=START + IDLE)] == ["handle-a"]
    await store.close()


@pytest.mark.parametrize("revision", ["9999", "1975ea83b712", "*", "0001_sessions"])
def test_an_unknown_revision_is_refused(file: Path, revision: str) -> None:
    """A database of a newer version, or of another program, is left alone, and the sentence says what to do."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE stillhere_version SET version_num = ?", [revision])
    with pytest.raises(StoreError) as refused:
        SqliteStore(f"sqlite:///{file}")
    assert str(refused.value) == (
        f"the session store is at revision {revision!r}, which this version of stillhere does not know "
        f"(its newest is {migrations.NEWEST!r}); "
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
