"""The views of a summarised day or block one by one, side by side: what answers for the pages of some of its visits. Pure; spans are ms."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from stillhere.archive.packing import NOTHING, Bodies, Hashes, Numbers, count_keys, pack, unpack
from stillhere.archive.page_days import Title, Views, bins_of, scrolls
from stillhere.core.heat import PARTS, read_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from stillhere.archive.records import DayView

MOST_TITLES: Final = 50_000
"""With more titles than that, which browsers name, views are not kept one by one."""

_LONGEST: Final = 1 << 31
"""The product of two spans that are shorter fits into 64 bits."""


class _Viewed(msgspec.Struct, frozen=True, array_like=True):
    """Which visits viewed which pages: names, and of each view the places of its visit and its page."""

    pages: list[str]
    visits: bytes
    places: bytes


class _Details(msgspec.Struct, frozen=True, array_like=True):
    """What else there is of those views; see `ViewRows`."""

    titles: list[str]
    since: int
    titled: bytes
    heard: bytes
    visible: bytes
    active: bytes
    scroll: bytes
    measured: bytes
    heat: bytes


_read_viewed: Final = msgspec.msgpack.Decoder(_Viewed).decode
_read_details: Final = msgspec.msgpack.Decoder(_Details).decode


class ViewRows(msgspec.Struct, frozen=True):
    """Views side by side.

    Attributes:
        pages, titles: names; titles in order.
        visits: of each view the place of its visit.
        places, titled: the places of its page and, counted from 1, of its title; 0 for none.
        since: the earliest instant at which one was heard of last; what arrives late may be of the day before.
        heard: how long after that each was.
        visible, active, scroll: as of `Reading`; scroll in whole per cent.
        measured: which views measured their reading.
        heat: of each of those twenty numbers, in seconds, as the browser told them.
    """

    pages: list[str]
    titles: list[str]
    visits: Numbers
    places: Numbers
    titled: Numbers
    since: int
    heard: Numbers
    visible: Numbers
    active: Numbers
    scroll: Numbers
    measured: Numbers
    heat: Numbers


def rows_of(views: Sequence[DayView], places: Numbers) -> ViewRows:
    """Put views side by side.

    Args:
        views: the views.
        places: for the place that they tell of their visit, the place that it has.
    """
    pages: dict[str, int] = {}
    titles = sorted({view.title for view in views if view.title is not None})
    title_of = {title: n for n, title in enumerate(titles, 1)}
    on = [pages.setdefault(view.page, len(pages)) for view in views]
    heat = [(n, seconds) for n, view in enumerate(views) if (seconds := read_seconds(view.heat))]
    return ViewRows(
        pages=list(pages),
        titles=titles,
        visits=places[_numbers([view.visit for view in views])],
        places=_numbers(on),
        titled=_numbers([0 if view.title is None else title_of[view.title] for view in views]),
        since=(since := min((view.last_seen_at for view in views), default=0)),
        heard=_numbers([view.last_seen_at - since for view in views]),
        visible=_numbers([view.visible_ms for view in views]),
        active=_numbers([view.active_ms for view in views]),
        scroll=scrolls([view.scroll_pct for view in views]),
        measured=_numbers([n for n, _ in heat]),
        heat=_numbers([seconds for _, seconds in heat]).reshape(-1, PARTS),
    )


def _numbers(values: Sequence[int] | Sequence[Sequence[int]]) -> Numbers:
    return np.array(values, np.int64)


def joined(parts: Sequence[ViewRows], visits: Sequence[int]) -> ViewRows:
    """Put the views of days that follow each other one after the other.

    Args:
        parts: of each day. If one has pages and visits only, so does what is made of them.
        visits: how many visits each has.
    """
    since = min((part.since for part in parts if len(part.heard)), default=0)
    pages: dict[str, int] = {}
    moved = [_numbers([pages.setdefault(page, len(pages)) for page in part.pages])[part.places] for part in parts]
    titles = sorted({title for part in parts for title in part.titles})
    title_of = {title: n for n, title in enumerate(titles, 1)}
    new = [_numbers([0, *(title_of[title] for title in part.titles)]) for part in parts]
    return ViewRows(
        pages=list(pages),
        titles=titles,
        visits=np.concatenate([part.visits + n for part, n in zip(parts, accumulate(visits, initial=0), strict=False)]),
        places=np.concatenate(moved),
        titled=np.concatenate([at[part.titled] for at, part in zip(new, parts, strict=True)]),
        since=since,
        heard=np.concatenate([part.heard + (part.since - since) for part in parts]),
        visible=np.concatenate([part.visible for part in parts]),
        active=np.concatenate([part.active for part in parts]),
        scroll=np.concatenate([part.scroll for part in parts]),
        measured=np.concatenate(
            [part.measured + n for part, n in zip(parts, accumulate((len(one.visits) for one in parts), initial=0), strict=False)]
        ),
        heat=np.concatenate([part.heat for part in parts]),
    )


def write(rows: ViewRows) -> Bodies:
    """Write the parts `viewed` and `views`; without the latter if there are too many titles."""
    viewed = {"viewed": msgspec.msgpack.encode(_Viewed(rows.pages, pack(rows.visits), pack(rows.places)))}
    if len(rows.heard) < len(rows.visits) or len(rows.titles) > MOST_TITLES:
        return viewed
    columns = (rows.titled, rows.heard, rows.visible, rows.active, rows.scroll, rows.measured, rows.heat)
    return viewed | {"views": msgspec.msgpack.encode(_Details(rows.titles, rows.since, *map(pack, columns)))}


def read(bodies: Bodies) -> ViewRows:
    """Read them; where `views` is missing, pages and visits only."""
    viewed = _read_viewed(bodies["viewed"])
    details = _read_details(bodies["views"]) if "views" in bodies else _Details([], 0, *[NOTHING] * 7)
    return ViewRows(
        pages=viewed.pages,
        titles=details.titles,
        visits=unpack(viewed.visits),
        places=unpack(viewed.places),
        titled=unpack(details.titled),
        since=details.since,
        heard=unpack(details.heard),
        visible=unpack(details.visible),
        active=unpack(details.active),
        scroll=unpack(details.scroll),
        measured=unpack(details.measured),
        heat=unpack(details.heat).reshape(-1, PARTS),
    )


def who_viewed(page: str, bodies: Bodies) -> Numbers:
    """Tell the places of the visits that viewed a page, from `viewed`, each once or more often."""
    viewed = _read_viewed(bodies["viewed"])
    if page not in viewed.pages:
        return np.zeros(0, np.int64)
    is_there: npt.NDArray[np.bool_] = unpack(viewed.places) == viewed.pages.index(page)
    return unpack(viewed.visits)[is_there]


def views_in(rows: ViewRows, kept: npt.NDArray[np.bool_], people: Hashes, who: Numbers) -> Views:
    """Add the views of some visits up by page.

    Args:
        rows: all views.
        kept: which visits.
        people: the visitors, as of `days.Visits`.
        who: of each visit, the same.
    """
    mine = np.flatnonzero(kept[rows.visits])
    places, visible, active = rows.places[mine], rows.visible[mine], rows.active[mine]
    viewed = np.flatnonzero(np.bincount(places, minlength=len(rows.pages)))
    new = np.full(len(rows.pages), -1)
    new[viewed] = np.arange(len(viewed))
    places = new[places]
    return Views(
        titles=dict(zip((rows.pages[n] for n in viewed.tolist()), _titles(rows, mine, places, len(viewed)), strict=True)),
        places=np.arange(len(viewed)),
        sums=np.stack([_added(places, column, len(viewed)) for column in (None, visible, active)], axis=1),
        bins=tuple(count_keys(keys) for keys in bins_of(places, visible, active, rows.scroll[mine])),
        people=people,
        seen=(places, who[rows.visits[mine]]),
        heat=_heat(rows, kept, new, len(viewed)),
    )


def _added(places: Numbers, column: Numbers | None, count: int) -> Numbers:
    """Add numbers up by place; they are far too small for a float to be off."""
    return np.bincount(places, column, count).astype(np.int64)


def _titles(rows: ViewRows, mine: Numbers, places: Numbers, count: int) -> list[Title | None]:
    """Tell the title of each page that was heard last, and when; of several at once the last in order."""
    bits = len(rows.titles).bit_length()
    latest = np.full(count, -1)
    has_one = np.flatnonzero(rows.titled[mine])
    np.maximum.at(latest, places[has_one], rows.heard[mine][has_one] << bits | rows.titled[mine][has_one])
    return [None if one < 0 else (rows.since + (one >> bits), rows.titles[(one & (1 << bits) - 1) - 1]) for one in latest.tolist()]


def _heat(rows: ViewRows, kept: npt.NDArray[np.bool_], new: Numbers, count: int) -> tuple[Numbers, Numbers]:
    """Add up by page what was measured, as `core.heat.read_heat` reads it."""
    of = kept[rows.visits[rows.measured]]
    at = rows.measured[of]
    spans = _shared(rows.heat[of] * 1_000, rows.visible[at])
    places = new[rows.places[at]]
    sums = np.stack([_added(places, column, count) for column in spans.T], axis=1)
    measured = np.flatnonzero(np.bincount(places, minlength=count))
    return measured, sums[measured]


def _shared(spans: Numbers, visible: Numbers) -> Numbers:
    """Scale spans down whose sum is more than the visible time."""
    total = spans.sum(axis=1)
    for n in np.flatnonzero((total > visible) & (np.maximum(spans.max(axis=1, initial=0), visible) >= _LONGEST)).tolist():
        spans[n] = [span * int(visible[n]) // int(total[n]) for span in spans[n].tolist()]  # only a browser that lies goes so far
        total[n] = 0
    is_more = (total > visible)[:, None]
    shared: Numbers = spans * np.where(is_more, visible[:, None], 1) // np.where(is_more, total[:, None], 1)
    return shared
