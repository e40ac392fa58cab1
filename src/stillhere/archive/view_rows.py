"""The views of a summarised day or block one by one, side by side: what answers for the pages of some of its visits. Pure; spans are ms.

They are in order of their pages, so that what belongs to a page is added up in one go.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from stillhere.archive.packing import NOTHING, Bodies, Members, Numbers, count_keys, pack, unpack, unpack_narrow
from stillhere.archive.page_days import Bins, Title, Views, bins_of, moved_bins, scrolls
from stillhere.core.heat import PARTS, read_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stillhere.archive.days import Visits
    from stillhere.archive.records import DayView

MOST_TITLES: Final = 50_000
"""With more titles than that, which browsers name, views are not kept one by one."""

_LONGEST: Final = 1 << 31
"""The product of two spans that are shorter fits into 64 bits."""


class _Viewed(msgspec.Struct, frozen=True, array_like=True):
    """Which visits viewed which pages: names, how many views each page has, and of each view the place of its visit."""

    pages: list[str]
    counts: memoryview
    visits: memoryview


class _Details(msgspec.Struct, frozen=True, array_like=True):
    """What else there is of those views; see `ViewRows`."""

    titles: list[str]
    titled: memoryview
    visible: memoryview
    active: memoryview
    scroll: memoryview
    measured: memoryview
    heat: memoryview


_read_viewed: Final = msgspec.msgpack.Decoder(_Viewed).decode
_read_details: Final = msgspec.msgpack.Decoder(_Details).decode


class ViewRows(msgspec.Struct, frozen=True):
    """Views side by side, in order of their pages; those of a page as their visits began, and as they were heard of last.

    Attributes:
        pages, titles: names.
        counts: how many views each page has, at least one.
        visits: of each view the place of its visit.
        titled: the place of its title, counted from 1; 0 for none.
        visible, active, scroll: as of `Reading`; scroll in whole per cent.
        measured: which views measured their reading, in order.
        heat: of each of those twenty numbers, in seconds, as the browser told them.
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
    heat = [(n, seconds) for n, view in enumerate(views) if (seconds := read_seconds(view.heat))]
    return ViewRows(
        pages=list(pages),
        titles=titles,
        counts=np.bincount(_numbers([pages[view.page] for view in views]), minlength=len(pages)),
        visits=places[_numbers([view.visit for view in views])],
        titled=_numbers([0 if view.title is None else title_of[view.title] for view in views]),
        visible=_numbers([view.visible_ms for view in views]),
        active=_numbers([view.active_ms for view in views]),
        scroll=scrolls([view.scroll_pct for view in views]),
        measured=_numbers([n for n, _ in heat]),
        heat=_numbers([seconds for _, seconds in heat]).reshape(-1, PARTS),
    )


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
    )


def _moved(parts: Sequence[ViewRows], order: Numbers) -> tuple[Numbers, npt.NDArray[Any]]:
    """Tell which views measured their reading, and what, once all views are put in an order."""
    begins = accumulate((len(part.visits) for part in parts), initial=0)
    at = np.argsort(order)[np.concatenate([part.measured + begin for part, begin in zip(parts, begins, strict=False)])]
    by_view = np.argsort(at)
    return at[by_view], np.concatenate([part.heat for part in parts])[by_view]


def _packed(numbers: npt.NDArray[Any]) -> memoryview:
    return memoryview(pack(numbers))


def write(rows: ViewRows) -> Bodies:
    """Write the parts `viewed` and `views`; without the latter if there are too many titles."""
    viewed: Bodies = {"viewed": msgspec.msgpack.encode(_Viewed(rows.pages, *map(_packed, (rows.counts, rows.visits))))}
    if len(rows.visible) < len(rows.visits) or len(rows.titles) > MOST_TITLES:
        return viewed
    columns = (rows.titled, rows.visible, rows.active, rows.scroll, rows.measured, rows.heat)
    return viewed | {"views": msgspec.msgpack.encode(_Details(rows.titles, *map(_packed, columns)))}


def read(bodies: Bodies) -> ViewRows:
    """Read them; where `views` is missing, pages and visits only."""
    viewed = _read_viewed(bodies["viewed"])
    details = _read_details(bodies["views"]) if "views" in bodies else _Details([], *[memoryview(NOTHING)] * 6)
    return ViewRows(
        pages=viewed.pages,
        titles=details.titles,
        counts=unpack(viewed.counts),
        visits=unpack(viewed.visits),
        titled=unpack_narrow(details.titled),
        visible=unpack_narrow(details.visible),
        active=unpack_narrow(details.active),
        scroll=unpack_narrow(details.scroll),
        measured=unpack(details.measured),
        heat=unpack_narrow(details.heat).reshape(-1, PARTS),
    )


def who_viewed(page: str, bodies: Bodies) -> Numbers:
    """Tell the places of the visits that viewed a page, from `viewed`, each once or more often."""
    viewed = _read_viewed(bodies["viewed"])
    if page not in viewed.pages:
        return np.zeros(0, np.int64)
    n, counts = viewed.pages.index(page), unpack(viewed.counts)
    begin = int(counts[:n].sum())
    return unpack(viewed.visits)[begin : begin + int(counts[n])]


class Counted(msgspec.Struct, frozen=True):
    """What is known of the same views already.

    Attributes:
        visits: which visits were added up.
        pages: theirs, in the order of the places in `bins`.
        bins: of their views.
    """

    visits: npt.NDArray[np.bool_]
    pages: list[str]
    bins: Bins


def views_in(begin: int, rows: ViewRows, kept: npt.NDArray[np.bool_], visits: Visits, counted: Counted | None = None) -> Views:
    """Add the views of some visits up by page.

    Args:
        begin: the day's or block's first instant.
        rows: all its views.
        kept: which visits.
        visits: all of them; only who they are is looked at.
        counted: what is known already, if that is.
    """
    mine = kept[rows.visits]
    at = np.flatnonzero(mine)  # to take by places is ten times as fast as by a mask that nobody can foresee
    views, visible, active = (_by_page(rows, column) for column in (mine, rows.visible * mine, rows.active * mine))
    viewed, new = np.flatnonzero(views), np.cumsum(views > 0) - 1
    places = np.repeat(new, rows.counts)
    heat = _heat(rows, mine, places)
    titles, places = _titles(begin, rows, mine), places[at]
    seen = places.astype(np.uint16), visits.who[rows.visits[at]].astype(np.uint32)  # kept for a while, in few bytes
    return Views(
        titles={rows.pages[n]: titles[n] for n in viewed.tolist()},
        places=np.arange(len(viewed)),
        sums=np.stack([views, visible, active], axis=1)[viewed],
        bins=tuple((moved_bins(new, keys), times) for keys, times in _bins(rows, kept, at, counted)),
        people=visits.people,
        seen=Members(lambda: [seen], len(at)),
        heat=heat,
    )


def _bins(rows: ViewRows, kept: npt.NDArray[np.bool_], at: Numbers, counted: Counted | None) -> Bins:
    """Count the bins of some visits' views, which are at some places; or only of those that come or go, where these are fewer."""
    pages = np.repeat(np.arange(len(rows.pages)), rows.counts)

    def keys(at: Numbers) -> tuple[Numbers, ...]:
        return bins_of(pages[at], rows.visible[at], rows.active[at], rows.scroll[at])

    if counted is None or 2 * np.count_nonzero(kept != counted.visits) > np.count_nonzero(kept):
        return tuple(map(count_keys, keys(at)))
    place_of = {page: n for n, page in enumerate(rows.pages)}
    moved = _numbers([place_of[page] for page in counted.pages])
    changed = np.flatnonzero((kept != counted.visits)[rows.visits])
    signs = np.where(kept[rows.visits[changed]], 1, -1)
    return tuple(
        count_keys(np.concatenate([moved_bins(moved, known), more]), np.concatenate([times, signs]))
        for (known, times), more in zip(counted.bins, keys(changed), strict=True)
    )


def _by_page(rows: ViewRows, column: npt.NDArray[Any], how: np.ufunc = np.add) -> Numbers:
    found: Numbers = how.reduceat(column, np.cumsum(rows.counts) - rows.counts, dtype=np.int64)
    return found


def _titles(begin: int, rows: ViewRows, mine: npt.NDArray[np.bool_]) -> list[Title | None]:
    """Tell the last title of each page."""
    latest = _by_page(rows, np.arange(1, len(mine) + 1) * (mine & (rows.titled > 0)), np.maximum)
    return [(begin, 0, rows.titles[rows.titled[one - 1] - 1]) if one else None for one in latest.tolist()]


def _heat(rows: ViewRows, mine: npt.NDArray[np.bool_], places: Numbers) -> tuple[Numbers, Numbers]:
    """Add up by page what was measured, as `core.heat.read_heat` reads it."""
    of = np.flatnonzero(mine[rows.measured])
    at, seconds = rows.measured[of], rows.heat[of]
    on, visible = places[at], rows.visible[at]
    is_more = seconds.sum(axis=1, dtype=np.int64) * 1_000 > visible
    begins = np.flatnonzero(np.diff(on, prepend=-1))
    measured = on[begins]
    sums = np.add.reduceat(seconds * ~is_more[:, None], begins, dtype=np.int64) * 1_000
    np.add.at(sums, np.searchsorted(measured, on[is_more]), _shared(seconds[is_more].astype(np.int64) * 1_000, visible[is_more]))
    return measured, sums


def _shared(spans: Numbers, visible: Numbers) -> Numbers:
    """Scale spans down whose sum is more than the visible time."""
    total = spans.sum(axis=1)
    shared: Numbers = spans * visible[:, None] // total[:, None]
    for n in np.flatnonzero(np.maximum(spans.max(axis=1, initial=0), visible) >= _LONGEST).tolist():
        shared[n] = [span * int(visible[n]) // int(total[n]) for span in spans[n].tolist()]  # only a browser that lies goes so far
    return shared
