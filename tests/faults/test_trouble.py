"""Files that may not be written and disks that are full: one clear `StoreError`, and nothing that was kept is lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillhere.stores.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65_534

OPEN = f"""if True:
    import asyncio, os, sys, tempfile
    from stillhere.errors import StoreError
    from stillhere.stores.sqlite.store import SqliteStore
    with tempfile.TemporaryDirectory() as folder:  # loads what an ordinary user might not be able to read
        asyncio.run(SqliteStore(f"sqlite:///{{folder}}/any.db").close())
    if os.geteuid() == 0:
        os.setuid({NOBODY})  # whom permissions do not stop cannot tell that they are kept
    try:
        SqliteStore(f"sqlite:///{{sys.argv[1]}}")
    except StoreError as error:
        print(error)
"""

FILL = """if True:
    import asyncio, resource, sys
    from stillhere.errors import StoreError
    from stillhere.stores.sqlite.store import SqliteStore
    from tests.stores.every import id_of, session_of

    async def fill():
        store = SqliteStore(f"sqlite:///{sys.argv[1]}")
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
        kept = 0
        try:
            while True:
                await store.create(session_of(str(kept), {"pad": "x" * 1000}))
                kept += 1
        except StoreError as error:
            print(error)
        for verb in (store.ping, store.close):
            try:
                await verb()
            except StoreError as error:
                print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        store = SqliteStore(f"sqlite:///{sys.argv[1]}")
        await store.ping()
        print(kept > 50, [n for n in range(kept) if await store.get(f"handle-{n}") is None], await store.get(f"handle-{kept}"))
        await store.close()

    asyncio.run(fill())
"""


def run(program: str, file: Path) -> str:
    """Run a small program on a file; tell what it wrote."""
    return subprocess.run(
        [sys.executable, "-c", program, str(file)], check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ).stdout


@pytest.fixture
def file() -> Iterator[Path]:
    """Give a good database in a folder that everybody may enter, owned by an ordinary user."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(SqliteStore(f"sqlite:///{folder / 'sessions.db'}").close())
        if os.geteuid() == 0:
            for path in (folder, folder / "sessions.db"):
                os.chown(path, NOBODY, NOBODY)
        folder.chmod(0o755)
        yield folder / "sessions.db"
        folder.chmod(0o755)


def test_a_good_file_is_opened(file: Path) -> None:
    """The ordinary user of the tests below can open what is in order."""
    assert run(OPEN, file) == ""


def test_a_file_that_may_only_be_read_is_said(file: Path) -> None:
    """A read-only file is refused when it is opened, with its path and what to check."""
    file.chmod(0o400)
    assert run(OPEN, file) == f"cannot open {file}: Permission denied; check the folder's permissions and free space\n"


def test_a_folder_that_may_only_be_read_is_said(file: Path) -> None:
    """A new file in a read-only folder, and a file that can have no log beside it, are refused when they are opened."""
    file.parent.chmod(0o555)
    new = file.with_name("new.db")
    assert run(OPEN, new) == f"cannot open {new}: Permission denied; check the folder's permissions and free space\n"
    assert run(OPEN, file) == "the session store did not answer: attempt to write a readonly database\n"


def test_a_full_disk_is_said_and_loses_nothing(file: Path) -> None:
    """When no more can be written it is `StoreError` each time; what was kept before is there, and with space all goes on."""
    *said, kept = run(FILL, file).splitlines()
    assert said
    assert all(line.startswith("the session store did not answer: ") for line in said)
    assert kept == "True [] None"
