"""What the archive tells: visits, views and visitors, as people read them. Instants are ms since 1970, spans ms."""

from __future__ import annotations

import msgspec

from stillhere.core.records import Session, View, Visit


class VisitFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which visits are wanted, newest first.

    Attributes:
        visitor: only this one's, or None for everybody's.
        before: a cursor from `VisitReport.cursor`: only visits listed after that one. None begins at the newest.
        seen_since: only visits that lasted until then or longer.
        limit: at most so many.
    """

    visitor: str | None = None
    before: str | None = None
    seen_since: int | None = None
    limit: int = 50


class FoundVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit with all that is needed to tell how it went.

    Attributes:
        visit: the record.
        session: its session.
        is_last: no later visit of that session exists.
        views: how many views it has.
    """

    visit: Visit
    session: Session
    is_last: bool
    views: int


class VisitReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A visit, told to people.

    Attributes:
        id: names it: the session's handle, a full stop, its number.
        session: the session's handle.
        visitor: who.
        started_at: when it began.
        ended_at: its end so far.
        open_ms: from start to end, gaps included.
        visible_ms: how long a page was on screen; never more than `open_ms`.
        active_ms: how long somebody was active; never more than `visible_ms`.
        views: how many pages were viewed.
        ended_by: how it ended (see the glossary), or None while somebody is there.
    """

    id: str
    session: str
    visitor: str
    started_at: int
    ended_at: int
    open_ms: int
    visible_ms: int
    active_ms: int
    views: int
    ended_by: str | None

    @property
    def cursor(self) -> str:
        """Where a list goes on after this visit."""
        return f"{self.started_at}.{self.id}"


class VisitorTotals(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All visits of one visitor, added up.

    Attributes:
        visitor: who.
        visits: how many.
        open_ms, visible_ms, active_ms: sums over the visits.
        first_at: start of the first.
        last_at: end of the last so far.
    """

    visitor: str
    visits: int
    open_ms: int
    visible_ms: int
    active_ms: int
    first_at: int
    last_at: int


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is here, or was a moment ago.

    Attributes:
        visit: the visit, told to people.
        session: its session.
        view: the view that was heard of last, or None if the visit has none.
        tabs: how many tabs have a page on screen.
    """

    visit: VisitReport
    session: Session
    view: View | None
    tabs: int
