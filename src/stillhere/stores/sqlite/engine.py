"""SQLite, opened so that nothing answered can be lost and several processes can share one file."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sqlalchemy import create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from stillhere.errors import SettingsError, StoreError
from stillhere.stores.facts import StoreFacts
from stillhere.stores.sql.migrations import NEWEST, revision_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.pool import ConnectionPoolEntry

BUSY_TIMEOUT_S: Final = 5
"""How long to wait while another process writes."""

_TRY_S: Final = 0.05
"""How long one try to switch to the write-ahead log waits."""

_PRAGMAS: Final = (
    # FULL: the log is synced before a transaction is answered, so a power cut loses nothing either.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}",
)


def open_engine(url: str) -> Engine:
    """Open the engine for a SQLite URL, making the file if there is none.

    Raises:
        SettingsError: if the URL names no file.
        StoreError: if the file cannot be made.
    """
    path = _path_of(url)
    file = Path(path).absolute()
    try:
        opened = _made(file)
    except OSError as error:
        raise StoreError(f"cannot open {path}: {error.strerror}; check the folder's permissions and free space") from error
    engine = create_engine(url, connect_args={"timeout": _TRY_S, "check_same_thread": False, "cached_statements": 64})

    def begin(connection: Connection) -> None:
        # SQLite goes on writing to a file that was removed; what was answered then would be gone with the process.
        if not (file.exists() and os.path.samestat(file.stat(), opened)):
            raise StoreError(f"{path} was removed or replaced while it was in use; put it back, or restart to begin a new one")
        # IMMEDIATE: take the write lock before reading, so that what was judged is what is written. Queries of the archive say so.
        connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reads") else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", begin)
    return engine


def _path_of(url: str) -> str:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise SettingsError(f"{url!r} is not a store URL; write sqlite:///path/to/file.db") from error
    path = parsed.database
    if parsed.host or not path or path == ":memory:":
        raise SettingsError(f"{url!r} names no file; write sqlite:///path/to/file.db, or memory:// to keep nothing")
    return path


def look_at(url: str) -> StoreFacts:
    """See what is in a file, without opening it as a store: none is made, none is migrated.

    Raises:
        SettingsError: if the URL names no file.
        StoreError: if the file is there and cannot be used, or is not there and cannot be made.
    """
    path = _path_of(url)
    file = Path(path).absolute()
    software = f"SQLite {sqlite3.sqlite_version}"
    place = file if file.exists() else next(parent for parent in file.parents if parent.exists())
    if not os.access(place, os.R_OK | os.W_OK) or (place != file and not place.is_dir()):
        raise StoreError(f"cannot open {path}: {place} cannot be written; check its permissions")
    if place != file:
        return StoreFacts(software=software, newest=NEWEST)
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return StoreFacts(software=software, revision=revision_of(connection), newest=NEWEST)
    except DBAPIError as error:
        raise StoreError(f"cannot read {path}: {error.orig}; is it a database of another program?") from error


def _made(file: Path) -> os.stat_result:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Never open a file that is there: closing it again would drop the locks of every other store that this process has on it
    # (https://sqlite.org/howtocorrupt.html, section 2.2).
    if not file.exists():
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    if not os.access(file, os.R_OK | os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return file.stat()


def _prepare(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions are begun by `begin` alone, not by the driver's guess
    with closing(connection.cursor()) as cursor:
        _switch_to_log(cursor)
        for pragma in _PRAGMAS:
            cursor.execute(pragma)


def _switch_to_log(cursor: sqlite3.Cursor) -> None:
    """Use the write-ahead log. Of several processes that make a file at once one may switch, and SQLite fails the others at once."""
    tries_left = round(BUSY_TIMEOUT_S / _TRY_S)
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            tries_left -= 1
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or not tries_left:
                raise
            time.sleep(_TRY_S)
        else:
            return
