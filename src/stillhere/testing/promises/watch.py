"""What `watch` promises."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

from stillhere.core.records import EndedBy
from stillhere.testing.clock import START
from stillhere.testing.expect import expect
from stillhere.testing.promise import Need, Trial, promise, sweepable, watchable
from stillhere.testing.scene import IDLE, claim_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from stillhere.stores.protocol import Store

PATIENCE_S: Final = 10
"""An end that is not told by then is not told."""


def _watching(store: Store) -> aclosing[AsyncGenerator[str | None, Any]]:
    return aclosing(cast("AsyncGenerator[str | None, Any]", watchable(store).watch()))


async def _next(watching: AsyncIterator[str | None]) -> str | None:
    return await asyncio.wait_for(anext(watching), PATIENCE_S)


@promise(Need.WATCHABLE)
async def tells_every_end_once_however_it_came(trial: Trial) -> None:
    """A sign-out and a lapse found by a beat are each told, once, after None."""
    for name in "abc":
        await trial.begin(name)
    async with _watching(trial.store) as watching:
        expect(await _next(watching), None, "before any end")
        await trial.store.end("handle-a", EndedBy.SIGNED_OUT, now=START)
        await trial.store.end("handle-a", EndedBy.REVOKED, now=START + 1)
        expect(await _next(watching), "handle-a")
        await trial.beat(claim_of("b"), claim_of("b"), now=START + IDLE)
        expect(await _next(watching), "handle-b")
        await trial.beat(claim_of("b"), now=START + IDLE)
        await trial.store.end("handle-c", EndedBy.REVOKED, now=START + IDLE)
        expect(await _next(watching), "handle-c")


@promise(Need.WATCHABLE, Need.SWEEPABLE)
async def tells_what_the_sweep_ends(trial: Trial) -> None:
    """Whoever the sweep ends is told, once."""
    for name in "ab":
        await trial.begin(name)
    async with _watching(trial.store) as watching:
        expect(await _next(watching), None, "before any end")
        for _ in range(2):
            await sweepable(trial.store).sweep(limit=10, now=START + IDLE)
        expect({await _next(watching), await _next(watching)}, {"handle-a", "handle-b"})
        await trial.begin("c")
        await trial.store.end("handle-c", EndedBy.REVOKED, now=START)
        expect(await _next(watching), "handle-c")


@promise(Need.WATCHABLE)
async def tells_everyone_who_watches(trial: Trial) -> None:
    """Two who watch hear of the same ends, and one who stops takes nothing from the other."""
    for name in "ab":
        await trial.begin(name)
    async with _watching(trial.store) as second:
        async with _watching(trial.store) as first:
            expect([await _next(first), await _next(second)], [None, None], "before any end")
            await trial.store.end("handle-a", EndedBy.REVOKED, now=START)
            expect([await _next(first), await _next(second)], ["handle-a"] * 2)
        await trial.store.end("handle-b", EndedBy.REVOKED, now=START)
        expect(await _next(second), "handle-b")


@promise(Need.WATCHABLE, Need.REOPENABLE)
async def tells_what_others_end(trial: Trial) -> None:
    """An end that is recorded through another store on the same data is told too."""
    await trial.begin("a")
    other = await trial.another()
    async with _watching(trial.store) as watching:
        expect(await _next(watching), None, "before any end")
        await other.end("handle-a", EndedBy.SIGNED_OUT, now=START)
        expect(await _next(watching), "handle-a")
