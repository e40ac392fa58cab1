"""The archive: questions people ask of visits, answered alike from every store."""

from __future__ import annotations

import re
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.archive.adding import Adding
from stillhere.archive.audit import MemoryLog
from stillhere.archive.cursor import VisitorSort, named_cursor, read_named_cursor
from stillhere.archive.internal import is_internal
from stillhere.archive.memory import is_verified
from stillhere.archive.records import Asked, FoundVisit, Presence, VisitFilter, VisitorTotals, VisitReport
from stillhere.archive.statistics import until
from stillhere.core.certainty import Watched, uncertain_ms, watched
from stillhere.core.endings import visit_ended_by
from stillhere.core.people import recalled
from stillhere.core.policy import RAMP
from stillhere.core.records import ON_SCREEN, View
from stillhere.words import told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from zoneinfo import ZoneInfo

    from stillhere.archive.archiver import Archiver
    from stillhere.archive.audit import AuditLog
    from stillhere.archive.protocol import ArchiveSource
    from stillhere.archive.records import Erased, Kept
    from stillhere.archive.statistics import Bin, Bucket, Crowd, PageTotals, Totals
    from stillhere.archive.zones import Unit

# Longer numbers name nothing, and would not fit the database.
_VISIT_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}\Z")

PAGE: Final = 500
"""Visits read at a time by `all_visits`."""

MOST_PRESENT: Final = 1_000

EVERYBODY: Final = VisitFilter(limit=1_000)


class Archive:
    """Answers who was here, when, and for how long.

    Args:
        source: where visits and views are kept.
        archiver: brings them there, if the store keeps its sessions elsewhere.
        audit: where it is kept what operators do. Default: in this process.

    Attributes:
        internal: patterns of those whose visits are left out of every count unless they are asked for, as
            `core.lists.AddressList.patterns` has them.
        ramp: the policy's, by which it is told how much of a visit may be missing.
    """

    def __init__(self, source: ArchiveSource, archiver: Archiver | None = None, audit: AuditLog | None = None) -> None:
        """Keep the source; read nothing yet."""
        self._source = source
        self._adding = Adding(source)
        self.archiver = archiver
        self.audit: AuditLog = MemoryLog() if audit is None else audit
        self.internal: tuple[str, ...] = ()
        self.ramp: tuple[int, ...] = RAMP

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
        found = await self._source.visits(self._asked(wanted, beat_interval, now))
        seen = await self._source.watched(sorted({one.visit.handle for one in found})) if found else {}
        return [self._report(one, seen, beat_interval=beat_interval, now=now) for one in found]

    async def all_visits(self, wanted: VisitFilter, *, beat_interval: int, now: int) -> AsyncIterator[VisitReport]:
        """Go through every visit, newest first, a page at a time; `wanted.limit` does not apply."""
        async for page in self._pages(wanted, beat_interval, now):
            for visit in page:
                yield visit

    async def all_views(self, wanted: VisitFilter, *, beat_interval: int, now: int) -> AsyncIterator[tuple[VisitReport, View]]:
        """Go through every view of those visits, by visit, the newest first, and then by the time it was opened."""
        async for page in self._pages(wanted, beat_interval, now):
            by_visit = self._by_visit(await self._source.views(sorted({visit.session for visit in page})))
            for visit in page:
                for view in by_visit.get(visit.id, []):
                    if wanted.page in {None, view.page}:
                        yield visit, view

    async def _pages(self, wanted: VisitFilter, beat_interval: int, now: int) -> AsyncIterator[list[VisitReport]]:
        wanted = msgspec.structs.replace(wanted, limit=PAGE)
        while page := await self.visits(wanted, beat_interval=beat_interval, now=now):
            yield page
            wanted = msgspec.structs.replace(wanted, before=page[-1].cursor)

    async def visit(self, visit_id: str, *, beat_interval: int, now: int) -> tuple[VisitReport, list[View]] | None:
        """Find one visit and its views, by the time they were opened; None if there is no such visit."""
        named = _named(visit_id)
        found = None if named is None else await self._source.visit(*named)
        if found is None:
            return None
        views = self._by_visit(await self._source.views([found.visit.handle])).get(visit_id, [])
        return self._report(found, watched(views), beat_interval=beat_interval, now=now), views

    async def present(self, *, seen_since: int, beat_interval: int, now: int) -> list[Presence]:
        """List the latest visits of those who are here, or were since an instant; the latest arrival first."""
        found = await self._source.present(seen_since=seen_since, limit=MOST_PRESENT)
        views = self._by_visit(await self._source.views([visit.session.handle for visit in found]))
        seen = watched(view for of_visit in views.values() for view in of_visit)
        reports = [self._report(visit, seen, beat_interval=beat_interval, now=now) for visit in found]
        return [
            _presence(visit, report, views.get(report.id, []), beat_interval=beat_interval, now=now)
            for visit, report in zip(found, reports, strict=True)
        ]

    async def count(self, wanted: VisitFilter, *, beat_interval: int, now: int) -> int:
        """Count visits."""
        return await self._source.count(self._asked(wanted, beat_interval, now))

    async def count_views(self, wanted: VisitFilter, *, beat_interval: int, now: int) -> int:
        """Count the views of those visits: as many as `all_views` goes through."""
        return await self._source.count_views(self._asked(wanted, beat_interval, now))

    async def totals(self, wanted: VisitFilter = EVERYBODY, *, since: int | None = None, beat_interval: int, now: int) -> Totals:
        """Add visits up; `since` is short for a filter of those that began then or later."""
        if since is not None:
            wanted = msgspec.structs.replace(wanted, since_at=since)
        return await self._adding.totals(self._asked(wanted, beat_interval, now))

    async def visitors(
        self, wanted: VisitFilter = EVERYBODY, *, sort: VisitorSort = "last", beat_interval: int, now: int
    ) -> list[VisitorTotals]:
        """Add visits up by visitor.

        Args:
            wanted: which visits; `limit` and `before` are of visitors.
            sort: the most recent first, or who has the most visible time, or the most visits.
            beat_interval: as of `visits`.
            now: as of `visits`.
        """
        asked = self._asked(wanted, beat_interval, now)
        chosen = await self._adding.visitors(asked, sort, lambda rows: [name for _, name in _page_of(rows, wanted, sort)], _SORTS[sort])
        verified = await self._source.verified([row.visitor for row in chosen])
        replace = msgspec.structs.replace
        return [replace(row, verified=row.visitor in verified, internal=is_internal(row.visitor, self.internal)) for row in chosen]

    async def pages(self, wanted: VisitFilter = EVERYBODY, *, beat_interval: int, now: int) -> list[PageTotals]:
        """Add views up by page, the page with the most visible time first; as `visitors`."""
        rows = {row.page: row for row in await self._adding.pages(self._asked(wanted, beat_interval, now))}
        return [rows[name] for _, name in _page_of([(row.visible.sum, row.page) for row in rows.values()], wanted, "pages")]

    async def buckets(self, wanted: VisitFilter, unit: Unit, zone: ZoneInfo, *, beat_interval: int, now: int) -> list[Bucket]:
        """Add visits up by hour, day, week or month of a zone; without a period from the first visit until now.

        Raises:
            BadFilter: if there would be too many buckets.
        """
        return await self._adding.buckets(self._asked(wanted, beat_interval, now), unit, zone)

    async def durations(self, wanted: VisitFilter, *, beat_interval: int, now: int) -> list[Bin]:
        """Count visits by their visible time."""
        return await self._adding.durations(self._asked(wanted, beat_interval, now))

    async def simultaneous(self, wanted: VisitFilter, *, beat_interval: int, now: int) -> Crowd:
        """Tell how many visitors were there at once, over time, of the visits that are wanted; up to now, where some are here still."""
        found = await self._source.present(seen_since=now - 2 * beat_interval, limit=MOST_PRESENT)
        here = {(one.visit.subject, one.visit.started_at) for one in found if self._ended_by(one, beat_interval, now) is None}
        return until(now, await self._adding.simultaneous(self._asked(wanted, beat_interval, now), here))

    async def summarise(self, *, now: int) -> int:
        """Summarise a few days that are settled and not yet, so that a year is added up in a moment; tell how many. For upkeep.

        Raises:
            StoreError: if the archive cannot be reached; calling again goes on.
        """
        return await self._source.summarise(self.internal, now=now)

    async def exclude(self, visit_id: str, *, excluded: bool) -> bool:
        """Leave a visit out of every count, or count it again; False if there is no such visit."""
        named = _named(visit_id)
        return named is not None and await self._source.exclude(*named, excluded=excluded)

    async def of_subject(self, subject: str) -> Kept:
        """Read all that is kept of a subject."""
        await self.catch_up()
        return await self._source.of_subject(subject)

    async def erase(self, subject: str) -> Erased:
        """Delete all that is kept of a subject: sessions, visits, views, what they hold of token issuers.

        End living sessions first (`SessionManager.end_all`): Redis keeps those that live, and open pages are told only of an end.
        """
        if self.archiver is not None:
            await self.archiver.erase(subject)
        return await self._source.erase(subject)

    def _asked(self, wanted: VisitFilter, beat_interval: int, now: int) -> Asked:
        return Asked(wanted=wanted, internal=self.internal, beat_interval=beat_interval, now=now)

    @staticmethod
    def _ended_by(found: FoundVisit, beat_interval: int, now: int) -> str | None:
        return visit_ended_by(found.visit, session=found.session, is_last=found.is_last, beat_interval=beat_interval, now=now)

    @staticmethod
    def _by_visit(views: Iterable[View]) -> dict[str, list[View]]:
        by_visit: dict[str, list[View]] = {}
        for view in views:
            by_visit.setdefault(f"{view.handle}.{view.visit}", []).append(view)
        return by_visit

    def _report(self, found: FoundVisit, watched_by: Mapping[tuple[str, int], Watched], *, beat_interval: int, now: int) -> VisitReport:
        visit, session = found.visit, found.session
        ended_by = self._ended_by(found, beat_interval, now)
        seen = watched_by.get((visit.handle, visit.number))
        missing_ms = uncertain_ms(visit, session=session, seen=seen, beat_interval=beat_interval, ramp=self.ramp, now=now)
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
            ended_by=ended_by,
            verified=is_verified(session),
            internal=is_internal(visit.subject, self.internal),
            excluded=found.excluded,
            device=recalled(session.attributes, "device"),
            uncertain_ms=missing_ms,
            told=told(visit.visible_ms, missing_ms, ended_by),
        )


_SORTS: Final[dict[VisitorSort, Callable[[VisitorTotals], int]]] = {
    "last": lambda row: row.last_at,
    "visible": lambda row: row.visible_ms,
    "visits": lambda row: row.visits,
}


def _named(visit_id: str) -> tuple[str, int] | None:
    handle, _, number = visit_id.rpartition(".")
    return (handle, int(number)) if _VISIT_NUMBER.match(number) else None


def visitor_cursor(row: VisitorTotals, sort: VisitorSort) -> str:
    """Tell where a list of visitors goes on after this one."""
    return named_cursor(_SORTS[sort](row), row.visitor, sort)


def _page_of(rows: list[tuple[int, str]], wanted: VisitFilter, order: str) -> list[tuple[int, str]]:
    """Choose one page of rows, each a number and a name: the highest number first, then by name."""
    rows = [(-number, name) for number, name in rows]
    if wanted.before is not None:
        number, name = read_named_cursor(wanted.before, order)
        rows = [row for row in rows if row > (-number, name)]
    return [(-number, name) for number, name in nsmallest(wanted.limit, rows)]


def _presence(found: FoundVisit, report: VisitReport, views: list[View], *, beat_interval: int, now: int) -> Presence:
    latest = max(views, key=lambda view: view.last_seen_at, default=None)
    seen = {view.tab or view.view for view in views if view.lifecycle in ON_SCREEN and now - view.last_seen_at <= 2 * beat_interval}
    return Presence(visit=report, session=found.session, view=latest, tabs=len(seen))
