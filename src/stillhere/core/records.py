"""The facts: sessions, views and visits. Instants are integer milliseconds since 1970 in UTC; states are derived, never stored.

`gc=False`: records hold only atoms, other records and JSON, so they are never part of a cycle. The collector then has nothing to
walk through, however many sessions are in memory.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class EndedBy(StrEnum):
    """Why a session ended. The first reason wins for ever."""

    IDLE = "idle"
    ABSOLUTE = "absolute"
    SIGNED_OUT = "signed_out"
    REVOKED = "revoked"
    REPLACED = "replaced"
    TOKEN_REUSE = "token_reuse"  # noqa: S105  # a reason, not a secret
    PROVIDER = "provider"


class Lifecycle(StrEnum):
    """State of a page, in the words of the Page Lifecycle."""

    ACTIVE = "active"
    PASSIVE = "passive"
    HIDDEN = "hidden"
    FROZEN = "frozen"
    TERMINATED = "terminated"


ON_SCREEN = frozenset({Lifecycle.ACTIVE, Lifecycle.PASSIVE})


class Session(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The server's record that somebody is signed in.

    Attributes:
        id_hash: SHA-256 of the secret id, base64url. The secret itself is in the cookie and nowhere else.
        handle: public name, by which stores find it; it opens nothing.
        subject: whom the session belongs to.
        created_at: when it began.
        last_active_at: when activity was last credited.
        last_seen_at: when any message last arrived.
        absolute_end_at: the instant that nothing moves.
        idle_timeout: how long it survives without activity, as the policy said when it began.
        attributes: what the application stores with it.
        ended_at: when it ended, or None if no end was recorded yet.
        ended_by: why it ended.
    """

    id_hash: str
    handle: str
    subject: str
    created_at: int
    last_active_at: int
    last_seen_at: int
    absolute_end_at: int
    idle_timeout: int
    attributes: dict[str, Any] = {}
    ended_at: int | None = None
    ended_by: EndedBy | None = None


class View(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One viewing of one page in one tab, with totals that only grow.

    Attributes:
        handle: the session's.
        view: the client's name for it, unique within the session.
        visit: number of the visit it belongs to, from 1.
        tab: the client's name for the tab.
        page: path of the page.
        title: title of the page.
        opened_at: when it began.
        last_seen_at: up to when it was last heard of.
        visible_ms: how long it was on screen.
        active_ms: how long somebody was active in it.
        scroll_pct: deepest point seen, in per cent of the page.
        lifecycle: last known state of the page.
        seq: highest number of its messages, which `lifecycle`, `page`, `title`, `heat` and `bands` come from; -1 if none was numbered.
        heat: which parts of the page were on screen for how long, as its page wrote it; `core.heat` reads it.
        bands: what it did since it opened, as its page wrote it; `core.heat` reads it.
    """

    handle: str
    view: str
    visit: int
    tab: str | None
    page: str | None
    title: str | None
    opened_at: int
    last_seen_at: int
    visible_ms: int = 0
    active_ms: int = 0
    scroll_pct: float = 0.0
    lifecycle: Lifecycle | None = None
    seq: int = -1
    heat: str | None = None
    bands: str | None = None


class Visit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is remembered of somebody's stay.

    Attributes:
        handle: the session's.
        number: 1 for the session's first visit, then 2, ...
        subject: the visitor.
        started_at: when it began.
        last_seen_at: the rolling end: up to when somebody was there.
        covered_until_at: up to when visible time has been counted, so that two tabs never count the same moment.
        uncounted_from_at, uncounted_until_at: the last span before that which no tab was counted for; who tells late that it was
            on screen then fills it. Equal if there is none.
        visible_ms: how long any of its pages was on screen: the union over its tabs.
        active_ms: how long somebody was active in any of them.
        left_at: when the last word of a tab arrived and nothing after it; None while somebody is there.
    """

    handle: str
    number: int
    subject: str
    started_at: int
    last_seen_at: int
    covered_until_at: int
    uncounted_from_at: int = 0
    uncounted_until_at: int = 0
    visible_ms: int = 0
    active_ms: int = 0
    left_at: int | None = None


class Claim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one message asks of the store, after policy has said what it may have.

    Attributes:
        handle: of the session it speaks for.
        id_hash: proves that it may; without the session's own it is as if there were none.
        age_ms: how long ago it was made.
        active_ago_ms: how long before `now` activity is claimed, or None for no claim.
        on_screen: somebody has the page in front of them.
        chosen: a person chose to stay.
        opens: it may open a view and a visit.
        leaves: these are a tab's last words.
        view: the client's name for the view, or None if it speaks of none.
        tab, page, title, visible_ms, active_ms, scroll_pct, lifecycle, seq, heat, bands: as in `View`; `seq` None means newest.
    """

    handle: str
    id_hash: str
    age_ms: int = 0
    active_ago_ms: int | None = None
    on_screen: bool = False
    chosen: bool = False
    opens: bool = False
    leaves: bool = False
    view: str | None = None
    tab: str | None = None
    page: str | None = None
    title: str | None = None
    visible_ms: int = 0
    active_ms: int = 0
    scroll_pct: float = 0.0
    lifecycle: Lifecycle | None = None
    seq: int | None = None
    heat: str | None = None
    bands: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of a claim.

    Attributes:
        session: the record afterwards, or None if there is no such session, or it has another id.
        ended_now: this claim found that the session had lapsed, and recorded it.
    """

    session: Session | None
    ended_now: bool = False


class Standing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a living session stands at one instant: what the client is told. Spans are remaining milliseconds.

    Attributes:
        expiring: the warning is due.
        expires_in_ms: until the deadline.
        idle_in_ms: until the idle timeout.
        absolute_in_ms: until the absolute end.
        warn_in_ms: until the warning is due; 0 when it is.
        can_extend: activity could move the deadline.
    """

    expiring: bool
    expires_in_ms: int
    idle_in_ms: int
    absolute_in_ms: int
    warn_in_ms: int
    can_extend: bool


class Ending(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """That a session is over: when, and why."""

    at: int
    by: EndedBy
