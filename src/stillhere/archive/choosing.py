"""Which visits are wanted, as conditions of a query: what `MemorySource` says in Python, said in SQL.

Instants are milliseconds since 1970, spans are milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import ARRAY, ColumnElement, Text, and_, any_, case, cast, exists, false, func, literal, null, or_, select, true, union_all

from stillhere.archive.filters import HERE
from stillhere.archive.internal import like_of, lower_of
from stillhere.core.endings import PARTING_MS
from stillhere.core.records import EndedBy
from stillhere.stores.sql.schema import sessions, views, visits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.archive.records import Asked, VisitFilter

later: Final = visits.alias("later")

is_last: Final[ColumnElement[bool]] = ~(
    select(later.c.number).where(later.c.handle == visits.c.handle, later.c.number > visits.c.number).correlate(visits).exists()
)
"""No later visit of its session exists."""

_idle_end: Final = sessions.c.last_active_at + sessions.c.idle_timeout
_deadline: Final = case((_idle_end < sessions.c.absolute_end_at, _idle_end), else_=sessions.c.absolute_end_at)


def needs_session(wanted: VisitFilter) -> bool:
    """Tell whether a filter asks for something that the session says."""
    return wanted.verified is not None or bool(wanted.ended_by)


def conditions(asked: Asked, dialect: str) -> list[ColumnElement[bool]]:
    """Write a filter as conditions on visits, and on their sessions if `needs_session`; without `before`."""
    wanted = asked.wanted
    chosen: list[ColumnElement[bool]] = []
    if wanted.visitor is not None:
        chosen.append(visits.c.subject == wanted.visitor)
    if asked.visitors:
        chosen.append(is_among(visits.c.subject, asked.visitors, dialect))
    if wanted.since_at is not None:
        chosen.append(visits.c.started_at >= wanted.since_at)
    if wanted.until_at is not None:
        chosen.append(visits.c.started_at < wanted.until_at)
    if wanted.min_visible_ms is not None:
        chosen.append(visits.c.visible_ms >= wanted.min_visible_ms)
    if wanted.max_visible_ms is not None:
        chosen.append(visits.c.visible_ms <= wanted.max_visible_ms)
    if wanted.seen_since is not None:
        chosen.append(seen_since(wanted.seen_since, dialect))
    if wanted.page is not None:
        chosen.append(_viewed(wanted.page))
    return chosen + _flags(asked, dialect)


def _flags(asked: Asked, dialect: str) -> list[ColumnElement[bool]]:
    wanted, chosen = asked.wanted, list[ColumnElement[bool]]()
    if not wanted.excluded:
        chosen.append(visits.c.excluded == 0)
    if not wanted.internal and asked.internal:
        chosen.append(~is_internal_subject(visits.c.subject, asked.internal))
    if wanted.verified is not None:
        chosen.append(is_verified(dialect) if wanted.verified else ~is_verified(dialect))
    if wanted.ended_by:
        chosen.append(_ended_by(asked).in_(wanted.ended_by))
    return chosen


def is_among(column: ColumnElement[str], names: Sequence[str], dialect: str) -> ColumnElement[bool]:
    """Write that a column is one of some names, which go along as one value: of single ones PostgreSQL takes 65,535, SQLite 32,766."""
    if dialect == "postgresql":
        return column == any_(literal(list(names), ARRAY(Text)))
    listed = func.json_each(msgspec.json.encode(names).decode()).table_valued("value")
    return column.in_(select(listed.c.value))


def seen_since(at: int, dialect: str) -> ColumnElement[bool]:
    """Write that a visit lasted until an instant or longer, so that no index moves with a beat.

    Its session lives, or ended then or later; both are found by an index that no beat touches. PostgreSQL takes the handles as an array:
    then it looks visits up by their key, whatever it knows of the tables.
    """
    living = select(sessions.c.handle).where(sessions.c.ended_at.is_(None))
    both = union_all(living, select(sessions.c.handle).where(sessions.c.ended_at.is_not(None), sessions.c.ended_at >= at))
    handles = select(both.subquery("lived").c.handle)
    if dialect == "postgresql":
        return and_(visits.c.last_seen_at >= at, visits.c.handle == any_(func.array(handles.scalar_subquery())))
    return and_(visits.c.last_seen_at >= at, visits.c.handle.in_(handles))


def is_verified(dialect: str) -> ColumnElement[bool]:
    """Write that a session's attribute `verified` is the boolean true, and nothing that looks like it."""
    if dialect == "postgresql":
        return func.coalesce(cast(sessions.c.attributes["verified"], Text) == "true", false())
    document = cast(sessions.c.attributes, Text)
    kind = case((func.json_valid(document) == 1, func.json_type(document, "$.verified")), else_=null())
    return func.coalesce(kind == "true", false())


def _viewed(page: str) -> ColumnElement[bool]:
    theirs = (views.c.handle == visits.c.handle, views.c.visit == visits.c.number, views.c.page == page)
    return exists(select(views.c.view).where(*theirs).correlate(visits))


def is_internal_subject(column: ColumnElement[str], patterns: tuple[str, ...]) -> ColumnElement[bool]:
    """As `internal.is_internal`."""
    subject = func.lower(column)
    meant = [
        subject == lower_of(pattern) if like is None else subject.like(like, escape="\\")
        for pattern, like in ((pattern, like_of(pattern)) for pattern in patterns)
    ]
    return or_(*meant)


def _ended_by(asked: Asked) -> ColumnElement[str]:
    """As `core.endings.visit_ended_by`."""
    silence, now = 2 * asked.beat_interval, asked.now
    lapsed_by = case((_deadline == sessions.c.absolute_end_at, EndedBy.ABSOLUTE.value), else_=EndedBy.IDLE.value)
    is_recorded, has_lapsed = sessions.c.ended_at.is_not(None), _deadline <= now
    over_at = case((is_recorded, sessions.c.ended_at), (has_lapsed, _deadline), else_=null())
    over_by = case((is_recorded, sessions.c.ended_by), else_=lapsed_by)
    has_left = and_(visits.c.left_at.is_not(None), or_(~is_last, func.coalesce(over_at - visits.c.left_at > PARTING_MS, true())))
    return case(
        (has_left, "leave"),
        (~is_last, "away"),
        (over_at.is_not(None), case((over_at - visits.c.last_seen_at <= silence, over_by), else_="lost")),
        (literal(now) - visits.c.last_seen_at <= silence, HERE),
        else_="lost",
    )
