"""A store that tells what a test says, and a scene in which sessions are followed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from stillhere.core.policy import Policy
from stillhere.core.records import Claim
from stillhere.manager import SessionManager
from stillhere.stores.memory import MemoryStore
from stillhere.streams import Event
from tests.manager.doubles import Recorder, settle
from tests.support import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from stillhere.core.records import Outcome, Session
    from stillhere.manager import Started
    from stillhere.streams import Stream

POLICY: Final = Policy()


class WatchedStore(MemoryStore):
    """A memory store that is asked as one elsewhere is: beats travel in batches, and a test says what is told and what fails.

    Attributes:
        tells: what `watch` tells next; an error is raised, and an empty text ends it.
        watching: how many watch.
        looks: handles that were asked for, in order.
        down: the store cannot be reached.
        gate: open from the start; clear it to hold looks back.
        judges: the same for beats.
    """

    beat_now = None  # type: ignore[assignment]  # it is not immediate

    def __init__(self) -> None:
        super().__init__()
        self.tells: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        self.watching = 0
        self.looks: list[str] = []
        self.down: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.judges = asyncio.Event()
        self.judges.set()
        self.most_at_once = self._at_once = 0

    async def get(self, handle: str) -> Session | None:
        """Wait at the gate, then fail or answer."""
        self.looks.append(handle)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0)
        await self.gate.wait()
        self._at_once -= 1
        if self.down is not None:
            raise self.down
        return await super().get(handle)

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """Wait to be let through, then fail or answer."""
        await self.judges.wait()
        if self.down is not None:
            raise self.down
        return await super().beat(claims, visit_gap=visit_gap, touch_interval=touch_interval, now=now)

    async def watch(self) -> AsyncIterator[str | None]:
        """Tell what the test says."""
        self.watching += 1
        try:
            while not isinstance(told := await self.tells.get(), Exception):
                if told == "":
                    return
                yield told
            raise told
        finally:
            self.watching -= 1


class Scene:
    """A manager, its clock, and what its hooks heard."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.clock = FakeClock()
        self.expiring, self.ended = Recorder(), Recorder()
        self.store = store or MemoryStore()
        self.manager = SessionManager(self.store, clock=self.clock, on_expiring=self.expiring, on_ended=self.ended)
        self.push = self.manager.push

    async def follow(self, started: Started) -> Stream:
        """Follow a session as an adapter does, and take the first state."""
        since = await self.push.ready()
        verdict = await self.manager.look(started.secret)
        assert verdict.session is not None
        stream = self.push.follow(verdict.session, lambda: None, since=since)
        assert told(stream) is Event.STATE
        return stream

    async def tick(self, span_ms: int = 0) -> None:
        """Let time pass, tick, and let everything run that can."""
        self.clock.advance(span_ms)
        self.push.tick()
        await settle()


def told(stream: Stream) -> Event | None:
    """Take what there is to tell."""
    telling = stream.take()
    return None if telling is None else telling.event


@asynccontextmanager
async def scene_of(store: MemoryStore | None = None) -> AsyncIterator[Scene]:
    """Set a scene; nothing of it may be left running."""
    before = asyncio.all_tasks()
    scene = Scene(store)
    yield scene
    await scene.manager.close()
    assert asyncio.all_tasks() == before


def claim_for(started: Started, **asks: Any) -> Claim:
    """Claim that a session is active."""
    return Claim(handle=started.session.handle, id_hash=started.session.id_hash, active_ago_ms=0, **asks)


async def watched() -> WatchedStore:
    """Give a store that has begun to tell."""
    store = WatchedStore()
    await store.tells.put(None)
    return store
