"""Visits, views and people as the dashboard's API writes them: instants in ISO 8601 and UTC, spans in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.records import ON_SCREEN
from stillhere.core.rules import ending, standing
from stillhere.words import instant

if TYPE_CHECKING:
    from stillhere.archive.records import Presence, VisitReport
    from stillhere.core.policy import Policy
    from stillhere.core.records import View

JUST_LEFT_MS: Final = 60_000
"""How long somebody who left is still shown among those who are here."""


def visit_row(visit: VisitReport) -> dict[str, object]:
    """Write a visit."""
    row: dict[str, object] = msgspec.to_builtins(visit)
    return {**row, "startedAt": instant(visit.started_at), "endedAt": instant(visit.ended_at), "here": visit.ended_by is None}


def view_row(view: View) -> dict[str, object]:
    """Write a view."""
    return {
        "view": view.view,
        "tab": view.tab,
        "page": view.page,
        "title": view.title,
        "openedAt": instant(view.opened_at),
        "lastSeenAt": instant(view.last_seen_at),
        "visibleMs": view.visible_ms,
        "activeMs": view.active_ms,
        "scrollPct": view.scroll_pct,
        "lifecycle": view.lifecycle,
    }


def person_row(person: Presence, *, policy: Policy, now: int) -> dict[str, object]:
    """Write somebody who is here, or was a moment ago."""
    visit, session, view = person.visit, person.session, person.view
    alive = ending(session, now=now) is None
    left = visit.ended_by is not None
    stand = standing(session, policy=policy, now=now)
    return {
        "session": session.handle,
        "visit": visit.id,
        "visitor": visit.visitor,
        "page": view.page if view else None,
        "title": view.title if view else None,
        "lifecycle": view.lifecycle if view else None,
        "device": visit.device,
        "verified": visit.verified,
        "internal": visit.internal,
        "state": ("expiring" if stand.expiring else "active") if alive else "ended",
        "endedBy": visit.ended_by,
        "present": not left,
        "left": left and now - visit.ended_at <= JUST_LEFT_MS,
        "startedAt": instant(visit.started_at),
        "openMs": visit.open_ms,
        "visibleMs": visit.visible_ms,
        "activeMs": visit.active_ms,
        "lastSeenMs": max(0, now - session.last_seen_at),
        "lastActiveMs": max(0, now - session.last_active_at),
        "expiresInMs": stand.expires_in_ms if alive else 0,
        "idleTimeoutMs": session.idle_timeout,
        "tabs": person.tabs,
        "onScreen": view is None or view.lifecycle in ON_SCREEN,
    }
