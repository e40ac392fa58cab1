"""How sure a visit's visible time is: it is never too long, and what may be missing of it has a bound. Pure, and told the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhere.core.records import ON_SCREEN
from stillhere.core.rules import ending

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stillhere.core.records import Session, View, Visit


def visible_on_screen(views: Iterable[View]) -> dict[tuple[str, int], tuple[int, int]]:
    """Tell, by handle and number of a visit, smallest and largest visible time of its views that were on screen when last heard of."""
    found: dict[tuple[str, int], tuple[int, int]] = {}
    for view in views:
        if view.lifecycle in ON_SCREEN:
            least_ms, most_ms = found.get((view.handle, view.visit), (view.visible_ms, view.visible_ms))
            found[view.handle, view.visit] = min(least_ms, view.visible_ms), max(most_ms, view.visible_ms)
    return found


def uncertain_ms(
    visit: Visit, *, session: Session, on_screen: tuple[int, int] | None, beat_interval: int, ramp: Sequence[int], now: int
) -> int:
    """Tell how much visible time of a visit may be missing at most.

    Nothing, once last words said the totals, or while no page is on screen. Otherwise the visible time until the next beat would have been
    due: whoever stayed for longer would have said so. It holds for a beat that gets through; a page that saves data or battery
    beats half as often, and one that is offline says later what it missed.

    Args:
        visit: the visit.
        session: its session; nobody is there after its end.
        on_screen: of `visible_on_screen`; None if none of its views was.
        beat_interval: the policy's.
        ramp: the policy's.
        now: milliseconds since 1970.
    """
    if visit.left_at is not None or on_screen is None:
        return 0
    over = ending(session, now=now)
    step_ms = _longest_step(*on_screen, beat_interval=beat_interval, ramp=ramp)
    return step_ms if over is None else max(0, min(step_ms, over.at - visit.last_seen_at))


def _longest_step(least_ms: int, most_ms: int, *, beat_interval: int, ramp: Sequence[int]) -> int:
    """Tell the longest span until the next beat of a view that was visible for so long, or for any span in between."""
    starts = [least_ms, *(mark for mark in ramp if least_ms < mark <= most_ms)]
    due = [min((mark for mark in ramp if mark > start), default=start + beat_interval) - start for start in starts]
    return min(max(due), beat_interval)
