"""How sure a visit's visible time is: it is never too long, and what may be missing of it has a bound. Pure, and told the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stillhere.core.records import ON_SCREEN
from stillhere.core.rules import EXACT_MS, ending

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stillhere.core.records import Session, View, Visit


class Watched(msgspec.Struct, frozen=True):
    """What the views of a visit tell of how sure its visible time is.

    Attributes:
        least_ms, most_ms: smallest and largest visible time of those that were on screen when last heard of; None if none was.
        longest_ms: the visible time of the tab that was visible longest.
    """

    least_ms: int | None
    most_ms: int | None
    longest_ms: int


def watched(views: Iterable[View]) -> dict[tuple[str, int], Watched]:
    """Tell it of visits, by handle and number."""
    of: dict[tuple[str, int], list[View]] = {}
    for view in views:
        of.setdefault((view.handle, view.visit), []).append(view)
    return {visit: _watched(theirs) for visit, theirs in of.items()}


def _watched(views: Sequence[View]) -> Watched:
    shown = [view.visible_ms for view in views if view.lifecycle in ON_SCREEN]
    tabs: dict[str, int] = {}
    for view in views:
        tab = view.view if view.tab is None else view.tab
        tabs[tab] = tabs.get(tab, 0) + view.visible_ms
    return Watched(min(shown, default=None), max(shown, default=None), max(tabs.values()))


def uncertain_ms(visit: Visit, *, session: Session, seen: Watched | None, beat_interval: int, ramp: Sequence[int], now: int) -> int:
    """Tell how much visible time of a visit may be missing at most.

    What one tab was visible for longer than the visit was is missing, from a second on: a late message holds back what the next one could
    tell. Beside that nothing is, once last words said the totals, or while no page is on screen. Otherwise it is the visible time until the
    next beat would have been due: whoever stayed for longer would have said so. It holds for a beat that gets through; a page that saves
    data or battery beats half as often, and one that is offline says later what it missed.

    Args:
        visit: the visit.
        session: its session; nobody is there after its end.
        seen: what its views tell; None if it has none.
        beat_interval: the policy's.
        ramp: the policy's.
        now: milliseconds since 1970.
    """
    if seen is None:
        return 0
    held_back_ms = min(seen.longest_ms, visit.last_seen_at - visit.started_at) - visit.visible_ms
    if held_back_ms < EXACT_MS:
        held_back_ms = 0
    if visit.left_at is not None or seen.least_ms is None or seen.most_ms is None:
        return held_back_ms
    over = ending(session, now=now)
    step_ms = _longest_step(seen.least_ms, seen.most_ms, beat_interval=beat_interval, ramp=ramp)
    return held_back_ms + (step_ms if over is None else max(0, min(step_ms, over.at - visit.last_seen_at)))


def _longest_step(least_ms: int, most_ms: int, *, beat_interval: int, ramp: Sequence[int]) -> int:
    """Tell the longest span until the next beat of a view that was visible for so long, or for any span in between."""
    starts = [least_ms, *(mark for mark in ramp if least_ms < mark <= most_ms)]
    due = [min((mark for mark in ramp if mark > start), default=start + beat_interval) - start for start in starts]
    return min(max(due), beat_interval)
