"""What can be seen of a store from outside; of SQLite and memory here, of the others beside their stores."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from stillhere.errors import SettingsError, StoreError
from stillhere.stores import look_at_store, open_store
from stillhere.stores.facts import StoreFacts
from stillhere.stores.sql.migrations import NEWEST, VERSION_TABLE
from tests.stores.every import session_of

if TYPE_CHECKING:
    from pathlib import Path


def test_memory_has_nothing_to_show() -> None:
    """It begins with the process and ends with it."""
    assert look_at_store("memory://") == StoreFacts(software="this process")


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Neither file nor folder is made; it is said that there is nothing yet."""
    facts = look_at_store(f"sqlite:///{tmp_path / 'new' / 'visits.db'}")
    assert (facts.revision, facts.newest) == (None, NEWEST)
    assert facts.software.startswith("SQLite 3.")
    assert list(tmp_path.iterdir()) == []


async def test_a_file_is_looked_at_and_left_alone(tmp_path: Path) -> None:
    """Its revision is told, while a store has it open and after; not a byte of it changes."""
    file = tmp_path / "visits.db"
    store, _ = open_store(f"sqlite:///{file}")
    await store.create(session_of("a"))
    assert look_at_store(f"sqlite:///{file}").revision == NEWEST
    await store.create(session_of("b"))
    await store.close()
    before = file.read_bytes()
    assert look_at_store(f"sqlite:///{file}").revision == NEWEST
    assert file.read_bytes() == before


def test_an_older_file_is_not_brought_forward(tmp_path: Path) -> None:
    """Another release can still use it after somebody looked."""
    file = tmp_path / "visits.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"CREATE TABLE {VERSION_TABLE} (version_num TEXT)")
        connection.execute(f"INSERT INTO {VERSION_TABLE} VALUES ('0001')")  # noqa: S608  # our own constant
    for _ in range(2):
        assert look_at_store(f"sqlite:///{file}").revision == "0001"


def test_what_cannot_be_a_store_is_said(tmp_path: Path) -> None:
    """A file of another kind, a place where no file can be, a URL that names none."""
    file = tmp_path / "letter.txt"
    file.write_text("Dear reader, this is no database at all, but long enough to be taken for one at first sight.\n" * 20)
    with pytest.raises(StoreError, match=r"cannot read .*letter.txt: file is not a database"):
        look_at_store(f"sqlite:///{file}")
    with pytest.raises(StoreError, match=r"cannot open .*visits.db: .*letter.txt cannot be written"):
        look_at_store(f"sqlite:///{file / 'visits.db'}")
    for url in ("sqlite:///", "sqlite://:x/y.db", "mysql://db"):
        with pytest.raises(SettingsError):
            look_at_store(url)
