"""What stores promise beyond the verbs of every request: to forget, and to tell of ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from stillhere.core.records import Claim, EndedBy, Outcome
from stillhere.core.rules import deadline
from tests.stores.every import ABSOLUTE, GAP, IDLE, FullStore, claim_of, session_of
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def beat(store: FullStore, *claims: Claim, now: int = START) -> list[Outcome]:
    """Send a batch."""
    return await store.beat(claims, visit_gap=GAP, touch_interval=0, now=now)


class TestSweep:
    async def test_records_ends_and_leaves_the_living(self, store: FullStore) -> None:
        """Whoever has lapsed ended at the deadline, each is told once, and nobody who lives is touched."""
        for n in range(6):
            await store.create(session_of(str(n), now=START + n))
        now = START + IDLE + 2
        swept = await store.sweep(limit=100, now=now)
        assert sorted(session.handle for session in swept) == ["handle-0", "handle-1", "handle-2"]
        assert all(session.ended_at == deadline(session) and session.ended_by is EndedBy.IDLE for session in swept)
        assert {session.handle: session for session in swept} == {session.handle: await store.get(session.handle) for session in swept}
        assert await store.sweep(limit=100, now=now) == []
        for n in range(3, 6):
            assert await store.get(f"handle-{n}") == session_of(str(n), now=START + n)

    async def test_is_bounded(self, store: FullStore) -> None:
        """No more are ended at once than was asked for, and going on ends all of them."""
        for n in range(7):
            await store.create(session_of(str(n)))
        swept = [await store.sweep(limit=3, now=START + IDLE) for _ in range(4)]
        assert [len(sessions) for sessions in swept] == [3, 3, 1, 0]
        assert len({session.handle for sessions in swept for session in sessions}) == 7


class TestForget:
    async def test_deletes_what_ended_long_ago(self, store: FullStore) -> None:
        """Who ended before the instant is gone, views and visits with it; who ended later, or lives, is untouched."""
        for name in "abc":
            await store.create(session_of(name))
        await beat(store, *(claim_of(name, opens=True, on_screen=True, view="v") for name in "abc"))
        await store.end("handle-a", EndedBy.REVOKED, now=START + 10)
        ended = await store.end("handle-b", EndedBy.REVOKED, now=START + 20)
        assert await store.forget(ended_before=START + 20, limit=10) == 1
        assert await store.forget(ended_before=START + 20, limit=10) == 0
        assert await store.get("handle-a") is None
        assert await store.get("handle-b") == ended.session
        assert [session.handle for session in await store.living(subject=None, limit=10, now=START)] == ["handle-c"]
        assert await beat(store, claim_of("a")) == [Outcome(session=None)]

    async def test_is_bounded(self, store: FullStore) -> None:
        """No more are deleted at once than was asked for, and going on deletes all of them."""
        for n in range(7):
            await store.create(session_of(str(n)))
            await store.end(f"handle-{n}", EndedBy.REVOKED, now=START)
        assert [await store.forget(ended_before=START + 1, limit=3) for _ in range(4)] == [3, 3, 1, 0]

    async def test_frees_nothing_that_lives(self, store: FullStore) -> None:
        """A session that lapsed but whose end nobody recorded is not forgotten: its end is told first."""
        await store.create(session_of("a"))
        assert await store.forget(ended_before=START + ABSOLUTE, limit=10) == 0
        assert len(await store.sweep(limit=10, now=START + ABSOLUTE)) == 1
        assert await store.forget(ended_before=START + ABSOLUTE, limit=10) == 1


class TestWatch:
    async def test_tells_every_end_once_however_it_came(self, store: FullStore) -> None:
        """A sign-out, a lapse found by a beat and one found by the sweep are each told, once, after None."""
        for name in "abc":
            await store.create(session_of(name))
        watching = store.watch()
        assert await anext(watching) is None
        await store.end("handle-a", EndedBy.SIGNED_OUT, now=START)
        await store.end("handle-a", EndedBy.REVOKED, now=START + 1)
        assert await asyncio.wait_for(anext(watching), 10) == "handle-a"
        await beat(store, claim_of("b"), now=START + IDLE)
        assert await asyncio.wait_for(anext(watching), 10) == "handle-b"
        await beat(store, claim_of("b"), now=START + IDLE)
        await store.sweep(limit=10, now=START + IDLE)
        assert await asyncio.wait_for(anext(watching), 10) == "handle-c"
        await cast("AsyncGenerator[str | None]", watching).aclose()

    async def test_tells_everyone_who_watches(self, store: FullStore) -> None:
        """Two who watch hear of the same ends, and one who stops takes nothing from the other."""
        for name in "ab":
            await store.create(session_of(name))
        first, second = store.watch(), store.watch()
        assert await anext(first) is await anext(second) is None
        await store.end("handle-a", EndedBy.REVOKED, now=START)
        assert [await asyncio.wait_for(anext(one), 10) for one in (first, second)] == ["handle-a"] * 2
        await cast("AsyncGenerator[str | None]", first).aclose()
        await store.end("handle-b", EndedBy.REVOKED, now=START)
        assert await asyncio.wait_for(anext(second), 10) == "handle-b"
        await cast("AsyncGenerator[str | None]", second).aclose()
