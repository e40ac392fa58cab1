"""How SQLite is opened: what its connections really run with, who may read the file, and what is said when it cannot be."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from stillhere.errors import SettingsError, StoreError
from stillhere.stores import open_store
from stillhere.stores.memory import MemoryStore
from stillhere.stores.sqlite import engine
from stillhere.stores.sqlite import store as sqlite
from stillhere.stores.sqlite.store import SqliteStore
from tests.stores.every import GAP, IDLE, claim_of, session_of
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from stillhere.core.records import Session

PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "temp_store": 2, "busy_timeout": 5_000}
"""2 is FULL for `synchronous` and MEMORY for `temp_store`."""

PROC_LOCKS = Path("/proc/locks")


async def test_every_connection_is_opened_safely(tmp_path: Path) -> None:
    """The writer and the readers run with a write-ahead log, full synchronisation and foreign keys, as the live connection tells."""

    def tell(connection: Connection) -> dict[str, object]:
        return {pragma: connection.execute(text(f"PRAGMA {pragma}")).scalar() for pragma in PRAGMAS}

    store = SqliteStore(f"sqlite:///{tmp_path / 'sessions.db'}")
    assert await store.readers(tell) == PRAGMAS
    with store._connection.begin():
        assert tell(store._connection) == PRAGMAS
    await store.close()


async def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    """The file, its log and its index are readable and writable by their owner alone."""
    store = SqliteStore(f"sqlite:///{tmp_path / 'new' / 'folder' / 'sessions.db'}")
    await store.create(session_of("a"))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "new" / "folder").iterdir()}
    assert modes == dict.fromkeys(("sessions.db", "sessions.db-wal", "sessions.db-shm"), 0o600)
    await store.close()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://sessions.db", "sqlite://folder/sessions.db", "sqlite://:x/y.db"]
)
def test_a_url_without_a_file_is_refused(url: str) -> None:
    """A store that could not keep anything is refused with the form to write."""
    with pytest.raises(SettingsError, match=r"write sqlite:///path/to/file\.db"):
        open_store(url)


async def test_the_memory_store_is_opened_by_its_url() -> None:
    """`memory://` opens an empty store that keeps nothing."""
    store, archive = open_store("memory://")
    assert isinstance(store, MemoryStore)
    assert await archive.visitors(beat_interval=1, now=0) == []


def test_a_file_in_the_way_of_a_folder_is_said(tmp_path: Path) -> None:
    """Where a folder is needed and a file is there, the error names the path and says what to check."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot open .*file/sessions\.db: File exists; check the folder's permissions"):
        SqliteStore(f"sqlite:///{tmp_path / 'file' / 'sessions.db'}")


def test_a_folder_in_the_way_of_the_file_is_said(tmp_path: Path) -> None:
    """A path that names a folder is `StoreError`."""
    with pytest.raises(StoreError, match="unable to open database file"):
        SqliteStore(f"sqlite:///{tmp_path}")


def test_a_file_without_permission_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be written is refused at once, before SQLite would find out."""
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(StoreError, match=r"cannot open .*sessions\.db: Permission denied; check the folder's permissions"):
        SqliteStore(f"sqlite:///{tmp_path / 'sessions.db'}")


@pytest.mark.parametrize("content", [b"This is no database.\n" * 400, b"SQLite format 3\0" + b"\xff" * 8_000])
def test_a_file_that_is_no_database_is_said(tmp_path: Path, content: bytes) -> None:
    """A corrupt file is `StoreError` with a sentence, and it is left as it was."""
    file = tmp_path / "sessions.db"
    file.write_bytes(content)
    with pytest.raises(StoreError, match="the session store did not answer: file is not a database"):
        SqliteStore(f"sqlite:///{file}")
    assert file.read_bytes() == content


async def test_damage_inside_is_said(tmp_path: Path) -> None:
    """A database whose pages were overwritten is `StoreError` where they are read, never an answer made of rubbish."""
    file = tmp_path / "sessions.db"
    store = SqliteStore(f"sqlite:///{file}")
    for n in range(200):
        await store.create(session_of(str(n)))
    await store.close()
    with file.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(b"\xff" * (file.stat().st_size - 4096))
    with pytest.raises(StoreError, match="the session store did not answer: database disk image is malformed"):
        SqliteStore(f"sqlite:///{file}")


async def test_a_removed_file_is_noticed(tmp_path: Path) -> None:
    """When the file is removed in use, no verb answers as if it were kept; when it is put back, all goes on."""
    file, aside = tmp_path / "sessions.db", tmp_path / "aside.db"
    store = SqliteStore(f"sqlite:///{file}")
    await store.create(session_of("a"))
    await store.get("handle-a")
    file.rename(aside)
    for content in (None, b"another file"):
        if content is not None:
            file.write_bytes(content)
        for use in (store.ping(), store.create(session_of("b")), store.get("handle-a")):
            with pytest.raises(StoreError, match="was removed or replaced while it was in use; put it back"):
                await use
    aside.rename(file)
    await store.ping()
    assert await store.get("handle-b") is None
    assert await store.get("handle-a") == session_of("a")
    await store.close()


@pytest.mark.skipif(not PROC_LOCKS.exists(), reason="only Linux lists locks")
async def test_a_second_store_in_the_process_takes_no_locks_away(tmp_path: Path) -> None:
    """Opening a file again must not drop the first store's locks: others would then remove the log it writes to."""
    file = tmp_path / "sessions.db"
    first = SqliteStore(f"sqlite:///{file}")
    held = _locks(file)
    second = SqliteStore(f"sqlite:///{file}")
    assert held <= _locks(file)
    await second.close()
    assert held <= _locks(file)
    await first.close()


def _locks(file: Path) -> set[str]:
    """Tell the locks that this process has on a file, as Linux lists them."""
    ours = f":{file.stat().st_ino} "
    return {line.partition(": ")[2] for line in PROC_LOCKS.read_text("utf-8").splitlines() if ours in line}


@pytest.fixture
def slow_switch(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Count the waits between two tries to switch to the log, and spend no time on them."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    return waits


class Cursor:
    """Fails so many times, then works."""

    def __init__(self, failures: int, code: int = sqlite3.SQLITE_BUSY) -> None:
        self.failures = failures
        self.code = code

    def execute(self, _: str) -> None:
        self.failures -= 1
        if self.failures >= 0:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self.code
            raise error


def test_the_switch_to_the_log_waits_for_others(slow_switch: list[float]) -> None:
    """While another process switches, it is tried again; five seconds in all, then it is an error."""
    engine._switch_to_log(Cursor(3))  # type: ignore[arg-type]  # as much of a cursor as is used
    assert slow_switch == [0.05] * 3
    slow_switch.clear()
    with pytest.raises(sqlite3.OperationalError):
        engine._switch_to_log(Cursor(1_000))  # type: ignore[arg-type]  # as above
    assert sum(slow_switch) == pytest.approx(5, abs=0.06)


def test_the_switch_to_the_log_does_not_wait_in_vain(slow_switch: list[float]) -> None:
    """What waiting cannot mend is an error at once."""
    with pytest.raises(sqlite3.OperationalError):
        engine._switch_to_log(Cursor(1, sqlite3.SQLITE_CANTOPEN))  # type: ignore[arg-type]  # as above
    assert slow_switch == []


async def test_a_failed_batch_leaves_nothing_behind(tmp_path: Path) -> None:
    """When one statement of a batch fails nothing of it is kept, and the next batch works."""
    store = SqliteStore(f"sqlite:///{tmp_path / 'sessions.db'}")
    await store.create(session_of("a"))
    claim = claim_of("a", active_ago_ms=0, opens=True, on_screen=True, view="v", visible_ms=1)
    with closing(sqlite3.connect(tmp_path / "sessions.db")) as other:
        other.execute("CREATE TRIGGER refuses BEFORE UPDATE ON stillhere_visits BEGIN SELECT RAISE(ABORT, 'no'); END")
        with pytest.raises(StoreError, match="the session store did not answer: no"):
            await store.beat([claim], visit_gap=GAP, touch_interval=0, now=START + 5)
        assert await store.get("handle-a") == session_of("a")
        other.execute("DROP TRIGGER refuses")
    (outcome,) = await store.beat([claim], visit_gap=GAP, touch_interval=0, now=START + 5)
    assert outcome.session is not None
    assert outcome.session.last_active_at == START + 5
    await store.close()


async def test_a_sweep_that_breaks_in_the_middle_tells_whom_it_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends that are recorded are told, whatever happens to the rest; the next sweep meets the trouble, and then goes on."""
    monkeypatch.setattr(sqlite, "LOOKS", 2)
    store = SqliteStore(f"sqlite:///{tmp_path / 'sessions.db'}")
    for n in range(6):
        await store.create(session_of(str(n)))
    work, calls = store._sweep, list[int]()

    def breaks(handles: Sequence[str], now: int) -> list[Session]:
        calls.append(len(handles))
        if len(calls) in {2, 3}:
            raise OSError("away")
        return work(handles, now)

    monkeypatch.setattr(store, "_sweep", breaks)
    assert len(await store.sweep(limit=10, now=START + IDLE)) == 2
    with pytest.raises(StoreError):
        await store.sweep(limit=10, now=START + IDLE)
    assert len(await store.sweep(limit=10, now=START + IDLE)) == 4
    await store.close()
