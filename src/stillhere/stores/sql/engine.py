"""SQLite, opened so that nothing answered can be lost and several processes can share one file."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from stillhere.errors import SettingsError, StoreError

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection, Engine
    from sqlalchemy.pool import ConnectionPoolEntry

BUSY_TIMEOUT_S: Final = 5
"""How long to wait while another process writes."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    # FULL: the log is synced before a transaction is answered, so a power cut loses nothing either.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
)


def open_engine(url: str) -> Engine:
    """Open the engine for a SQLite URL, making the file if there is none.

    Raises:
        SettingsError: if the URL names no file.
        StoreError: if the file cannot be made.
    """
    try:
        path = make_url(url).database
    except ArgumentError as error:
        raise SettingsError(f"{url!r} is not a store URL; write sqlite:///path/to/file.db") from error
    if not path or path == ":memory:":
        raise SettingsError(f"{url!r} names no file; write sqlite:///path/to/file.db, or memory:// to keep nothing")
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(f"cannot open {path}: {error.strerror}; check the folder's permissions and free space") from error
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False, "cached_statements": 64})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin` alone, not by the driver's guess
    with closing(connection.cursor()) as cursor:
        for pragma in _PRAGMAS:
            cursor.execute(pragma)


def _begin(connection: Connection) -> None:
    # IMMEDIATE: take the write lock before reading, so that what was judged is what is written. Queries of the archive say so.
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reads") else "BEGIN IMMEDIATE")
