"""A real PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql

from stillhere.stores.sql.migrations import VERSION_TABLE
from tests.services.process import Server, free_port, running
from tests.support import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROLE: Final = "stillhere"

GUARDED: Final = "guarded"
PASSWORD: Final = "correct-horse-battery"

ACCESS: Final = f"""\
host all {GUARDED} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
local all all trust
"""
"""pg_hba.conf: one role has a password; the others are trusted."""

SETTINGS: Final = {"listen_addresses": "127.0.0.1", "fsync": "on", "max_connections": 200, "shared_buffers": "64MB", "timezone": "UTC"}


class Postgresql(Server):
    """One PostgreSQL, with text sorted as people sort it, so that nobody takes the order of bytes for granted.

    Args:
        home: a short path, for data and socket: a socket's path has room for a hundred characters.
        log: file for its output.
        user: who runs it.
        changed: settings other than the usual ones.

    Attributes:
        socket_folder: where its socket is.
        url: URL of an empty database, owned by an ordinary role without a password.
        guarded_url: the same for a role with a password.
        admin_url: URL for the superuser.
    """

    def __init__(self, home: Path, log: Path, *, user: str | None, changed: dict[str, Any]) -> None:
        port = free_port()
        self.socket_folder = home
        self._home = home
        self._user = user
        self._base = f"127.0.0.1:{port}"
        self.url = self.url_of(ROLE)
        self.guarded_url = f"postgresql://{GUARDED}:{PASSWORD}@{self._base}/{GUARDED}"
        self.admin_url = f"postgresql://postgres@{self._base}/postgres"
        settings: dict[str, Any] = {**SETTINGS, **changed, "port": port, "unix_socket_directories": home}
        flags = [f"--{name}={value}" for name, value in settings.items()]
        command = [binary("postgres"), "-D", f"{home}/data", *flags]
        super().__init__(command, log, port=port, is_ready=self._answers, stop_with=signal.SIGINT, user=user)

    def prepare(self) -> None:
        """Make the files of a new server."""
        initdb = binary("initdb")
        # Syncing these files is left out; what the running server writes is synced.
        command = [initdb, "-D", f"{self._home}/data", "-U", "postgres", "-A", "trust", "--encoding=UTF8", "--no-sync", *_sorting(initdb)]
        with self.log.open("ab") as output, self.quoting_log():
            made = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, user=self._user, cwd=self._home, check=False)
            assert made.returncode == 0, "initdb failed"
        (self._home / "data" / "pg_hba.conf").write_text(ACCESS, "utf-8")

    def found(self) -> None:
        """Make the roles and a database for each."""
        self.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
        self.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(GUARDED), sql.Literal(PASSWORD)))
        self.database(ROLE)
        self.database(GUARDED, owner=GUARDED)

    def url_of(self, database: str) -> str:
        """Tell the URL of a database for the ordinary role."""
        return f"postgresql://{ROLE}@{self._base}/{database}"

    def database(self, name: str, *, owner: str = ROLE, template: str = "template1") -> str:
        """Make a fresh database, in place of one of this name; tell its URL for the ordinary role.

        Args:
            name: its name.
            owner: the role that owns it.
            template: a database to copy, to which nobody is connected. The default is empty.
        """
        names = [sql.Identifier(part) for part in (name, owner, template)]
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(names[0]))
        self.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(*names))
        return self.url_of(name)

    def emptied(self, name: str) -> str:
        """Take the rows out of a database and leave its tables, which is quicker than a fresh one; make it the first time.

        Args:
            name: its name.
        """
        if not self.execute(sql.SQL("SELECT 1 FROM pg_database WHERE datname = {}").format(sql.Literal(name))):
            return self.database(name)
        tables = self.execute(sql.SQL("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"), database=name)
        rows = [table for (table,) in tables if table != VERSION_TABLE]
        if rows:
            deletions = [sql.SQL("DELETE FROM {};").format(sql.Identifier(table)) for table in rows]
            self.execute(sql.SQL("SET session_replication_role = replica;") + sql.Composed(deletions), database=name)
        return self.url_of(name)

    def execute(
        self, statement: sql.SQL | sql.Composed, *, database: str = "postgres", patience_s: int = PATIENCE_S
    ) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, outside of any transaction; tell its rows."""
        with psycopg.connect(self.admin_url, dbname=database, autocommit=True, connect_timeout=patience_s) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            return bool(self.execute(sql.SQL("SELECT 1"), patience_s=2))
        return False


def binary(name: str) -> str:
    """Find one of PostgreSQL's programs; Debian keeps them off the path, a folder for each version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    found = shutil.which(name, path=os.pathsep.join(map(str, reversed(folders)))) or shutil.which(name)
    assert found is not None, f"PostgreSQL's {name} is not here; run scripts/need-services"
    return found


def _sorting(initdb: str) -> Sequence[str]:
    version = subprocess.run([initdb, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    return ["--locale=C.UTF-8"] + (["--locale-provider=icu", "--icu-locale=en-US"] if int(version.partition(".")[0]) >= 15 else [])


def _unprivileged() -> str | None:
    """Tell who runs it: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextlib.contextmanager
def postgresql(folder: Path, **changed: Any) -> Iterator[Postgresql]:
    """Run a new PostgreSQL until the block ends.

    Args:
        folder: for its log. Its data is in a folder of its own that a user other than root can reach.
        changed: settings other than the usual ones.
    """
    user = _unprivileged()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stillhere-pg-") as home:
        if user is not None:
            shutil.chown(home, user)
        server = Postgresql(Path(home), folder / "postgresql.log", user=user, changed=changed)
        server.prepare()
        with running(server):
            server.found()
            yield server
