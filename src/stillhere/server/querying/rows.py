"""What the archive tells, as the API writes it: camelCase, instants in ISO 8601 and UTC, spans in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stillhere.core.heat import read_bands, read_heat
from stillhere.server.admin.rows import view_row, visit_row
from stillhere.words import instant

if TYPE_CHECKING:
    from stillhere.archive.records import Kept, VisitorTotals
    from stillhere.archive.statistics import Bucket, Crowd, PageTotals, Point, Totals
    from stillhere.core.records import Session, View, Visit

__all__ = ["bucket_row", "crowd_row", "full_view_row", "kept_row", "page_row", "totals_row", "visit_row", "visitor_row"]


def full_view_row(view: View) -> dict[str, object]:
    """Write a view, with what was read of its page and what it did when."""
    bands = read_bands(view.bands, view.opened_at, view.last_seen_at)
    return {
        **view_row(view),
        "heat": list(read_heat(view.heat, view.visible_ms)) or None,
        "bands": [{"state": band.state, "from": instant(band.from_at), "to": instant(band.until_at)} for band in bands] or None,
    }


def visitor_row(row: VisitorTotals) -> dict[str, object]:
    """Write a visitor."""
    return {**msgspec.to_builtins(row), "firstAt": instant(row.first_at), "lastAt": instant(row.last_at)}


def page_row(row: PageTotals) -> dict[str, object]:
    """Write a page."""
    body: dict[str, object] = msgspec.to_builtins(row)
    return body


def totals_row(row: Totals) -> dict[str, object]:
    """Write totals."""
    body: dict[str, object] = msgspec.to_builtins(row)
    return body


def bucket_row(row: Bucket) -> dict[str, object]:
    """Write a bucket of the calendar."""
    return {
        "from": instant(row.from_at),
        "to": instant(row.until_at),
        "visits": row.visits,
        "visitors": row.visitors,
        "visibleMs": row.visible_ms,
        "activeMs": row.active_ms,
    }


def crowd_row(crowd: Crowd) -> dict[str, object]:
    """Write simultaneous visitors over time."""
    return {"points": [_point(point) for point in crowd.points], "peak": None if crowd.peak is None else _point(crowd.peak)}


def _point(point: Point) -> dict[str, object]:
    return {"at": instant(point.at), "visitors": point.visitors}


def kept_row(subject: str, kept: Kept, now: int) -> dict[str, object]:
    """Write all that is kept of a person, for that person: no hash of a secret, which would tell them nothing."""
    return {
        "subject": subject,
        "at": instant(now),
        "sessions": [_session(session) for session in kept.sessions],
        "visits": [_visit(visit) for visit in kept.visits],
        "views": [{"session": view.handle, "visit": view.visit, **full_view_row(view)} for view in kept.views],
    }


def _session(session: Session) -> dict[str, object]:
    return {
        "session": session.handle,
        "createdAt": instant(session.created_at),
        "lastActiveAt": instant(session.last_active_at),
        "lastSeenAt": instant(session.last_seen_at),
        "endedAt": None if session.ended_at is None else instant(session.ended_at),
        "endedBy": session.ended_by,
        "attributes": session.attributes,
    }


def _visit(visit: Visit) -> dict[str, object]:
    return {
        "session": visit.handle,
        "number": visit.number,
        "startedAt": instant(visit.started_at),
        "endedAt": instant(visit.last_seen_at),
        "visibleMs": visit.visible_ms,
        "activeMs": visit.active_ms,
    }
