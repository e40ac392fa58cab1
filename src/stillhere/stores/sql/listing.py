"""Who lives, for people: the cold queries that SQLite and PostgreSQL answer alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, case, func, select

from stillhere.core.records import Session
from stillhere.stores.sql.schema import record_of, sessions

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from stillhere.stores.sql.readers import Readers

_idle_end: Final = sessions.c.last_active_at + sessions.c.idle_timeout

_deadline: Final = case((_idle_end < sessions.c.absolute_end_at, _idle_end), else_=sessions.c.absolute_end_at)
"""As `core.rules.deadline`; `due_at` may be earlier, it only says when to look."""


def _lives(now: int) -> ColumnElement[bool]:
    return and_(sessions.c.ended_at.is_(None), _deadline > now)


async def living(readers: Readers, *, subject: str | None, limit: int, now: int) -> list[Session]:
    """Tell who lives at `now`, seen last first; of one subject, or of all."""
    query = select(sessions).where(_lives(now)).order_by(sessions.c.last_seen_at.desc(), sessions.c.handle).limit(limit)
    if subject is not None:
        query = query.where(sessions.c.subject == subject)
    return await readers(lambda connection: [record_of(row, Session) for row in connection.execute(query)])


async def count(readers: Readers, *, now: int) -> int:
    """Tell how many live at `now`."""
    query = select(func.count()).select_from(sessions).where(_lives(now))
    return await readers(lambda connection: connection.execute(query).scalar_one())
