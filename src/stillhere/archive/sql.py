"""The archive over a SQL store: portable queries, run beside the writer."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Select, SelectLabelStyle, case, delete, func, select, tuple_, update

from stillhere.archive.choosing import conditions, is_among, is_last, is_verified, needs_session, seen_since
from stillhere.archive.cursor import read_cursor
from stillhere.archive.internal import is_internal
from stillhere.archive.records import Asked, DayView, DayVisit, Erased, FoundVisit, Kept, Reading, Stay
from stillhere.core.certainty import Watched
from stillhere.core.endings import parted
from stillhere.core.records import ON_SCREEN, EndedBy, Ending, Session, View, Visit
from stillhere.stores.sql.days import forget_days, share_days
from stillhere.stores.sql.schema import grants, notes, record_of, sessions, views, visits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from stillhere.archive.rollup import Rollup
    from stillhere.archive.summaries import Span
    from stillhere.stores.sql.readers import Readers


Record = TypeVar("Record")


class SqlSource:
    """Reads visits and views from a SQL store's tables.

    Args:
        readers: runs queries in the store's reading threads.
    """

    def __init__(self, readers: Readers) -> None:
        """Keep the readers."""
        self._readers = readers
        self._rollup = self._days()

    async def visits(self, asked: Asked) -> list[FoundVisit]:
        """See `ArchiveSource.visits`."""
        return await self._readers(_all_found, visits_query(asked), asked)

    async def visit(self, handle: str, number: int) -> FoundVisit | None:
        """See `ArchiveSource.visit`."""
        query = _found_query().where(visits.c.handle == handle, visits.c.number == number)
        found = await self._readers(_all_found, query, None)
        return found[0] if found else None

    async def views(self, handles: Sequence[str]) -> list[View]:
        """See `ArchiveSource.views`."""
        query = select(views).where(views.c.handle.in_(handles)).order_by(views.c.opened_at, views.c.handle, views.c.view)
        return await self._readers(_rows_as, query, View)

    async def watched(self, handles: Sequence[str]) -> dict[tuple[str, int], Watched]:
        """See `ArchiveSource.watched`."""
        return await self._readers(_watched, handles)

    async def present(self, *, seen_since: int, limit: int) -> list[FoundVisit]:
        """See `ArchiveSource.present`."""
        return await self._readers(_present, seen_since, limit)

    async def stays(self, asked: Asked) -> list[Stay]:
        """See `ArchiveSource.stays`."""
        return await self._readers(_counted, _stays(), asked)

    async def count(self, asked: Asked) -> int:
        """See `ArchiveSource.count`."""
        ((count,),) = await self._readers(_counted, select(func.count()).select_from(visits), asked)
        return int(count)

    async def count_views(self, asked: Asked) -> int:
        """See `ArchiveSource.count_views`."""
        query = _with_views(select(func.count()).select_from(visits), asked.wanted.page)
        ((count,),) = await self._readers(_counted, query, asked)
        return int(count)

    async def readings(self, asked: Asked) -> list[Reading]:
        """See `ArchiveSource.readings`."""
        return await self._readers(_counted, readings_query(asked), asked)

    def of_day(self, connection: Connection, asked: Asked) -> tuple[list[DayVisit], list[DayView]]:
        """Tell what a summary keeps of the visits and views of a day, within the caller's transaction."""
        verified = is_verified(connection.dialect.name)
        ended = (is_last, visits.c.left_at, sessions.c.ended_at, sessions.c.ended_by)
        query = _stays().add_columns(visits.c.excluded, verified, *ended, visits.c.handle, visits.c.number)
        found = sorted(_counted(connection, query.join(sessions, sessions.c.handle == visits.c.handle), asked), key=lambda row: row[-2:])
        kept = (views.c.page, views.c.title, views.c.last_seen_at, views.c.visible_ms, views.c.active_ms, views.c.scroll_pct, views.c.heat)
        query = _with_views(select(visits.c.handle, visits.c.number, *kept).select_from(visits), None).where(views.c.page.is_not(None))
        place_of = {tuple(row[-2:]): n for n, row in enumerate(found)}
        viewed = ((place_of.get(tuple(row[:2])), row) for row in _counted(connection, query, asked))
        return [_day_visit(row, asked.internal) for row in found], [DayView(place, *row[2:]) for place, row in viewed if place is not None]

    async def span(self, asked: Asked, question: str) -> Span | None:
        """See `ArchiveSource.span`."""
        return None if self._rollup is None else await self._rollup.span(asked, question)

    async def summarise(self, internal: tuple[str, ...], *, now: int) -> int:
        """See `ArchiveSource.summarise`."""
        return 0 if self._rollup is None else await self._rollup.summarise(internal, now=now)

    def _days(self) -> Rollup | None:
        """Give what keeps summarised days. Without numpy there is none, and every question reads the visits."""
        if find_spec("numpy") is None:
            return None
        from stillhere.archive.rollup import Rollup  # noqa: PLC0415  # it needs an extra: loaded only where that is

        return Rollup(self._readers, self)

    async def verified(self, subjects: Sequence[str]) -> set[str]:
        """See `ArchiveSource.verified`."""
        return await self._readers(_verified, subjects)

    async def exclude(self, handle: str, number: int, *, excluded: bool) -> bool:
        """See `ArchiveSource.exclude`."""
        return await self._readers.write(_exclude, handle, number, excluded)

    async def of_subject(self, subject: str) -> Kept:
        """See `ArchiveSource.of_subject`."""
        return await self._readers(_of_subject, subject)

    async def erase(self, subject: str) -> Erased:
        """See `ArchiveSource.erase`."""
        erased = await self._readers.write(_erase, subject)
        if self._rollup is not None:
            self._rollup.let_go()
        return erased


def _day_visit(row: Row[Any], internal: tuple[str, ...]) -> DayVisit:
    stay = Stay(*tuple(row)[:5])
    excluded, verified, last, left_at, ended_at, ended_by = tuple(row)[5:-2]
    over = None if ended_at is None else Ending(at=ended_at, by=EndedBy(ended_by))
    is_settled = over is not None or not last  # a session that goes on may still have another visit, or end
    by, silent_ms = parted(left_at, stay.last_seen_at, is_last=bool(last), over=over) if is_settled else (None, 0)
    return DayVisit(*stay, is_internal(stay.subject, internal), bool(excluded), bool(verified), by, silent_ms)


def _verified(connection: Connection, subjects: Sequence[str]) -> set[str]:
    dialect = connection.dialect.name
    theirs = (is_among(sessions.c.subject, subjects, dialect), is_verified(dialect))
    return set(connection.execute(select(sessions.c.subject).distinct().where(*theirs)).scalars())


def visits_query(asked: Asked) -> Select[Any]:
    """List visits, without the filter's conditions but for `before` and `limit`.

    Of those that were seen since an instant the order is of a sum, so that no planner walks through all visits by their start.
    """
    by = visits.c.started_at if asked.wanted.seen_since is None else visits.c.started_at + 0
    query = _found_query().order_by(by.desc(), visits.c.handle.desc(), visits.c.number.desc()).limit(asked.wanted.limit)
    if asked.wanted.before is not None:
        query = query.where(tuple_(by, visits.c.handle, visits.c.number) < read_cursor(asked.wanted.before))
    return query


def present_query(since: int, dialect: str) -> Select[Any]:
    """Find the latest visits of sessions that live, or ended since."""
    query = _found_query().where(is_last, seen_since(since, dialect))
    return query.order_by((visits.c.started_at + 0).desc(), visits.c.handle.desc(), visits.c.number.desc())


def _present(connection: Connection, since: int, limit: int) -> list[FoundVisit]:
    return _all_found(connection, present_query(since, connection.dialect.name).limit(limit), None)


def _watched(connection: Connection, handles: Sequence[str]) -> dict[tuple[str, int], Watched]:
    of = (views.c.handle, views.c.visit)
    shown = case((views.c.lifecycle.in_([state.value for state in ON_SCREEN]), views.c.visible_ms))
    spans = (func.min(shown).label("least"), func.max(shown).label("most"), func.sum(views.c.visible_ms).label("all"))
    theirs = views.c.handle.in_(handles)
    tabs = select(*of, *spans).where(theirs).group_by(*of, func.coalesce(views.c.tab, views.c.view)).subquery("tabs").c
    query = select(tabs.handle, tabs.visit, func.min(tabs.least), func.max(tabs.most), func.max(tabs["all"]))
    rows = connection.execute(query.group_by(tabs.handle, tabs.visit))
    return {(handle, visit): Watched(least, most, int(longest)) for handle, visit, least, most, longest in rows}


def _found_query() -> Select[Any]:
    count = (
        select(func.count())
        .select_from(views)
        .where(views.c.handle == visits.c.handle, views.c.visit == visits.c.number)
        .correlate(visits)
        .scalar_subquery()
    )
    return (
        select(visits, sessions, is_last.label("is_last"), count.label("view_count"))
        .join(sessions, sessions.c.handle == visits.c.handle)
        .set_label_style(SelectLabelStyle.LABEL_STYLE_TABLENAME_PLUS_COL)
    )


def _all_found(connection: Connection, query: Select[Any], asked: Asked | None) -> list[FoundVisit]:
    if asked is not None:
        query = query.where(*conditions(asked, connection.dialect.name))
    return [_found(row) for row in connection.execute(query)]


def _found(row: Row[Any]) -> FoundVisit:
    return FoundVisit(
        visit=record_of(row, Visit, prefix=f"{visits.name}_"),
        session=record_of(row, Session, prefix=f"{sessions.name}_"),
        is_last=bool(row.is_last),
        views=row.view_count,
        excluded=bool(row.stillhere_visits_excluded),
    )


def _stays() -> Select[Any]:
    counted = (visits.c.subject, visits.c.started_at, visits.c.last_seen_at, visits.c.visible_ms, visits.c.active_ms)
    return select(*counted).select_from(visits)


def readings_query(asked: Asked) -> Select[Any]:
    """Read what is counted of views, without the filter's conditions on their visits."""
    titled = (views.c.page, views.c.title, visits.c.subject, visits.c.started_at, views.c.last_seen_at)
    query = select(*titled, views.c.visible_ms, views.c.active_ms, views.c.scroll_pct, views.c.heat).select_from(visits)
    return _with_views(query, asked.wanted.page)


def _with_views(query: Select[Any], page: str | None) -> Select[Any]:
    theirs = (views.c.handle == visits.c.handle) & (views.c.visit == visits.c.number)
    if page is None:
        return query.join(views, theirs)
    # Written so that no planner begins with the page: without statistics SQLite would look through all views for it.
    return query.outerjoin(views, theirs).where(views.c.page.is_not_distinct_from(page))


def _counted(connection: Connection, query: Select[Any], asked: Asked) -> Any:  # noqa: ANN401  # rows are tuples of what was selected
    if needs_session(asked.wanted):
        query = query.join(sessions, sessions.c.handle == visits.c.handle)
    return connection.execute(query.where(*conditions(asked, connection.dialect.name))).all()


def _of_subject(connection: Connection, subject: str) -> Kept:
    theirs = select(sessions).where(sessions.c.subject == subject).order_by(sessions.c.created_at, sessions.c.handle)
    handles = select(sessions.c.handle).where(sessions.c.subject == subject)
    stayed = select(visits).where(visits.c.handle.in_(handles)).order_by(visits.c.started_at, visits.c.handle, visits.c.number)
    viewed = select(views).where(views.c.handle.in_(handles)).order_by(views.c.opened_at, views.c.handle, views.c.view)
    return Kept(
        sessions=_rows_as(connection, theirs, Session),
        visits=_rows_as(connection, stayed, Visit),
        views=_rows_as(connection, viewed, View),
    )


def _exclude(connection: Connection, handle: str, number: int, excluded: bool) -> bool:  # noqa: FBT001  # a value, passed on
    share_days(connection)
    change = update(visits).where(visits.c.handle == handle, visits.c.number == number).values(excluded=int(excluded))
    found = connection.execute(change.returning(visits.c.started_at)).scalars().all()
    forget_days(connection, found)
    return bool(found)


def _erase(connection: Connection, subject: str) -> Erased:
    share_days(connection)
    # Locked: a beat that is on its way waits, and then finds no session.
    locked = connection.execute(select(sessions.c.handle).where(sessions.c.subject == subject).with_for_update()).scalars().all()
    fews = [locked[begin : begin + _FEW] for begin in range(0, len(locked), _FEW)]
    stays = (connection.execute(select(visits.c.started_at).where(visits.c.handle.in_(few))).scalars() for few in fews)
    forget_days(connection, chain.from_iterable(stays))
    counts = dict.fromkeys((table.name for table in (views, visits, grants, notes, sessions)), 0)
    for few in fews:
        for table in (views, visits, grants, notes, sessions):
            counts[table.name] += connection.execute(delete(table).where(table.c.handle.in_(few))).rowcount
    return Erased(sessions=counts[sessions.name], visits=counts[visits.name], views=counts[views.name])


_FEW: Final = 500


def _rows_as(connection: Connection, query: Select[Any], record: type[Record]) -> list[Record]:
    return [record_of(row, record) for row in connection.execute(query)]
