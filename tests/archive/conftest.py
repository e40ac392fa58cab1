"""Gives every test that asks for `kept` each store in turn, with the archive beside it; and for `week` each SQL store with visits."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from stillhere.stores import open_store
from tests.archive.week import fill
from tests.stores.every import STORES, FullStore, fresh_url, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stillhere.archive.archive import Archive
    from stillhere.stores.sqlite.store import SqliteStore


@pytest.fixture(params=STORES)
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[FullStore, Archive]]:
    """Open a store that is empty, and its archive; close it in the end."""
    store, archive = opened(request.param, tmp_path)
    yield store, archive
    await store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
async def week(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[SqliteStore, Archive]]:
    """Give a store with a week of visits, none of them summarised."""
    store, archive = open_store(fresh_url(request.param, tmp_path))
    sql = cast("SqliteStore", store)  # or the other SQL store; both have what is used here
    await sql.readers.write(fill, 7)
    yield sql, archive
    await store.close()
