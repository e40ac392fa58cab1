"""How a visit ended. Pure, and told the time; instants are milliseconds since 1970."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stillhere.core.rules import ending

if TYPE_CHECKING:
    from stillhere.core.records import Ending, Session, Visit

PARTING_MS: Final = 5_000
"""A tab that is closed by a sign-out says its last words within this; then the sign-out ended the visit, not the leave."""


def parted(left_at: int | None, last_seen_at: int, *, is_last: bool, over: Ending | None) -> tuple[str | None, int]:
    """Tell how a visit ended, before it is judged whether its silence was too long.

    Args:
        left_at: when its last words came, if they did.
        last_seen_at: its end.
        is_last: no later visit of its session exists.
        over: how its session ended, or None while it goes on.

    Returns:
        `leave`, `away`, the session's reason, or None while that goes on; and how long nothing had been heard when the session ended, if
        that is how it ended, otherwise 0.
    """
    if left_at is not None and (not is_last or over is None or over.at - left_at > PARTING_MS):
        return "leave", 0
    if not is_last:
        return "away", 0
    return (None, 0) if over is None else (over.by.value, over.at - last_seen_at)


def visit_ended_by(visit: Visit, *, session: Session, is_last: bool, beat_interval: int, now: int) -> str | None:
    """Tell how a visit ended, or None while somebody is there.

    Args:
        visit: the visit.
        session: its session.
        is_last: no later visit of that session exists.
        beat_interval: the policy's; nothing heard for two of them means that nobody is there.
        now: milliseconds since 1970.

    Returns:
        A session's reason, or `leave`, `away` or `lost` (see the glossary).
    """
    by, silent_ms = parted(visit.left_at, visit.last_seen_at, is_last=is_last, over=ending(session, now=now))
    if by is None:
        silent_ms = now - visit.last_seen_at
    return "lost" if silent_ms > 2 * beat_interval else by
