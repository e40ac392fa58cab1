"""What the PostgreSQL store checks when it is opened, and what it says when it cannot be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import sql
from sqlalchemy import create_engine

from stillhere.errors import SettingsError, StoreError
from stillhere.stores.postgresql import connect
from stillhere.stores.postgresql.store import PostgresqlStore
from stillhere.stores.sql.migrations import VERSION_TABLE
from stillhere.stores.sql.schema import metadata
from tests.services.process import free_port
from tests.stores.every import session_of

if TYPE_CHECKING:
    from tests.services import Postgresql


def refused(url: str) -> str:
    """Tell why a store cannot be opened there; one line, without the password."""
    with pytest.raises(StoreError) as error:
        PostgresqlStore(url)
    said = str(error.value)
    assert "\n" not in said
    assert "sesame" not in said
    return said


def columns(url: str) -> list[tuple[str, ...]]:
    """List what is in a database."""
    with psycopg.connect(url) as connection:
        query = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1, 2"
        return connection.execute(query).fetchall()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://stillhere:open-sesame@[::1/stillhere",
        "postgresql://stillhere:open-sesame@127.0.0.1:5432/stillhere?sslmode",
        "postgresql://stillhere:open-sesame@127.0.0.1/stillhere?colour=red",
        "postgresql://stillhere:open%sesame@127.0.0.1/stillhere",
    ],
)
def test_a_wrong_url_is_refused(url: str) -> None:
    """What libpq cannot read is a wrong setting; the sentence says what to write, and never repeats the password."""
    with pytest.raises(SettingsError, match="write postgresql://user:password@host:port/database") as error:
        PostgresqlStore(url)
    assert "sesame" not in str(error.value)
    assert error.value.__suppress_context__


def test_an_unknown_parameter_is_named() -> None:
    """Of a parameter that libpq does not know the name is said."""
    with pytest.raises(SettingsError, match="it has no parameter 'colour'"):
        PostgresqlStore("postgresql://127.0.0.1/x?colour=red")


def test_a_refused_connection_is_said() -> None:
    """Where no server listens, address and cause are in the sentence."""
    port = free_port()
    said = refused(f"postgresql://stillhere:sesame@127.0.0.1:{port}/stillhere")
    assert said.startswith("the session store cannot be opened: connection to server at")
    assert f"port {port} failed: Connection refused" in said


def test_a_wrong_password_is_said(server: Postgresql) -> None:
    """A password that the server does not take is an error of its own, and is not repeated."""
    said = refused(server.guarded_url.replace("correct-horse-battery", "sesame"))
    assert 'password authentication failed for user "guarded"' in said


def test_an_unknown_database_is_said(server: Postgresql) -> None:
    """The name of the database that is not there is in the sentence."""
    assert 'database "nowhere" does not exist' in refused(server.url_of("nowhere"))


async def test_the_right_password_and_the_short_scheme_work(server: Postgresql) -> None:
    """`postgres://` is `postgresql://`, and a role with a password gets in."""
    store = PostgresqlStore(server.guarded_url.replace("postgresql://", "postgres://"))
    await store.ping()
    await store.close()


def test_a_role_that_may_not_make_tables_is_told_what_to_grant(server: Postgresql, url: str) -> None:
    """Where the tables are missing and the role may not make them, the sentence holds the GRANT to run."""
    stranger, schema = url.replace("stillhere@", "guarded:correct-horse-battery@"), url.rpartition("%3D")[2]
    granted = sql.SQL("GRANT {} ON SCHEMA {} TO guarded")
    server.execute(granted.format(sql.SQL("USAGE"), sql.Identifier(schema)), database="stillhere")
    said = refused(stranger)
    assert said.startswith(
        f"the session store's tables are missing or old, and the role 'guarded' may not make them in the schema '{schema}'"
    )
    assert f"GRANT CREATE ON SCHEMA {schema} TO guarded" in said
    server.execute(granted.format(sql.SQL("CREATE"), sql.Identifier(schema)), database="stillhere")
    PostgresqlStore(stranger)


async def test_a_role_that_may_only_use_the_tables_can(server: Postgresql, store: PostgresqlStore, url: str) -> None:
    """A role that owns nothing needs four rights on each table, and is told which one it lacks."""
    stranger, schema = url.replace("stillhere@", "guarded:correct-horse-battery@"), sql.Identifier(url.rpartition("%3D")[2])
    await store.create(session_of("a"))
    server.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO guarded").format(schema), database="stillhere")
    granted = sql.SQL("GRANT {} ON ALL TABLES IN SCHEMA {} TO guarded")
    server.execute(granted.format(sql.SQL("SELECT"), schema), database="stillhere")
    assert refused(stranger) == (
        "the role 'guarded' may not INSERT in stillhere_sessions; run GRANT INSERT ON stillhere_sessions TO guarded"
    )
    server.execute(granted.format(sql.SQL("INSERT, UPDATE, DELETE"), schema), database="stillhere")
    other = PostgresqlStore(stranger)
    assert await other.get("handle-a") == session_of("a")
    await other.close()


@pytest.mark.parametrize("revision", ["9999", "theirs"])
def test_an_unknown_revision_is_refused(url: str, revision: str) -> None:
    """A database of a newer version is left alone."""
    PostgresqlStore(url)
    before = columns(url)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE stillhere_version SET version_num = %s", [revision])
    assert "which this version of stillhere does not know" in refused(url)
    assert columns(url) == before


def test_a_failed_migration_leaves_nothing_behind(url: str) -> None:
    """A table that is in the way makes it an error, and the database is as it was: all of a migration, or nothing."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE stillhere_views (mine int)")
    assert refused(url) == 'the session store cannot be opened: relation "stillhere_views" already exists'
    assert columns(url) == [("stillhere_views", "mine")]


def test_many_may_open_an_empty_database_at_once(url: str) -> None:
    """Whoever comes first makes the tables, the others wait for them; nobody fails."""
    with ThreadPoolExecutor(8) as threads:
        assert len(list(threads.map(PostgresqlStore, [url] * 8))) == 8


def test_migrations_make_the_tables_of_the_schema(url: str) -> None:
    """Alembic finds no difference, sorted columns sort by code point, and pages keep room for beats."""
    PostgresqlStore(url)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        # No portable query needs the column by which the sweep finds who is due.
        only_here = {"due_at", "stillhere_sessions_due"}
        ours = {
            "version_table": VERSION_TABLE,
            "include_object": lambda thing, name, *_: thing.info.get("dialect") != "sqlite" and name not in only_here,
        }
        assert compare_metadata(MigrationContext.configure(connection, opts=ours), metadata) == []
        sorted_by_code_point = (
            "SELECT table_name || '.' || column_name FROM information_schema.columns "
            "WHERE collation_name = 'C' AND table_schema = current_schema() ORDER BY 1"
        )
        assert connection.exec_driver_sql(sorted_by_code_point).scalars().all() == [
            "stillhere_audit.id",
            "stillhere_days.part",
            "stillhere_firsts.name",
            "stillhere_generations.subject",
            "stillhere_grants.handle",
            "stillhere_grants.kind",
            "stillhere_mirror_marks.mirror",
            "stillhere_mirrored.handle",
            "stillhere_mirrored.mirror",
            "stillhere_notes.handle",
            "stillhere_notes.name",
            "stillhere_sessions.handle",
            "stillhere_sessions.subject",
            "stillhere_views.handle",
            "stillhere_views.view",
            "stillhere_visits.handle",
            "stillhere_visits.subject",
        ]
        roomy = "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND reloptions = '{fillfactor=90}'"
        assert connection.exec_driver_sql(roomy).scalar() == 6
    engine.dispose()


def test_an_old_server_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PostgreSQL that lacks what the statements need is refused with both versions."""
    monkeypatch.setattr(connect, "_OLDEST", 10_000_000)
    assert "stillhere needs 12 or newer" in refused(url)


def test_a_database_that_cannot_hold_every_text_is_refused(server: Postgresql) -> None:
    """Only UTF-8 holds what people call their pages."""
    server.execute(sql.SQL("DROP DATABASE IF EXISTS latin"))
    server.execute(sql.SQL("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0"))
    assert "has the encoding LATIN1; make one WITH ENCODING 'UTF8'" in refused(server.url_of("latin"))


def test_a_role_without_a_schema_is_told_so(url: str) -> None:
    """Where the search path leads nowhere, there is no place for tables, and the sentence says so."""
    assert "has no schema to keep sessions in" in refused(f"{url}where")


@pytest.mark.parametrize(("query", "name"), [("", "stillhere"), ("&application_name=mine", "mine")])
async def test_the_application_has_a_name(url: str, query: str, name: str) -> None:
    """Connections are called `stillhere`, or what the URL says; parameters of the URL reach the server."""
    store = PostgresqlStore(url + query)
    await store.ping()
    with psycopg.connect(url) as connection:
        others = "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert connection.execute(others).fetchall() == [(name,)]
    await store.close()
