"""The archive: questions people ask of visits, answered alike from every store."""

from __future__ import annotations

import re
from statistics import median
from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.archive.records import FoundVisit, Presence, VisitFilter, VisitorTotals, VisitReport
from stillhere.core.records import ON_SCREEN, View
from stillhere.core.rules import visit_ended_by

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stillhere.archive.archiver import Archiver
    from stillhere.archive.protocol import ArchiveSource

# Longer numbers name nothing, and would not fit the database.
_VISIT_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}\Z")

PAGE: Final = 500
"""Visits read at a time by `all_visits`."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """The visits that began since some instant, added up.

    Attributes:
        visits: how many.
        visible_ms: sum of their visible time.
        median_visible_ms: the median of it; 0 if there were none.
    """

    visits: int
    visible_ms: int
    median_visible_ms: int


class Archive:
    """Answers who was here, when, and for how long.

    Args:
        source: where visits and views are kept.
        archiver: brings them there, if the store keeps its sessions elsewhere.
    """

    def __init__(self, source: ArchiveSource, archiver: Archiver | None = None) -> None:
        """Keep the source; read nothing yet."""
        self._source = source
        self.archiver = archiver

    async def catch_up(self) -> int:
        """Bring in what the live store holds back, if it is elsewhere; tell of how many sessions."""
        return 0 if self.archiver is None else await self.archiver.catch_up()

    async def close(self) -> None:
        """Let go of a database of its own; one that it shares with the store is the store's to close."""
        if self.archiver is not None:
            await self.archiver.sink.close()

    async def visits(self, wanted: VisitFilter, *, beat_interval: int, now: int) -> list[VisitReport]:
        """List visits, newest first.

        Args:
            wanted: which.
            beat_interval: the policy's, milliseconds: nothing heard for two of them means that nobody is there.
            now: milliseconds since 1970.
        """
        return [_report(found, beat_interval=beat_interval, now=now) for found in await self._source.visits(wanted)]

    async def all_visits(self, wanted: VisitFilter, *, beat_interval: int, now: int) -> AsyncIterator[VisitReport]:
        """Go through every visit, newest first, a page at a time; `wanted.limit` does not apply."""
        wanted = msgspec.structs.replace(wanted, limit=PAGE)
        while page := await self.visits(wanted, beat_interval=beat_interval, now=now):
            for visit in page:
                yield visit
            wanted = msgspec.structs.replace(wanted, before=page[-1].cursor)

    async def visit(self, visit_id: str, *, beat_interval: int, now: int) -> tuple[VisitReport, list[View]] | None:
        """Find one visit and its views, by the time they were opened; None if there is no such visit."""
        handle, _, number = visit_id.rpartition(".")
        found = await self._source.visit(handle, int(number)) if _VISIT_NUMBER.match(number) else None
        if found is None:
            return None
        views = [view for view in await self._source.views([handle]) if view.visit == found.visit.number]
        return _report(found, beat_interval=beat_interval, now=now), views

    async def visitors(self, *, visitor: str | None = None, limit: int = 1000) -> list[VisitorTotals]:
        """Add visits up by visitor, the most recent visitor first."""
        return await self._source.visitors(visitor=visitor, limit=limit)

    async def present(self, *, seen_since: int, beat_interval: int, now: int) -> list[Presence]:
        """List the latest visits of those who are here, or were since an instant; the latest arrival first."""
        found = [visit for visit in await self._source.visits(VisitFilter(seen_since=seen_since, limit=1000)) if visit.is_last]
        views: dict[tuple[str, int], list[View]] = {}
        for view in await self._source.views([visit.session.handle for visit in found]):
            views.setdefault((view.handle, view.visit), []).append(view)
        return [
            _presence(visit, views.get((visit.visit.handle, visit.visit.number), []), beat_interval=beat_interval, now=now)
            for visit in found
        ]

    async def totals(self, *, since: int) -> Totals:
        """Add up the visits that began at or after an instant."""
        visible = await self._source.visible_since(since)
        return Totals(visits=len(visible), visible_ms=sum(visible), median_visible_ms=round(median(visible)) if visible else 0)


def _report(found: FoundVisit, *, beat_interval: int, now: int) -> VisitReport:
    visit = found.visit
    return VisitReport(
        id=f"{visit.handle}.{visit.number}",
        session=visit.handle,
        visitor=visit.subject,
        started_at=visit.started_at,
        ended_at=visit.last_seen_at,
        open_ms=visit.last_seen_at - visit.started_at,
        visible_ms=visit.visible_ms,
        active_ms=visit.active_ms,
        views=found.views,
        ended_by=visit_ended_by(visit, session=found.session, is_last=found.is_last, beat_interval=beat_interval, now=now),
    )


def _presence(found: FoundVisit, views: list[View], *, beat_interval: int, now: int) -> Presence:
    latest = max(views, key=lambda view: view.last_seen_at, default=None)
    seen = {view.tab or view.view for view in views if view.lifecycle in ON_SCREEN and now - view.last_seen_at <= 2 * beat_interval}
    return Presence(visit=_report(found, beat_interval=beat_interval, now=now), session=found.session, view=latest, tabs=len(seen))
