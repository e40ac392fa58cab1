"""The archive over a SQL store: portable queries, run beside the writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Select, SelectLabelStyle, cast, func, select, tuple_

from stillhere.archive.cursor import read_cursor
from stillhere.archive.records import FoundVisit, VisitFilter, VisitorTotals
from stillhere.core.records import Session, View, Visit
from stillhere.stores.sql.schema import record_of, sessions, views, visits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

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

    async def visits(self, wanted: VisitFilter) -> list[FoundVisit]:
        """See `ArchiveSource.visits`."""
        query = _found_query().order_by(visits.c.started_at.desc(), visits.c.handle.desc(), visits.c.number.desc())
        if wanted.visitor is not None:
            query = query.where(visits.c.subject == wanted.visitor)
        if wanted.seen_since is not None:
            query = query.where(visits.c.last_seen_at >= wanted.seen_since)
        if wanted.before is not None:
            query = query.where(tuple_(visits.c.started_at, visits.c.handle, visits.c.number) < read_cursor(wanted.before))
        return await self._readers(_all_found, query.limit(wanted.limit))

    async def visit(self, handle: str, number: int) -> FoundVisit | None:
        """See `ArchiveSource.visit`."""
        query = _found_query().where(visits.c.handle == handle, visits.c.number == number)
        found = await self._readers(_all_found, query)
        return found[0] if found else None

    async def views(self, handles: Sequence[str]) -> list[View]:
        """See `ArchiveSource.views`."""
        query = select(views).where(views.c.handle.in_(handles)).order_by(views.c.opened_at, views.c.handle, views.c.view)
        return await self._readers(_rows_as, query, View)

    async def visitors(self, *, visitor: str | None, limit: int) -> list[VisitorTotals]:
        """See `ArchiveSource.visitors`."""
        last_at = func.max(visits.c.last_seen_at)
        query = (
            select(
                visits.c.subject.label("visitor"),
                func.count().label("visits"),
                _sum(visits.c.last_seen_at - visits.c.started_at).label("openMs"),
                _sum(visits.c.visible_ms).label("visibleMs"),
                _sum(visits.c.active_ms).label("activeMs"),
                func.min(visits.c.started_at).label("firstAt"),
                last_at.label("lastAt"),
            )
            .group_by(visits.c.subject)
            .order_by(last_at.desc(), visits.c.subject)
            .limit(limit)
        )
        if visitor is not None:
            query = query.where(visits.c.subject == visitor)
        return await self._readers(_rows_as, query, VisitorTotals)

    async def visible_since(self, since: int) -> list[int]:
        """See `ArchiveSource.visible_since`."""
        query = select(visits.c.visible_ms).where(visits.c.started_at >= since)
        return await self._readers(lambda connection: list(connection.execute(query).scalars()))


def _found_query() -> Select[Any]:
    later = visits.alias("later")
    is_last: ColumnElement[bool] = ~(
        select(later.c.number).where(later.c.handle == visits.c.handle, later.c.number > visits.c.number).correlate(visits).exists()
    )
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


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    return cast(func.sum(column), BigInteger)  # PostgreSQL's sum is a decimal


def _all_found(connection: Connection, query: Select[Any]) -> list[FoundVisit]:
    return [_found(row) for row in connection.execute(query)]


def _found(row: Row[Any]) -> FoundVisit:
    return FoundVisit(
        visit=record_of(row, Visit, prefix=f"{visits.name}_"),
        session=record_of(row, Session, prefix=f"{sessions.name}_"),
        is_last=bool(row.is_last),
        views=row.view_count,
    )


def _rows_as(connection: Connection, query: Select[Any], record: type[Record]) -> list[Record]:
    return [record_of(row, record) for row in connection.execute(query)]
