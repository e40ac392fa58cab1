"""How a visit ended, as far as that can no more become anything else. Pure; instants are ms since 1970."""

from __future__ import annotations

from stillhere.core.rules import PARTING_MS


def settled_ending(
    left_at: int | None, last_seen_at: int, *, is_last: bool, ended_at: int | None, ended_by: str | None
) -> tuple[str | None, int]:
    """Tell how a visit ended as `core.rules.visit_ended_by`, but for the silence after which a visit is lost.

    Args:
        left_at: when its last words came, if they did.
        last_seen_at: its end.
        is_last: no later visit of its session exists.
        ended_at: when its session ended, or None while none has noted that.
        ended_by: why.

    Returns:
        What `DayVisit.ended_by` and `DayVisit.silent_ms` tell.
    """
    if not is_last:
        return ("away" if left_at is None else "leave"), 0
    if ended_at is None:
        return None, 0
    if left_at is not None and ended_at - left_at > PARTING_MS:
        return "leave", 0
    return ended_by, ended_at - last_seen_at
