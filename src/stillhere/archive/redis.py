"""The archive over Redis alone: it loads what it is asked about. For small sites; others keep their archive in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhere.archive.memory import MemorySource
from stillhere.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stillhere.archive.records import FoundVisit, VisitFilter, VisitorTotals
    from stillhere.core.records import Session, View
    from stillhere.stores.redis.store import RedisStore


class RedisSource:
    """Reads visits and views where a Redis store keeps them, as a copy in memory that is dropped after the answer.

    Args:
        store: the store.
    """

    def __init__(self, store: RedisStore) -> None:
        """Keep the store."""
        self._store = store

    async def visits(self, wanted: VisitFilter) -> list[FoundVisit]:
        """See `ArchiveSource.visits`."""
        return await (await self._all(wanted.visitor)).visits(wanted)

    async def visit(self, handle: str, number: int) -> FoundVisit | None:
        """See `ArchiveSource.visit`."""
        return await (await self._some([handle])).visit(handle, number)

    async def views(self, handles: Sequence[str]) -> list[View]:
        """See `ArchiveSource.views`."""
        return await (await self._some(handles)).views(handles)

    async def visitors(self, *, visitor: str | None, limit: int) -> list[VisitorTotals]:
        """See `ArchiveSource.visitors`."""
        return await (await self._all(visitor)).visitors(visitor=visitor, limit=limit)

    async def visible_since(self, since: int) -> list[int]:
        """See `ArchiveSource.visible_since`."""
        return await (await self._all(None)).visible_since(since)

    async def _all(self, subject: str | None) -> MemorySource:
        if subject is not None:
            return await self._copy(await self._store.of_subject(subject))
        return await self._copy([session async for page in self._store.pages() for session in page])

    async def _some(self, handles: Iterable[str]) -> MemorySource:
        return await self._copy(await self._store.sessions(handles))

    async def _copy(self, sessions: Sequence[Session]) -> MemorySource:
        copy = MemoryStore()
        copy.sessions = {session.handle: session for session in sessions}
        for session, (visits, views) in zip(sessions, await self._store.remembered(sessions), strict=True):
            if visits:
                copy.visits[session.handle] = visits
                copy.views[session.handle] = {view.view: view for view in views}
        return MemorySource(copy)
