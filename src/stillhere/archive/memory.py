"""The archive over the memory store: the reference for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhere.archive.cursor import read_cursor
from stillhere.archive.filters import HERE
from stillhere.archive.internal import is_internal
from stillhere.archive.records import Erased, FoundVisit, Kept, Reading, Stay
from stillhere.core.certainty import Watched, watched
from stillhere.core.endings import visit_ended_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stillhere.archive.records import Asked
    from stillhere.archive.summaries import Span
    from stillhere.core.records import Session, View, Visit
    from stillhere.stores.memory import MemoryStore


class MemorySource:
    """Reads a memory store's dictionaries.

    Args:
        store: the store.
    """

    def __init__(self, store: MemoryStore) -> None:
        """Keep the store."""
        self._store = store

    async def visits(self, asked: Asked) -> list[FoundVisit]:
        """See `ArchiveSource.visits`."""
        found = sorted(self._chosen(asked), key=_order, reverse=True)
        if asked.wanted.before is not None:
            before = read_cursor(asked.wanted.before)
            found = [visit for visit in found if _order(visit) < before]
        return [self._found(visit) for visit in found[: asked.wanted.limit]]

    async def visit(self, handle: str, number: int) -> FoundVisit | None:
        """See `ArchiveSource.visit`."""
        visits = self._store.visits.get(handle, [])
        return self._found(visits[number - 1]) if 0 < number <= len(visits) else None

    async def views(self, handles: Sequence[str]) -> list[View]:
        """See `ArchiveSource.views`."""
        views = [view for handle in handles for view in self._store.views.get(handle, {}).values()]
        return sorted(views, key=lambda view: (view.opened_at, view.handle, view.view))

    async def watched(self, handles: Sequence[str]) -> dict[tuple[str, int], Watched]:
        """See `ArchiveSource.watched`."""
        return watched(await self.views(handles))

    async def present(self, *, seen_since: int, limit: int) -> list[FoundVisit]:
        """See `ArchiveSource.present`."""
        latest = [visits[-1] for visits in self._store.visits.values() if self._lasted(visits[-1], seen_since)]
        return [self._found(visit) for visit in sorted(latest, key=_order, reverse=True)[:limit]]

    async def stays(self, asked: Asked) -> list[Stay]:
        """See `ArchiveSource.stays`."""
        return [
            Stay(visit.subject, visit.started_at, visit.last_seen_at, visit.visible_ms, visit.active_ms) for visit in self._chosen(asked)
        ]

    async def count(self, asked: Asked) -> int:
        """See `ArchiveSource.count`."""
        return sum(1 for _ in self._chosen(asked))

    async def count_views(self, asked: Asked) -> int:
        """See `ArchiveSource.count_views`."""
        return sum(1 for _ in self._chosen_views(asked))

    async def readings(self, asked: Asked) -> list[Reading]:
        """See `ArchiveSource.readings`."""
        found = []
        for visit, view in self._chosen_views(asked):
            told = (view.page, view.title, visit.subject, visit.started_at, view.last_seen_at)
            found.append(Reading(*told, view.visible_ms, view.active_ms, view.scroll_pct, view.heat))
        return found

    async def span(self, asked: Asked, question: str) -> Span | None:  # noqa: ARG002  # nothing is summarised here
        """See `ArchiveSource.span`."""
        return None

    async def summarise(self, internal: tuple[str, ...], *, now: int) -> int:  # noqa: ARG002  # as above
        """See `ArchiveSource.summarise`."""
        return 0

    async def verified(self, subjects: Sequence[str]) -> set[str]:
        """See `ArchiveSource.verified`."""
        wanted = set(subjects)
        return {one.subject for one in self._store.sessions.values() if one.subject in wanted and is_verified(one)}

    async def exclude(self, handle: str, number: int, *, excluded: bool) -> bool:
        """See `ArchiveSource.exclude`."""
        if not 0 < number <= len(self._store.visits.get(handle, [])):
            return False
        marks = self._store.excluded.setdefault(handle, set())
        (marks.add if excluded else marks.discard)(number)
        return True

    async def of_subject(self, subject: str) -> Kept:
        """See `ArchiveSource.of_subject`."""
        sessions = [session for session in self._store.sessions.values() if session.subject == subject]
        visits = [visit for session in sessions for visit in self._store.visits.get(session.handle, [])]
        return Kept(
            sessions=sorted(sessions, key=lambda session: (session.created_at, session.handle)),
            visits=sorted(visits, key=_order),
            views=await self.views([session.handle for session in sessions]),
        )

    async def erase(self, subject: str) -> Erased:
        """See `ArchiveSource.erase`."""
        kept = await self.of_subject(subject)
        self._store.drop_sessions([session.handle for session in kept.sessions])
        return Erased(sessions=len(kept.sessions), visits=len(kept.visits), views=len(kept.views))

    def _chosen(self, asked: Asked) -> Iterator[Visit]:
        return (visit for visits in self._store.visits.values() for visit in visits if self._is_wanted(visit, asked))

    def _chosen_views(self, asked: Asked) -> Iterator[tuple[Visit, View]]:
        page = asked.wanted.page
        for visit in self._chosen(asked):
            for view in self._store.views.get(visit.handle, {}).values():
                if view.visit == visit.number and page in {None, view.page}:
                    yield visit, view

    def _is_wanted(self, visit: Visit, asked: Asked) -> bool:
        wanted = asked.wanted
        return (
            wanted.visitor in {None, visit.subject}
            and (not asked.visitors or visit.subject in asked.visitors)
            and (wanted.since_at is None or visit.started_at >= wanted.since_at)
            and (wanted.until_at is None or visit.started_at < wanted.until_at)
            and (wanted.seen_since is None or self._lasted(visit, wanted.seen_since))
            and (wanted.min_visible_ms is None or visit.visible_ms >= wanted.min_visible_ms)
            and (wanted.max_visible_ms is None or visit.visible_ms <= wanted.max_visible_ms)
            and (wanted.excluded or not self._is_excluded(visit))
            and (wanted.internal or not is_internal(visit.subject, asked.internal))
            and (wanted.verified is None or wanted.verified == is_verified(self._store.sessions[visit.handle]))
            and (not wanted.ended_by or self._ended_by(visit, asked) in wanted.ended_by)
            and (wanted.page is None or self._viewed(visit, wanted.page))
        )

    def _lasted(self, visit: Visit, until: int) -> bool:
        """Tell as `choosing.seen_since`: on a clock that went back a session may have ended before its visit was last seen."""
        ended_at = self._store.sessions[visit.handle].ended_at
        return visit.last_seen_at >= until and (ended_at is None or ended_at >= until)

    def _ended_by(self, visit: Visit, asked: Asked) -> str:
        session = self._store.sessions[visit.handle]
        told = visit_ended_by(visit, session=session, is_last=self._is_last(visit), beat_interval=asked.beat_interval, now=asked.now)
        return HERE if told is None else told

    def _viewed(self, visit: Visit, page: str) -> bool:
        views = self._store.views.get(visit.handle, {}).values()
        return any(view.visit == visit.number and view.page == page for view in views)

    def _is_last(self, visit: Visit) -> bool:
        return visit.number == len(self._store.visits[visit.handle])

    def _is_excluded(self, visit: Visit) -> bool:
        return visit.number in self._store.excluded.get(visit.handle, ())

    def _found(self, visit: Visit) -> FoundVisit:
        views = self._store.views.get(visit.handle, {}).values()
        return FoundVisit(
            visit=visit,
            session=self._store.sessions[visit.handle],
            is_last=self._is_last(visit),
            views=sum(view.visit == visit.number for view in views),
            excluded=self._is_excluded(visit),
        )


def is_verified(session: Session) -> bool:
    """Tell whether a session's visitor proved to own the address, as the gate or the application says."""
    return session.attributes.get("verified") is True


def _order(visit: Visit) -> tuple[int, str, int]:
    return visit.started_at, visit.handle, visit.number
