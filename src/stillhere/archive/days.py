"""Days, summarised: what is counted of all visits that began on one day of UTC, packed so that a year is added up in a moment. Pure.

Only days that are settled are summarised, and days that follow each other are put together in blocks. Sums, counts, people and the
quartiles of visits are exact; those of pages come from histograms whose bins are 4 % wide, off by at most 2 %. Instants are
ms since 1970, spans ms.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from msgspec.structs import astuple

from stillhere.archive import page_days
from stillhere.archive.crowds import overlapping
from stillhere.archive.packing import LONGS, Groups, Hashes, Numbers, numbers_of, pack, unpack, unpack_hashes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from stillhere.archive.records import Reading, Stay

LARGEST: Final = 2**32 - 1
"""A day with a longer span in it is not summarised."""

MOST_PAGES: Final = 50_000
"""Nor is one with more pages: they are named by browsers. Nor one on which two visitors have the same number."""

Bodies = dict[str, bytes]
"""The parts of a summary."""


class Sums(msgspec.Struct, frozen=True, array_like=True):
    """What visits add up to."""

    visits: int
    open_ms: int
    visible_ms: int
    active_ms: int


class Viewed(msgspec.Struct, frozen=True, array_like=True):
    """Which visits viewed which pages: names, and side by side the places of visits and names."""

    pages: list[str]
    visits: bytes
    places: bytes


_read_viewed: Final = msgspec.msgpack.Decoder(Viewed).decode
read_sums: Final = msgspec.msgpack.Decoder(Sums).decode
_read_names: Final = msgspec.msgpack.Decoder(list[str]).decode


class Visits(msgspec.Struct, frozen=True):
    """Visits side by side.

    Attributes:
        who: the visitors, hashed.
        starts: when each began.
        opens, visible, active: spans: from its start to its end, on screen and active.
    """

    who: Hashes
    starts: Numbers
    opens: Numbers
    visible: Numbers
    active: Numbers


class People(msgspec.Struct, frozen=True):
    """Visitors side by side, each once or more often.

    Attributes:
        numbers: their hashes; sorted, as they are kept.
        names: who they are.
        visits, visible, last: how often and how long they were there, and their last instant.
    """

    numbers: Hashes
    names: list[str]
    visits: Numbers
    visible: Numbers
    last: Numbers


SPANS: Final = ("starts", "opens", "visible", "active")

PARTS: Final = ("sums", "who", *SPANS, "twice", "viewed", "numbers", "names", "people", "pages")
"""A question reads those that it needs."""


def visits_of(stays: Sequence[Stay]) -> Visits:
    """Put visits side by side, by their start."""
    rows = np.array([stay[1:] for stay in stays], np.int64).reshape(-1, 4)
    order = np.argsort(rows[:, 0], kind="stable")
    starts, ends, visible, active = rows[order].T
    return Visits(who=numbers_of([stay[0] for stay in stays])[order], starts=starts, opens=ends - starts, visible=visible, active=active)


def people_of(stays: Sequence[Stay]) -> People:
    """Add visits up by visitor, in order of their hashes."""
    return _each_once(
        People(
            numbers=numbers_of([stay[0] for stay in stays]),
            names=[stay[0] for stay in stays],
            visits=np.ones(len(stays), np.int64),
            visible=np.array([stay[3] for stay in stays], np.int64),
            last=np.array([stay[2] for stay in stays], np.int64),
        )
    )


def sums_of(stays: Sequence[Stay]) -> Sums:
    """Add visits up."""
    return Sums(len(stays), sum(s[2] - s[1] for s in stays), sum(s[3] for s in stays), sum(s[4] for s in stays))


def summarise(begin: int, stays: Sequence[Stay], readings: Sequence[Reading], viewed: Sequence[tuple[int, str]]) -> Bodies | None:
    """Summarise a day.

    Args:
        begin: its first instant.
        stays: all visits that began on it and count.
        readings: their views.
        viewed: which of the visits, by their place, viewed which page.

    Returns:
        The parts, packed; None if there is too much of something to keep it so.
    """
    if not all(_fits(stay[2] - stay[1], *stay[3:]) for stay in stays) or not all(_fits(one[4], one[5]) for one in readings):
        return None
    people = people_of(stays)
    known = {stay[0] for stay in stays}  # a view that came after the visits were read counts when the day has its turn again
    views = page_days.views_of([one for one in readings if one[2] in known])
    if len(known) > len(people.names) or len(views.titles) > MOST_PAGES:
        return None
    return _written(begin, sums_of(stays), visits_of(stays), _viewed(stays, viewed), people, views)


def _fits(*spans: int) -> bool:
    return min(spans) >= 0 and max(spans) <= LARGEST


def _viewed(stays: Sequence[Stay], viewed: Sequence[tuple[int, str]]) -> Viewed:
    """Write the visits' places as `visits_of` has them."""
    new = np.argsort(np.argsort(np.array([stay[1] for stay in stays], np.int64), kind="stable"))
    names: dict[str, int] = {}
    places = np.array([names.setdefault(page, len(names)) for _, page in viewed], np.int64)
    return Viewed(list(names), pack(new[np.array([place for place, _ in viewed], np.int64)]), pack(places))


def block(begin: int, days: Mapping[int, Bodies]) -> Bodies | None:
    """Put the summaries of days that follow each other together.

    Args:
        begin: their first instant.
        days: by their first instants, in order.

    Returns:
        The parts; None if there is too much of something to keep it so.
    """
    bodies = list(days.values())
    sums = [read_sums(body["sums"]) for body in bodies]
    total = Sums(*(sum(column) for column in zip(*map(astuple, sums), strict=True)))
    views = page_days.together([read_views(body) for body in bodies])
    visits = [read_visits(at, body) for at, body in days.items()]
    viewed = _all_viewed([_read_viewed(body["viewed"]) for body in bodies], [len(part.starts) for part in visits])
    everybody = _everybody([people_in(body) for body in bodies])
    people = _each_once(everybody)
    if len(set(everybody.names)) > len(people.names) or len(views.titles) > MOST_PAGES:
        return None
    return _written(begin, total, joined(visits), viewed, people, views)


def _all_viewed(parts: Sequence[Viewed], counts: Sequence[int]) -> Viewed:
    names: dict[str, int] = {}
    found = list[tuple[Numbers, Numbers]]()
    for part, before in zip(parts, accumulate(counts, initial=0), strict=False):
        places = np.array([names.setdefault(page, len(names)) for page in part.pages], np.int64)
        found.append((unpack([part.visits]) + before, places[unpack([part.places])]))
    return Viewed(list(names), *(pack(np.concatenate(column)) for column in zip(*found, strict=True)))


def _written(begin: int, sums: Sums, visits: Visits, viewed: Viewed, people: People, views: page_days.Views) -> Bodies:
    return {
        "sums": msgspec.msgpack.encode(sums),
        "who": pack(visits.who, LONGS),
        "starts": pack(visits.starts - begin),
        "twice": pack(overlapping(visits.who, visits.starts, visits.starts + visits.opens + 1)),
        "opens": pack(visits.opens),
        "visible": pack(visits.visible),
        "active": pack(visits.active),
        "viewed": msgspec.msgpack.encode(viewed),
        "numbers": pack(people.numbers, LONGS),
        "names": msgspec.msgpack.encode(people.names),
        "people": pack(np.stack([people.visits, people.visible, people.last], axis=1), LONGS),
        "pages": page_days.write(views, people.numbers),
    }


def read_visits(begin: int, bodies: Bodies) -> Visits:
    """Read the visits of a day or block; a column that is not there is empty."""
    starts, *spans = (unpack([bodies[name]] if name in bodies else []) for name in SPANS)
    return Visits(unpack_hashes([bodies["who"]] if "who" in bodies else []), starts + begin, *spans)


def who_viewed(page: str, bodies: Bodies) -> Numbers:
    """Tell the places of the visits that viewed a page, from `viewed`."""
    viewed = _read_viewed(bodies["viewed"])
    if page not in viewed.pages:
        return np.zeros(0, np.int64)
    is_there: npt.NDArray[np.bool_] = unpack([viewed.places]) == viewed.pages.index(page)
    return unpack([viewed.visits])[is_there]


def joined(parts: Sequence[Visits]) -> Visits:
    """Put the visits of several days or blocks one after the other."""
    return Visits(*(np.concatenate(column) for column in zip(*map(astuple, parts), strict=True)))


def read_views(bodies: Bodies) -> page_days.Views:
    """Read the views of a day or block: `pages` and `numbers`."""
    return page_days.read(bodies["pages"], unpack_hashes([bodies["numbers"]]))


def people_in(bodies: Bodies) -> People:
    """Read the visitors of a day or block."""
    visits, visible, last = unpack([bodies["people"]], LONGS).reshape(-1, 3).T
    numbers, names = unpack_hashes([bodies["numbers"]]), _read_names(bodies["names"])
    return People(numbers=numbers, names=names, visits=visits, visible=visible, last=last)


def people_among(visits: Visits, bodies: Bodies) -> People:
    """Add some visits of a day or block up by visitor, with `numbers` and `names`."""
    groups, names = Groups(visits.who), _read_names(bodies["names"])
    return People(
        numbers=groups.keys,
        names=[names[n] for n in np.searchsorted(unpack_hashes([bodies["numbers"]]), groups.keys).tolist()],
        visits=groups.sum(np.ones_like(visits.starts)),
        visible=groups.sum(visits.visible),
        last=groups.highest(visits.starts + visits.opens),
    )


def _everybody(parts: Sequence[People]) -> People:
    numbers, _, *columns = zip(*map(astuple, parts), strict=True)
    return People(np.concatenate(numbers), [name for part in parts for name in part.names], *map(np.concatenate, columns))


def _each_once(people: People) -> People:
    groups = Groups(people.numbers)
    return People(
        numbers=groups.keys,
        names=[people.names[n] for n in groups.first.tolist()],
        visits=groups.sum(people.visits),
        visible=groups.sum(people.visible),
        last=groups.highest(people.last),
    )
