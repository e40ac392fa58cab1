"""Stores that misbehave on purpose, and ways to wait for them without sleeping."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stillhere.errors import StoreError
from stillhere.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.core.records import Claim, EndedBy, Outcome, Session
    from stillhere.manager import SessionManager


class UntouchableStore:
    """A store that nobody may call."""

    async def create(self, session: Session) -> None:
        """Fail."""
        raise AssertionError(session)

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """Fail."""
        raise AssertionError(claims, visit_gap, touch_interval, now)

    async def get(self, handle: str) -> Session | None:
        """Fail."""
        raise AssertionError(handle)

    async def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """Fail."""
        raise AssertionError(handle, id_hash, new_id_hash, now)

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """Fail."""
        raise AssertionError(handle, by, now)

    async def ping(self) -> None:
        """Fail."""
        raise AssertionError

    async def close(self) -> None:
        """Let go of nothing."""


class GatedStore(MemoryStore):
    """A memory store whose beats wait at a gate, so that a test says when a batch comes back.

    Attributes:
        gate: open from the start; clear it to hold batches back.
        arrived: set as soon as a batch stands at the gate.
        batches: the batches that were sent, in order.
        fails: raised for the next batch instead of an answer.
        closed: `close` was called.
    """

    beat_now = None  # type: ignore[assignment]  # it is not immediate: its beats travel in batches

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()
        self.batches: list[Sequence[Claim]] = []
        self.fails: BaseException | None = None
        self.closed = False

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """Wait at the gate, then fail or answer."""
        self.batches.append(claims)
        self.arrived.set()
        await self.gate.wait()
        if self.fails is not None:
            error, self.fails = self.fails, None
            raise error
        return await super().beat(claims, visit_gap=visit_gap, touch_interval=touch_interval, now=now)

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


class DownStore(MemoryStore):
    """A memory store that cannot be reached while it is down."""

    down = False
    beat_now = None  # type: ignore[assignment]  # as above

    def _reach(self) -> None:
        if self.down:
            raise StoreError("cannot be reached")

    async def create(self, session: Session) -> None:
        """Fail while down."""
        self._reach()
        await super().create(session)

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """Fail while down."""
        self._reach()
        return await super().beat(claims, visit_gap=visit_gap, touch_interval=touch_interval, now=now)

    async def get(self, handle: str) -> Session | None:
        """Fail while down."""
        self._reach()
        return await super().get(handle)

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """Fail while down."""
        self._reach()
        return await super().end(handle, by, now=now)


class Recorder:
    """A hook that remembers the sessions it was called with."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []

    async def __call__(self, session: Session) -> None:
        """Remember."""
        self.sessions.append(session)


async def settle() -> None:
    """Let everything run that can run without waiting for anything outside."""
    for _ in range(10):
        await asyncio.sleep(0)


def dump(store: MemoryStore) -> str:
    """Show everything a memory store keeps, private parts included."""
    return repr((store.sessions, store.views, store.visits, vars(store)))


def memory_of(manager: SessionManager) -> MemoryStore:
    """Give the memory store of a manager."""
    assert isinstance(manager.store, MemoryStore)
    return manager.store
