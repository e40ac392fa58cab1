"""Adds up the views of some of the visits of a summarised day or block, by page. Pure; spans are ms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stillhere.archive.packing import Members, Numbers
from stillhere.archive.page_days import Title, Views, bins_at_hand, bins_of
from stillhere.archive.view_rows import ViewRows, is_more

if TYPE_CHECKING:
    import numpy.typing as npt

    from stillhere.archive.days import Visits

_LONGEST: Final = 1 << 31
"""The product of two spans that are shorter fits into 64 bits."""


def views_in(begin: int, rows: ViewRows, kept: npt.NDArray[np.bool_], visits: Visits) -> Views:
    """Add the views of some visits up by page.

    Args:
        begin: the day's or block's first instant.
        rows: views.
        kept: which visits.
        visits: all of them; only who they are is looked at.
    """
    mine = kept[rows.visits]
    at = np.flatnonzero(mine)  # to take by places is ten times as fast as by a mask that nobody can foresee
    views, visible, active = (_by_page(rows, column) for column in (mine, rows.visible * mine, rows.active * mine))
    viewed, places = np.flatnonzero(views), np.repeat(np.cumsum(views > 0) - 1, rows.counts)
    titles, ones = _titles(begin, rows, mine), np.ones(len(at), np.uint8)
    seen = np.arange(len(viewed)), views[viewed], visits.who[rows.visits[at]].astype(np.uint32)  # kept for a while, in few bytes
    return Views(
        titles=[(rows.pages[n], titles[n]) for n in viewed.tolist()],
        places=np.arange(len(viewed)),
        sums=np.stack([views, visible, active], axis=1)[viewed],
        bins=tuple(
            bins_at_hand(keys, ones) for keys in bins_of(places[at].astype(np.uint32), rows.visible[at], rows.active[at], rows.scroll[at])
        ),
        people=visits.people,
        seen=Members(lambda: [seen], len(at)),
        heat=_heat(rows, mine, places),
    )


def _by_page(rows: ViewRows, column: npt.NDArray[Any], how: np.ufunc = np.add) -> Numbers:
    found: Numbers = how.reduceat(column, np.cumsum(rows.counts) - rows.counts, dtype=np.int64)
    return found


def _titles(begin: int, rows: ViewRows, mine: npt.NDArray[np.bool_]) -> list[Title | None]:
    """Tell the last title of each page, and its rank."""
    latest = _by_page(rows, np.arange(1, len(mine) + 1) * (mine & (rows.titled > 0)), np.maximum) - 1
    ranks = latest if rows.ranks is None else rows.ranks[latest]
    return [
        (begin, rank, rows.titles[rows.titled[one] - 1]) if one >= 0 else None
        for one, rank in zip(latest.tolist(), ranks.tolist(), strict=True)
    ]


def _heat(rows: ViewRows, mine: npt.NDArray[np.bool_], places: Numbers) -> tuple[Numbers, Numbers]:
    """Add up by page what was measured, as `core.heat.read_heat` reads it."""
    of = np.flatnonzero(mine[rows.measured])
    at, seconds = rows.measured[of], rows.heat.take(of, axis=0)
    on = places[at]
    begins = np.flatnonzero(np.diff(on, prepend=-1))
    measured = on[begins]
    if not rows.is_shared:
        return measured, np.add.reduceat(seconds, begins, dtype=np.int64) * 1_000
    visible = rows.visible[at]
    shared = is_more(seconds, visible)
    sums = np.add.reduceat(seconds * ~shared[:, None], begins, dtype=np.int64) * 1_000
    np.add.at(sums, np.searchsorted(measured, on[shared]), _shared(seconds[shared].astype(np.int64) * 1_000, visible[shared]))
    return measured, sums


def _shared(spans: Numbers, visible: Numbers) -> Numbers:
    """Scale spans down whose sum is more than the visible time."""
    total = spans.sum(axis=1)
    shared: Numbers = spans * visible[:, None] // total[:, None]
    for n in np.flatnonzero(np.maximum(spans.max(axis=1, initial=0), visible) >= _LONGEST).tolist():
        shared[n] = [span * int(visible[n]) // int(total[n]) for span in spans[n].tolist()]  # only a browser that lies goes so far
    return shared
