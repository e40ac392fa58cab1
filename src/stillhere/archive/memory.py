"""The archive over the memory store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhere.archive.cursor import read_cursor
from stillhere.archive.records import FoundVisit, VisitFilter, VisitorTotals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.core.records import View, Visit
    from stillhere.stores.memory import MemoryStore


class MemorySource:
    """Reads a memory store's dictionaries.

    Args:
        store: the store.
    """

    def __init__(self, store: MemoryStore) -> None:
        """Keep the store."""
        self._store = store

    async def visits(self, wanted: VisitFilter) -> list[FoundVisit]:
        """See `ArchiveSource.visits`."""
        found = [
            visit
            for visits in self._store.visits.values()
            for visit in visits
            if wanted.visitor in {None, visit.subject} and (wanted.seen_since is None or visit.last_seen_at >= wanted.seen_since)
        ]
        found.sort(key=_order, reverse=True)
        if wanted.before is not None:
            before = read_cursor(wanted.before)
            found = [visit for visit in found if _order(visit) < before]
        return [self._found(visit) for visit in found[: wanted.limit]]

    async def visit(self, handle: str, number: int) -> FoundVisit | None:
        """See `ArchiveSource.visit`."""
        visits = self._store.visits.get(handle, [])
        return self._found(visits[number - 1]) if 0 < number <= len(visits) else None

    async def views(self, handles: Sequence[str]) -> list[View]:
        """See `ArchiveSource.views`."""
        views = [view for handle in handles for view in self._store.views.get(handle, {}).values()]
        return sorted(views, key=lambda view: (view.opened_at, view.handle, view.view))

    async def visitors(self, *, visitor: str | None, limit: int) -> list[VisitorTotals]:
        """See `ArchiveSource.visitors`."""
        by_visitor: dict[str, list[Visit]] = {}
        for visits in self._store.visits.values():
            for visit in visits:
                if visitor in {None, visit.subject}:
                    by_visitor.setdefault(visit.subject, []).append(visit)
        totals = [
            VisitorTotals(
                visitor=subject,
                visits=len(visits),
                open_ms=sum(visit.last_seen_at - visit.started_at for visit in visits),
                visible_ms=sum(visit.visible_ms for visit in visits),
                active_ms=sum(visit.active_ms for visit in visits),
                first_at=min(visit.started_at for visit in visits),
                last_at=max(visit.last_seen_at for visit in visits),
            )
            for subject, visits in by_visitor.items()
        ]
        return sorted(totals, key=lambda row: (-row.last_at, row.visitor))[:limit]

    async def visible_since(self, since: int) -> list[int]:
        """See `ArchiveSource.visible_since`."""
        return [visit.visible_ms for visits in self._store.visits.values() for visit in visits if visit.started_at >= since]

    def _found(self, visit: Visit) -> FoundVisit:
        views = self._store.views.get(visit.handle, {}).values()
        return FoundVisit(
            visit=visit,
            session=self._store.sessions[visit.handle],
            is_last=visit.number == len(self._store.visits[visit.handle]),
            views=sum(view.visit == visit.number for view in views),
        )


def _order(visit: Visit) -> tuple[int, str, int]:
    return visit.started_at, visit.handle, visit.number
