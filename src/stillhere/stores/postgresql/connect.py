"""The way in: URLs, and what is checked once at start. No sentence repeats a password."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import psycopg
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError

from stillhere.errors import SettingsError, StoreError, StoreRefused
from stillhere.stores.facts import StoreFacts
from stillhere.stores.sql.migrations import NEWEST, revision_of, upgrade
from stillhere.stores.sql.schema import firsts, generations, grants, notes, sessions, views, visits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine import ExecutionContext

_DEFAULTS: Final = {
    "application_name": "stillhere",
    "client_encoding": "utf8",
    # Nothing hangs: seconds to connect, milliseconds until a silent peer is given up, seconds between signs of life.
    "connect_timeout": 3,
    "tcp_user_timeout": 5_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    # Of several hosts the one that writes; of one host none that only reads.
    "target_session_attrs": "read-write",
}

_ARCHIVE_SETTINGS: Final = """
SELECT
    set_config('statement_timeout', '30s', false),
    set_config('lock_timeout', '0', false),
    set_config(
        'synchronous_commit',
        CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END,
        false
    )
"""
"""A query of the archive may take a while: it reads much, and nobody waits for it but who asked. What is kept there is durable."""

ARCHIVE_TIMEOUT_S: Final = 35.0
"""How long to wait for a server that says nothing to a query of the archive."""

_READING_CONNECTIONS: Final = 4

_MIGRATING: Final = 7_834_001_452_066_931
"""Our own number among PostgreSQL's advisory locks; who holds it migrates."""

_AT_FAULT: Final = frozenset({"22", "23", "44", "54"})
"""Classes of SQLSTATE that speak of what was given: wrong data, a broken constraint, a broken check of a view, too large."""

_NO_FSYNC: Final = "its setting fsync is off: after a power cut nothing of what was answered is certain; set it to on"

_OLDEST: Final = 120_000
"""PostgreSQL 12: the first that finds a row by its ctid in a join."""


def read_url(url: str) -> Mapping[str, Any]:
    """Read a URL as libpq's parameters, with our defaults where it says nothing.

    Args:
        url: `postgresql://user@host:port/database?sslmode=...`, or `postgres://`; every parameter of libpq may follow.

    Raises:
        SettingsError: if libpq cannot read it.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error as error:
        # libpq quotes the URL, password and all, unless it is a parameter that it does not know.
        unknown = re.search(r'invalid URI query parameter: "(\w+)"', str(error))
        reason = f": it has no parameter {unknown[1]!r}" if unknown else ""
        raise SettingsError(
            f"PostgreSQL cannot read this store URL{reason}; write postgresql://user:password@host:port/database, with special "
            "characters as %XX",
        ) from None
    return {**_DEFAULTS, **given}


class _AsItLies(Loader):
    """Leaves bytes where the answer lies, which stays as long as they do."""

    format = psycopg.pq.Format.BINARY

    def load(self, data: Buffer) -> Buffer:
        """Tell where they are."""
        return data


def open_engine(parameters: Mapping[str, Any]) -> Engine:
    """Make an engine for queries of the archive. Connects when it is first used."""

    def connect() -> psycopg.Connection:
        # Not prepared: a pooler may give every transaction to another server process.
        connection = psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)
        connection.execute(_ARCHIVE_SETTINGS)
        connection.autocommit = False
        return connection

    engine = create_engine(
        "postgresql+psycopg://", creator=connect, pool_size=_READING_CONNECTIONS, max_overflow=0, pool_pre_ping=True, pool_use_lifo=True
    )

    @event.listens_for(engine, "before_cursor_execute")
    def ask(*told: Any) -> None:  # noqa: ANN401  # SQLAlchemy's event has six arguments
        cursor, context = cast("psycopg.Cursor", told[1]), cast("ExecutionContext", told[4])
        if context.execution_options.get("bulky"):
            cursor.format = psycopg.pq.Format.BINARY  # as text every byte takes two
            cursor.adapters.register_loader("bytea", _AsItLies)

    return engine


def make_ready(engine: Engine) -> None:
    """Bring the database to the newest revision, one process at a time, and see that it can be used.

    Raises:
        StoreError: if it cannot be reached or used; the sentence says what to do.
    """
    with _explained(), engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATING})
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        role, schema = _refuse_unfit(connection)
        try:
            upgrade(connection)
        except DBAPIError as error:
            if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
                raise StoreError(
                    f"the session store's tables are missing or old, and the role {role!r} may not make them in the schema {schema!r}: "
                    f"{reason_of(error.orig)}; run GRANT CREATE ON SCHEMA {schema} TO {role}, or start stillhere once as the owner",
                ) from error
            raise
        _refuse_without_rights(connection, role)


def look_at(url: str) -> StoreFacts:
    """See what is in a database, without opening it as a store: nothing is migrated.

    Raises:
        SettingsError: if libpq cannot read the URL.
        StoreError: if it cannot be reached or used; the sentence says what to do.
    """
    engine = open_engine(read_url(url))
    query = "SELECT current_setting('server_version'), current_setting('fsync'), (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    try:
        with _explained(), engine.connect() as connection:
            _refuse_unfit(connection)
            version, fsync, clock_at = connection.execute(text(query)).one()
            revision = revision_of(connection)
    finally:
        engine.dispose()
    problems = () if fsync == "on" else (_NO_FSYNC,)
    return StoreFacts(software=f"PostgreSQL {version}", revision=revision, newest=NEWEST, clock_at=clock_at, problems=problems)


def _refuse_unfit(connection: Connection) -> tuple[str, str]:
    query = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), current_user, current_schema()"
    version, encoding, role, schema = connection.execute(text(query)).one()
    if version < _OLDEST:
        raise StoreError(f"the session store runs PostgreSQL {version // 10_000}; stillhere needs 12 or newer")
    if encoding != "UTF8":
        raise StoreError(f"the session store's database has the encoding {encoding}; make one WITH ENCODING 'UTF8' TEMPLATE template0")
    if schema is None:
        raise StoreError(f"the role {role!r} has no schema to keep sessions in; create one that is on its search_path")
    return role, schema


def _refuse_without_rights(connection: Connection, role: str) -> None:
    query = text("SELECT has_table_privilege(:name, :right)")
    for table in (sessions, visits, views, grants, firsts, notes, generations):
        for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            if not connection.execute(query, {"name": table.name, "right": right}).scalar_one():
                raise StoreError(f"the role {role!r} may not {right} in {table.name}; run GRANT {right} ON {table.name} TO {role}")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, psycopg.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        raise StoreError(f"the session store cannot be opened: {reason_of(cause)}") from error


def reason_of(error: BaseException) -> str:
    """Tell in one line what PostgreSQL or libpq says; never a statement or its values."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    return str(error).partition("\n")[0].removeprefix("connection failed: ") or type(error).__name__


def is_at_fault(sqlstate: str) -> bool:
    """Tell whether PostgreSQL refused something for what it says, so that trying again will not help."""
    return sqlstate[:2] in _AT_FAULT


def refusal_of(reason: str) -> str:
    """Say that what was given cannot be kept."""
    return f"the session store refused what it was given: {reason}"


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what PostgreSQL or its driver refuses for what it says into `StoreRefused`; let other trouble pass.

    Raises:
        StoreRefused: if something in the block was refused so.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        raise StoreRefused(refusal_of("text with lone surrogates")) from error
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error) and is_at_fault(error.orig.sqlstate or ""):
            raise StoreRefused(refusal_of(reason_of(error.orig))) from error
        raise
