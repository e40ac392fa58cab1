"""Housekeeping in small transactions, so that beats never wait long behind one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from stillhere.core.policy import days
from stillhere.stores.protocol import Forgetful, Sweepable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from stillhere.archive.archive import Archive
    from stillhere.core.records import Session

LIMIT: Final = 500
"""Sessions in one transaction."""

LIVE_KEEPS: Final = days(1)
"""How long a store whose archive is elsewhere keeps those who have ended: so long a late tab is told why."""


async def sweep_all(store: object, clock: Callable[[], int]) -> AsyncIterator[Session]:
    """Record the ends of all sessions that lapsed unnoticed; a store that cannot sweep records them when they are noticed."""
    while isinstance(store, Sweepable):
        ended = await store.sweep(limit=LIMIT, now=clock())
        for session in ended:
            yield session
        await asyncio.sleep(0)  # a store that never waits would let nobody else have a turn
        if len(ended) < LIMIT:
            return


async def forget_all(store: object, archive: Archive | None, *, retention: int | None, now: int) -> None:
    """Forget who ended longer ago than the retention, and in a live store whoever is in the archive for a day.

    Args:
        store: where sessions live.
        archive: where their visits are, or None.
        retention: how long after its end a session is kept, milliseconds; None keeps it for ever.
        now: milliseconds since 1970.
    """
    archiver = None if archive is None else archive.archiver
    if archiver is not None:
        await archiver.catch_up()
        await _forget(store, ended_before=now - (LIVE_KEEPS if retention is None else min(LIVE_KEEPS, retention)))
    if retention is not None:
        await _forget(store if archiver is None else archiver.sink, ended_before=now - retention)


async def _forget(keeper: object, *, ended_before: int) -> None:
    while isinstance(keeper, Forgetful) and await keeper.forget(ended_before=ended_before, limit=LIMIT) == LIMIT:
        pass
