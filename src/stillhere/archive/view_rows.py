"""The views of a summarised day or block one by one, side by side: what answers for the pages of some of its visits. Pure; spans are ms.

They are in order of their pages, so that what belongs to a page is added up in one go.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from stillhere.archive.packing import NOTHING, Bodies, Body, Numbers, pack, unpack, unpack_narrow
from stillhere.archive.page_days import scrolls
from stillhere.core.heat import DIGITS, PARTS, is_heat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stillhere.archive.records import DayView

MOST_TITLES: Final = 50_000
"""With more titles than that, which browsers name, views are not kept one by one."""


_BASE_36: Final = np.array([int(chr(code), 36) if chr(code).isalnum() else 0 for code in range(128)])
"""What characters mean as digits."""


class _Viewed(msgspec.Struct, frozen=True, array_like=True):
    """Which visits viewed which pages: names, how many views each page has, and of each view the place of its visit."""

    pages: list[str]
    counts: memoryview
    visits: memoryview


class _Details(msgspec.Struct, frozen=True, array_like=True):
    """What else there is of those views, or of some; see `ViewRows`. Of each of eight views in turn a bit tells whether it is measured."""

    ranks: memoryview
    titles: list[str]
    titled: memoryview
    visible: memoryview
    active: memoryview
    scroll: memoryview
    measured: memoryview
    heat: memoryview
    is_shared: bool


_read_viewed: Final = msgspec.msgpack.Decoder(_Viewed).decode
_read_details: Final = msgspec.msgpack.Decoder(_Details).decode


class ViewRows(msgspec.Struct, frozen=True):
    """Views side by side, in order of their pages; those of a page as their visits began, and as they were heard of last.

    Attributes:
        ranks: of each view its place among all of the day or block; None where these are all.
        pages, titles: names. A page may be there once for each of some groups.
        counts: how many views each page has, at least one.
        visits: of each view the place of its visit.
        titled: the place of its title, counted from 1; 0 for none.
        visible, active, scroll: as of `Reading`; scroll in whole per cent.
        measured: which views measured their reading, in order.
        heat: of each of those twenty numbers, in seconds, as the browser told them.
        is_shared: whether some of those may be more than the view's visible time, which they share then.
    """

    pages: list[str]
    titles: list[str]
    counts: Numbers
    visits: Numbers
    titled: npt.NDArray[Any]
    visible: npt.NDArray[Any]
    active: npt.NDArray[Any]
    scroll: npt.NDArray[Any]
    measured: Numbers
    heat: npt.NDArray[Any]
    is_shared: bool
    ranks: Numbers | None = None


def rows_of(views: Sequence[DayView], places: Numbers, starts: Numbers) -> ViewRows:
    """Put views side by side.

    Args:
        views: the views.
        places: for the place that they tell of their visit, the place that it has.
        starts: when each visit began, in order.
    """
    began = starts[places].tolist()
    pages = {page: n for n, page in enumerate(dict.fromkeys(view.page for view in views))}
    views = sorted(views, key=lambda view: (pages[view.page], began[view.visit], view.last_seen_at, view.title or ""))
    titles = list(dict.fromkeys(view.title for view in views if view.title is not None))
    title_of = {title: n for n, title in enumerate(titles, 1)}
    measured = [n for n, view in enumerate(views) if view.heat is not None and is_heat(view.heat)]
    heat, visible = _seconds([views[n].heat or "" for n in measured]), _numbers([view.visible_ms for view in views])
    return ViewRows(
        pages=list(pages),
        titles=titles,
        counts=np.bincount(_numbers([pages[view.page] for view in views]), minlength=len(pages)),
        visits=places[_numbers([view.visit for view in views])],
        titled=_numbers([0 if view.title is None else title_of[view.title] for view in views]),
        visible=visible,
        active=_numbers([view.active_ms for view in views]),
        scroll=scrolls([view.scroll_pct for view in views]),
        measured=_numbers(measured),
        heat=heat,
        is_shared=bool(is_more(heat, visible[measured]).any()),
    )


def is_more(seconds: npt.NDArray[Any], visible: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Tell of which views the parts were on screen for longer than the page."""
    is_more: npt.NDArray[np.bool_] = seconds.sum(axis=1, dtype=np.int64) * 1_000 > visible
    return is_more


def _seconds(texts: Sequence[str]) -> Numbers:
    """Read what views measured, as `core.heat.read_seconds`, all at once."""
    digits = np.frombuffer("".join(text + "." for text in texts).encode(), np.uint8)
    ends = np.flatnonzero(digits == ord("."))
    lengths = np.diff(ends, prepend=-1) - 1
    found = np.zeros(len(ends), np.int64)
    for n in range(DIGITS, 0, -1):
        there = np.flatnonzero(lengths >= n)
        found[there] += _BASE_36[digits[ends[there] - n]] * 36 ** (n - 1)
    return found.reshape(-1, PARTS)


def _numbers(values: Sequence[int] | Sequence[Sequence[int]]) -> Numbers:
    return np.array(values, np.int64)


def joined(parts: Sequence[ViewRows], visits: Sequence[int]) -> ViewRows:
    """Put the views of days that follow each other together.

    Args:
        parts: of each day. If one has pages and visits only, so does what is made of them.
        visits: how many visits each has.
    """
    pages: dict[str, int] = {}
    moved = [np.repeat(_numbers([pages.setdefault(page, len(pages)) for page in part.pages]), part.counts) for part in parts]
    titles = list(dict.fromkeys(title for part in parts for title in part.titles))
    title_of = {title: n for n, title in enumerate(titles, 1)}
    new = [_numbers([0, *(title_of[title] for title in part.titles)]) for part in parts]
    places = np.concatenate(moved)
    order = np.argsort(places, kind="stable")
    measured, heat = _moved(parts, order)
    is_whole = all(len(part.visible) == len(part.visits) for part in parts)

    def in_order(columns: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return np.concatenate(list(columns))[order] if is_whole else np.zeros(0, np.int64)

    return ViewRows(
        pages=list(pages),
        titles=titles,
        counts=np.bincount(places, minlength=len(pages)),
        visits=np.concatenate([part.visits + n for part, n in zip(parts, accumulate(visits, initial=0), strict=False)])[order],
        titled=in_order(at[part.titled] for at, part in zip(new, parts, strict=True)),
        visible=in_order(part.visible for part in parts),
        active=in_order(part.active for part in parts),
        scroll=in_order(part.scroll for part in parts),
        measured=measured,
        heat=heat,
        is_shared=any(part.is_shared for part in parts),
    )


def _moved(parts: Sequence[ViewRows], order: Numbers) -> tuple[Numbers, npt.NDArray[Any]]:
    """Tell which views measured their reading, and what, once all views are put in an order."""
    begins = accumulate((len(part.visits) for part in parts), initial=0)
    at = np.argsort(order)[np.concatenate([part.measured + begin for part, begin in zip(parts, begins, strict=False)])]
    by_view = np.argsort(at)
    return at[by_view], np.concatenate([part.heat for part in parts])[by_view]


def some(rows: ViewRows, at: Numbers) -> ViewRows:
    """Take some views, by their places, which are in order."""
    pages, counts = np.unique(_pages(rows.counts)[at], return_counts=True)
    return _at(rows, at, [rows.pages[n] for n in pages.tolist()], counts)


def grouped(rows: ViewRows, groups: Numbers) -> tuple[ViewRows, Numbers]:
    """Put all views in order of their groups, and each group's in order of their pages.

    Args:
        rows: the views.
        groups: of each view.

    Returns:
        The views, and of each of their pages the group.
    """
    pages = _pages(rows.counts)
    order = np.lexsort((pages, groups))
    both, counts = np.unique(groups * len(rows.pages) + pages, return_counts=True)
    of, page = np.divmod(both, max(1, len(rows.pages)))
    return _at(rows, order, [rows.pages[n] for n in page.tolist()], counts), of


def _at(rows: ViewRows, at: Numbers, pages: list[str], counts: Numbers) -> ViewRows:
    """Take views by their places, of which some pages have so many each."""
    titles = np.unique(np.append(0, rows.titled[at]))
    measured = np.flatnonzero(np.isin(at, rows.measured))
    return ViewRows(
        ranks=at,
        pages=pages,
        titles=[rows.titles[n - 1] for n in titles[1:].tolist()],
        counts=counts,
        visits=rows.visits[at],
        titled=np.searchsorted(titles, rows.titled[at]),
        visible=rows.visible[at],
        active=rows.active[at],
        scroll=rows.scroll[at],
        measured=measured,
        heat=rows.heat[np.searchsorted(rows.measured, at[measured])],
        is_shared=rows.is_shared,
    )


def _pages(counts: Numbers) -> Numbers:
    """Tell of each view the place of its page."""
    return np.repeat(np.arange(len(counts)), counts)


def _packed(numbers: npt.NDArray[Any]) -> memoryview:
    return memoryview(pack(numbers))


def has_details(rows: ViewRows) -> bool:
    """Tell whether views are kept one by one: they may have too many titles."""
    return len(rows.visible) == len(rows.visits) and len(rows.titles) <= MOST_TITLES


def write_viewed(rows: ViewRows) -> bytes:
    """Write the pages and visits of views."""
    return msgspec.msgpack.encode(_Viewed(rows.pages, *map(_packed, (rows.counts, rows.visits))))


def write_details(rows: ViewRows) -> bytes:
    """Write what else there is of them."""
    is_measured = np.zeros(len(rows.visits), np.bool_)
    is_measured[rows.measured] = True
    details = _Details(
        ranks=memoryview(NOTHING) if rows.ranks is None else _packed(rows.ranks),
        titles=rows.titles,
        titled=_packed(rows.titled),
        visible=_packed(rows.visible),
        active=_packed(rows.active),
        scroll=_packed(rows.scroll),
        measured=memoryview(np.packbits(is_measured).tobytes()),
        heat=_packed(rows.heat),
        is_shared=rows.is_shared,
    )
    return msgspec.msgpack.encode(details)


def read(viewed_body: Body, details_body: Body | None) -> ViewRows:
    """Read views; without details, pages and visits only."""
    viewed = _read_viewed(viewed_body)
    counts, visits = unpack(viewed.counts), unpack(viewed.visits)
    if details_body is None:
        none = np.zeros(0, np.int64)
        return ViewRows(
            pages=viewed.pages, titles=[], counts=counts, visits=visits, titled=none, visible=none, active=none, scroll=none, measured=none,
            heat=none.reshape(-1, PARTS), is_shared=False,
        )  # fmt: skip
    details = _read_details(details_body)
    return ViewRows(
        ranks=unpack(details.ranks) if len(details.ranks) > 1 else None,
        pages=viewed.pages,
        titles=details.titles,
        counts=counts,
        visits=visits,
        titled=unpack_narrow(details.titled),
        visible=unpack_narrow(details.visible),
        active=unpack_narrow(details.active),
        scroll=unpack_narrow(details.scroll),
        measured=np.flatnonzero(np.unpackbits(np.frombuffer(details.measured, np.uint8), count=len(visits))),
        heat=unpack_narrow(details.heat).reshape(-1, PARTS),
        is_shared=details.is_shared,
    )


def who_viewed(page: str, bodies: Bodies) -> Numbers:
    """Tell the places of the visits that viewed a page, from `viewed`, each once or more often."""
    viewed = _read_viewed(bodies["viewed"])
    if page not in viewed.pages:
        return np.zeros(0, np.int64)
    n, counts = viewed.pages.index(page), unpack(viewed.counts)
    begin = int(counts[:n].sum())
    return unpack(viewed.visits)[begin : begin + int(counts[n])]
