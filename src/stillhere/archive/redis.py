"""The archive over Redis alone: it loads what it is asked about. For small sites; others keep their archive in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhere.archive.memory import MemorySource
from stillhere.archive.records import Erased
from stillhere.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stillhere.archive.records import Asked, FoundVisit, Kept, Reading, Stay
    from stillhere.archive.summaries import Span
    from stillhere.core.certainty import Watched
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

    async def visits(self, asked: Asked) -> list[FoundVisit]:
        """See `ArchiveSource.visits`."""
        return await (await self._all(asked.wanted.visitor)).visits(asked)

    async def visit(self, handle: str, number: int) -> FoundVisit | None:
        """See `ArchiveSource.visit`."""
        return await (await self._some([handle])).visit(handle, number)

    async def views(self, handles: Sequence[str]) -> list[View]:
        """See `ArchiveSource.views`."""
        return await (await self._some(handles)).views(handles)

    async def watched(self, handles: Sequence[str]) -> dict[tuple[str, int], Watched]:
        """See `ArchiveSource.watched`."""
        return await (await self._some(handles)).watched(handles)

    async def present(self, *, seen_since: int, limit: int) -> list[FoundVisit]:
        """See `ArchiveSource.present`."""
        return await (await self._all(None)).present(seen_since=seen_since, limit=limit)

    async def stays(self, asked: Asked) -> list[Stay]:
        """See `ArchiveSource.stays`."""
        return await (await self._all(asked.wanted.visitor)).stays(asked)

    async def count(self, asked: Asked) -> int:
        """See `ArchiveSource.count`."""
        return await (await self._all(asked.wanted.visitor)).count(asked)

    async def count_views(self, asked: Asked) -> int:
        """See `ArchiveSource.count_views`."""
        return await (await self._all(asked.wanted.visitor)).count_views(asked)

    async def readings(self, asked: Asked) -> list[Reading]:
        """See `ArchiveSource.readings`."""
        return await (await self._all(asked.wanted.visitor)).readings(asked)

    async def span(self, asked: Asked, question: str) -> Span | None:  # noqa: ARG002  # nothing is summarised here
        """See `ArchiveSource.span`."""
        return None

    async def summarise(self, internal: tuple[str, ...], *, now: int) -> int:  # noqa: ARG002  # as above
        """See `ArchiveSource.summarise`."""
        return 0

    async def verified(self, subjects: Sequence[str]) -> set[str]:
        """See `ArchiveSource.verified`."""
        copy = MemoryStore()
        copy.sessions = {session.handle: session for subject in subjects for session in await self._store.of_subject(subject)}
        return await MemorySource(copy).verified(subjects)

    async def exclude(self, handle: str, number: int, *, excluded: bool) -> bool:
        """See `ArchiveSource.exclude`."""
        if await self.visit(handle, number) is None:
            return False
        await self._store.exclude(handle, number, excluded=excluded)
        return True

    async def of_subject(self, subject: str) -> Kept:
        """See `ArchiveSource.of_subject`."""
        return await (await self._all(subject)).of_subject(subject)

    async def erase(self, subject: str) -> Erased:
        """See `ArchiveSource.erase`. Sessions that live stay."""
        kept = await self.of_subject(subject)
        left = await self._store.erase(kept.sessions)
        return Erased(
            sessions=len(kept.sessions) - len(left),
            visits=sum(visit.handle not in left for visit in kept.visits),
            views=sum(view.handle not in left for view in kept.views),
        )

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
        copy.excluded = await self._store.excluded(list(copy.visits))
        return MemorySource(copy)
