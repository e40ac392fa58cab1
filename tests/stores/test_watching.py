"""Watching when things go wrong: who falls behind, a store that is in trouble for a while, one that is closed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from stillhere.core.records import EndedBy
from stillhere.errors import StoreError
from stillhere.stores import watchers
from stillhere.stores.memory import MemoryStore
from stillhere.stores.sqlite import store as sqlite
from stillhere.stores.sqlite.store import SqliteStore
from tests.stores.every import session_of
from tests.support import PATIENCE_S, START

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path


async def test_who_falls_behind_is_told_to_look_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watcher that does not keep up loses handles, never the knowledge that it did."""
    monkeypatch.setattr(watchers, "BEHIND_LIMIT", 3)
    store = MemoryStore()
    assert not store._watchers
    slow = store.watch()
    assert await anext(slow) is None
    assert store._watchers
    for n in range(5):
        await store.create(session_of(str(n)))
        await store.end(f"handle-{n}", EndedBy.REVOKED, now=START)
    assert [await anext(slow), await anext(slow)] == [None, "handle-4"]


async def test_whoever_watches_hears_that_the_store_was_closed() -> None:
    """Watching does not go on in silence when nothing can be heard any more."""
    store = MemoryStore()
    watching = store.watch()
    assert await anext(watching) is None
    waiting = asyncio.ensure_future(cast("AsyncGenerator[str | None]", watching).__anext__())
    await asyncio.sleep(0)
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await waiting


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at a SQLite file all the time."""
    monkeypatch.setattr(sqlite, "WATCH_INTERVAL_S", 0)


@pytest.mark.usefixtures("quick")
async def test_trouble_that_passes_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the file cannot be read nothing is heard; when it can again, all that was recorded meanwhile is told."""
    store = SqliteStore(f"sqlite:///{tmp_path}/sessions.db")
    await store.create(session_of("a"))
    watching = store.watch()
    assert await anext(watching) is None
    looked = asyncio.Event()
    look = sqlite._told_since

    def fail(*_: object) -> None:
        loop.call_soon_threadsafe(looked.set)
        raise OSError("away")

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(sqlite, "_told_since", fail)
    waiting = asyncio.ensure_future(cast("AsyncGenerator[str | None]", watching).__anext__())
    await asyncio.wait_for(looked.wait(), PATIENCE_S)
    await store.end("handle-a", EndedBy.REVOKED, now=START)
    monkeypatch.setattr(sqlite, "_told_since", look)
    assert await asyncio.wait_for(waiting, PATIENCE_S) == "handle-a"
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await anext(watching)


@pytest.mark.usefixtures("quick")
async def test_who_was_away_for_too_long_is_told_to_look_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word of ends is kept for a while only; a gap in it is noticed."""
    monkeypatch.setattr(sqlite, "TOLD_LIMIT", 1)
    store = SqliteStore(f"sqlite:///{tmp_path}/sessions.db")
    watching = store.watch()
    assert await anext(watching) is None
    for n in range(4):
        await store.create(session_of(str(n)))
    for n in range(3):
        await store.end(f"handle-{n}", EndedBy.REVOKED, now=START)
    assert [session.handle for session in await store.sweep(limit=10, now=START + 10**9)] == ["handle-3"]
    assert [await asyncio.wait_for(anext(watching), PATIENCE_S) for _ in range(2)] == [None, "handle-3"]
    await store.close()
