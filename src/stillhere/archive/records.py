"""What the archive is asked and tells: visits, views and visitors, as people read them. Instants are ms since 1970, spans ms."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from stillhere.core.records import Session, View, Visit


class VisitFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which visits are wanted. A visit belongs to the period in which it began.

    Attributes:
        visitor: only this one's, or None for everybody's.
        page: only visits that viewed this page; of views only those of it.
        since_at: only visits that began then or later.
        until_at: only visits that began before.
        min_visible_ms: only visits with at least so much visible time.
        max_visible_ms: only visits with at most so much.
        ended_by: only visits that ended in one of these ways (see the glossary), `here` for those that have not; empty for all.
        internal: internal visits, too. Without it they are neither listed nor counted.
        excluded: excluded visits, too. Without it they are neither listed nor counted.
        verified: only visits of a session whose visitor proved to own the address (True), or did not (False); None for both.
        before: a cursor of the same list: only what is listed after that place. None begins at the first.
        seen_since: only visits that lasted until then or longer, of a session that had not ended before.
        limit: at most so many.
    """

    visitor: str | None = None
    page: str | None = None
    since_at: int | None = None
    until_at: int | None = None
    min_visible_ms: int | None = None
    max_visible_ms: int | None = None
    ended_by: tuple[str, ...] = ()
    internal: bool = False
    excluded: bool = False
    verified: bool | None = None
    before: str | None = None
    seen_since: int | None = None
    limit: int = 50


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A filter with what is needed to judge it.

    Attributes:
        wanted: the filter.
        internal: patterns of those who are internal.
        visitors: only theirs; empty for all.
        beat_interval: the policy's: nothing heard for two of them means that nobody is there.
        now: milliseconds since 1970.
    """

    wanted: VisitFilter
    internal: tuple[str, ...] = ()
    visitors: tuple[str, ...] = ()
    beat_interval: int = 0
    now: int = 0


class FoundVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit with all that is needed to tell how it went.

    Attributes:
        visit: the record.
        session: its session.
        is_last: no later visit of that session exists.
        views: how many views it has.
        excluded: an operator left it out of every count.
    """

    visit: Visit
    session: Session
    is_last: bool
    views: int
    excluded: bool = False


class Stay(NamedTuple):
    """What is counted of a visit; a tuple, for there are many."""

    subject: str
    started_at: int
    last_seen_at: int
    visible_ms: int
    active_ms: int


class Reading(NamedTuple):
    """What is counted of a view; a tuple, for there are many. `started_at` is its visit's."""

    page: str | None
    title: str | None
    subject: str
    started_at: int
    last_seen_at: int
    visible_ms: int
    active_ms: int
    scroll_pct: float
    heat: str | None


class DayVisit(NamedTuple):
    """What the summary of a day keeps of a visit.

    Attributes:
        subject: who.
        started_at, last_seen_at: when it began, and its end.
        visible_ms, active_ms: as of `Stay`.
        internal, excluded, verified: as of `VisitReport`.
        ended_by: `leave`, `away`, or the reason of its session; None while the session may still go on.
        silent_ms: how long nothing had been heard of it when its session ended, if that is how it ended.
    """

    subject: str
    started_at: int
    last_seen_at: int
    visible_ms: int
    active_ms: int
    internal: bool = False
    excluded: bool = False
    verified: bool = False
    ended_by: str | None = None
    silent_ms: int = 0

    @property
    def counts(self) -> bool:
        """Whether it is counted where nothing else is asked for."""
        return not (self.internal or self.excluded)


class DayView(NamedTuple):
    """What the summary of a day keeps of a view; `visit` is the place of its visit among those of the day."""

    visit: int
    page: str
    title: str | None
    last_seen_at: int
    visible_ms: int
    active_ms: int
    scroll_pct: float
    heat: str | None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """All that is kept of one subject."""

    sessions: list[Session]
    visits: list[Visit]
    views: list[View]


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """How much was erased."""

    sessions: int = 0
    visits: int = 0
    views: int = 0


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
        verified: the visitor proved to own the address.
        internal: the visitor is of one's own team.
        excluded: an operator left it out of every count.
        device: browser and system they signed in with, `Firefox on Windows`, if that is remembered.
        uncertain_ms: how much of the visible time may be missing at most (`core.certainty`).
        told: how long they stayed, in a sentence.
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
    verified: bool = False
    internal: bool = False
    excluded: bool = False
    device: str | None = None
    uncertain_ms: int = 0
    told: str = ""

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
        median_visible_ms: median of the visits' visible times.
        total_minutes: the open spans, in whole minutes.
        verified: a session of theirs is verified.
        internal: the visitor is of one's own team.
    """

    visitor: str
    visits: int
    open_ms: int
    visible_ms: int
    active_ms: int
    first_at: int
    last_at: int
    median_visible_ms: int = 0
    total_minutes: int = 0
    verified: bool = False
    internal: bool = False


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
