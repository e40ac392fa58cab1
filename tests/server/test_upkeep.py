"""What goes on beside the requests: the sweep, and the answer about readiness."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stillhere import SessionManager, StoreError, minutes
from stillhere.server.app import Readiness
from stillhere.server.sweeper import for_ever
from stillhere.stores.memory import MemoryStore
from tests.support import PATIENCE_S

if TYPE_CHECKING:
    import pytest

    from stillhere import Session
    from tests.support import FakeClock


class Moody(MemoryStore):
    """A store that fails as long as it is told to, and counts how often it is asked."""

    mood: Exception | None = None
    asked = 0

    def __init__(self) -> None:
        super().__init__()
        self.was_asked = asyncio.Event()

    async def sweep(self, *, limit: int, now: int) -> list[Session]:
        """Sweep, or fail."""
        self._ask()
        return await super().sweep(limit=limit, now=now)

    async def ping(self) -> None:
        """Answer, or fail."""
        self._ask()

    def _ask(self) -> None:
        self.asked += 1
        self.was_asked.set()
        if self.mood is not None:
            raise self.mood


async def _until_asked(store: Moody, times: int) -> None:
    while store.asked < times:
        store.was_asked.clear()
        await store.was_asked.wait()


async def test_the_sweep_outlives_whatever_it_meets(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Trouble of the store and trouble nobody thought of are logged, and the next sweep records what lapsed."""
    store = Moody()
    ended: list[str] = []

    async def on_ended(session: Session) -> None:
        ended.append(session.subject)

    manager = SessionManager(store, clock=clock, on_ended=on_ended)
    await manager.start("reader")
    clock.advance(minutes(30))
    sweeper = asyncio.create_task(for_ever(manager.sweep, what="sweep", interval_ms=1))
    for mood in (StoreError("not now"), ValueError("what is this?")):
        store.mood = mood
        await asyncio.wait_for(_until_asked(store, store.asked + 2), PATIENCE_S)
    store.mood = None
    await asyncio.wait_for(_until_asked(store, store.asked + 2), PATIENCE_S)
    sweeper.cancel()
    await asyncio.wait([sweeper])
    assert sweeper.cancelled()
    assert ended == ["reader"]
    assert "the sweep will try again: not now" in caplog.text
    assert "what is this?" in caplog.text


async def test_readiness_is_asked_of_the_store_once_a_second(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """However often and by however many it is asked, the store is asked once; the cause of trouble goes to the log."""
    store = Moody()
    is_ready = Readiness(SessionManager(store, clock=clock))
    assert await asyncio.gather(*(is_ready() for _ in range(50))) == [True] * 50
    assert store.asked == 1
    store.mood = StoreError("the disk is full")
    assert await is_ready()
    clock.advance(1_000)
    assert not await is_ready()
    assert store.asked == 2
    assert "the disk is full" in caplog.text
