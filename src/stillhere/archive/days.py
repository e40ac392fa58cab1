"""Days, summarised: what is counted of all visits that began on one day of UTC, packed so that a year is added up in a moment. Pure.

Only days that are settled are summarised, and days that follow each other are put together in blocks. Sums, counts, people and the
quartiles of visits are exact; those of pages come from histograms whose bins are 4 % wide, off by at most 2 %. Instants are
ms since 1970, spans ms.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final
from zlib import crc32

import msgspec
import numpy as np
from msgspec.structs import astuple

from stillhere.archive import page_days, view_rows
from stillhere.archive.crowds import overlapping
from stillhere.archive.narrowing import EXCLUDED, INTERNAL, endings_of, flags_of, joined_endings
from stillhere.archive.packing import NOTHING, Bodies, Groups, Hashes, Numbers, numbers_of, pack, unpack, unpack_hashes
from stillhere.archive.records import Stay

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from stillhere.archive.records import DayView, DayVisit

MOST_PAGES: Final = 50_000
"""A day with more pages or titles is not summarised: browsers name them. Nor is one on which two visitors have the same number."""


class Sums(msgspec.Struct, frozen=True, array_like=True):
    """What visits add up to, and a number that is another when their endings are; 0 where they are not settled."""

    visits: int
    open_ms: int
    visible_ms: int
    active_ms: int
    endings: int = 0


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

ALWAYS: Final = ("sums", "who", *SPANS, "twice", "flags", "viewed", "views", "numbers", "names", "people", "pages")
PARTS: Final = (*ALWAYS, "endings")
"""A question reads those that it needs. Endings are there once all are settled."""


def visits_of(stays: Sequence[Stay]) -> Visits:
    """Put visits side by side, by their start."""
    rows = np.array([stay[1:] for stay in stays], np.int64).reshape(-1, 4)
    order = np.argsort(rows[:, 0], kind="stable")
    starts, ends, visible, active = rows[order].T
    return Visits(who=numbers_of([stay[0] for stay in stays])[order], starts=starts, opens=ends - starts, visible=visible, active=active)


def people_of(stays: Sequence[Stay]) -> People:
    """Add visits up by visitor, in order of their hashes."""
    ordered = sorted(stays, key=itemgetter(1))
    return _people([stay.subject for stay in ordered], visits_of(ordered), np.ones(len(stays), np.int64))


def _people(names: list[str], visits: Visits, counts: Numbers) -> People:
    """Add visits up by visitor. Of one that does not count nothing but the visitor's name is there."""
    last = (visits.starts + visits.opens) * counts
    return _each_once(People(numbers=visits.who, names=names, visits=counts, visible=visits.visible * counts, last=last))


def sums_of(visits: Sequence[DayVisit]) -> Sums:
    """Add visits up."""
    return Sums(
        visits=len(visits),
        open_ms=sum(visit.last_seen_at - visit.started_at for visit in visits),
        visible_ms=sum(visit.visible_ms for visit in visits),
        active_ms=sum(visit.active_ms for visit in visits),
        endings=0 if any(visit.ended_by is None for visit in visits) else sum(crc32(repr(visit[-2:]).encode()) for visit in visits),
    )


def summarise(begin: int, visits: Sequence[DayVisit], views: Sequence[DayView]) -> Bodies | None:
    """Summarise a day.

    Args:
        begin: its first instant.
        visits: all that began on it.
        views: theirs that name a page.

    Returns:
        The parts, packed; None if there is too much of something to keep it so, or a span is negative.
    """
    order = sorted(range(len(visits)), key=lambda n: visits[n].started_at)
    places = np.zeros(len(visits), np.int64)
    places[order] = np.arange(len(visits))
    visits = [visits[n] for n in order]
    stays, rows = visits_of([Stay(*visit[:5]) for visit in visits]), view_rows.rows_of(begin, views, places)
    people = _people([visit.subject for visit in visits], stays, np.array([visit.counts for visit in visits], np.int64))
    if len({visit.subject for visit in visits}) > len(people.names) or not _fits(stays, rows):
        return None
    flags = flags_of(visits)
    counted = view_rows.views_in(rows, begin, flags & (INTERNAL | EXCLUDED) == 0, stays.who)
    narrowing = {"flags": pack(flags), **_if_settled(endings_of(visits)), **view_rows.write(rows)}
    return narrowing | _written(begin, sums_of(visits), stays, people, counted)


def _fits(visits: Visits, rows: view_rows.ViewRows) -> bool:
    """Tell whether all can be kept: clocks that went back may have made spans negative, and browsers name pages."""
    spans = (visits.opens, visits.visible, visits.active, rows.visible, rows.active, rows.heard)
    return min(int(column.min(initial=0)) for column in spans) >= 0 and _are_few(rows)


def _are_few(rows: view_rows.ViewRows) -> bool:
    return max(len(rows.pages), len(rows.titles)) <= MOST_PAGES


def _if_settled(endings: bytes | None) -> Bodies:
    return {} if endings is None else {"endings": endings}


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
    everybody = _everybody([people_in(body) for body in bodies])
    people = _each_once(everybody)
    pages = page_days.together([read_views(body) for body in bodies])
    visits = [read_visits(at, body) for at, body in days.items()]
    parts = [view_rows.read(body) for body in bodies]
    rows = view_rows.joined(parts, [len(part.starts) for part in visits], [at - begin for at in days])
    if len(set(everybody.names)) > len(people.names) or not _are_few(rows):
        return None
    endings = [body["endings"] for body in bodies if "endings" in body]
    settled = joined_endings(endings) if len(endings) == len(bodies) else None
    flags = np.concatenate([unpack(body["flags"]) for body in bodies])
    narrowing = {"flags": pack(flags), **_if_settled(settled), **view_rows.write(rows)}
    return narrowing | _written(begin, total, joined(visits), people, pages)


def _written(begin: int, sums: Sums, visits: Visits, people: People, pages: page_days.Views) -> Bodies:
    return {
        "sums": msgspec.msgpack.encode(sums),
        "who": pack(np.searchsorted(people.numbers, visits.who)),
        "starts": pack(visits.starts - begin),
        "twice": pack(overlapping(visits.who, visits.starts, visits.starts + visits.opens + 1)),
        "opens": pack(visits.opens),
        "visible": pack(visits.visible),
        "active": pack(visits.active),
        "numbers": pack(people.numbers),
        "names": msgspec.msgpack.encode(people.names),
        "people": pack(np.stack([people.visits, people.visible, people.last], axis=1)),
        "pages": page_days.write(pages, people.numbers),
    }


def read_visits(begin: int, bodies: Bodies) -> Visits:
    """Read the visits of a day or block; a column that is not there is empty. Who they are is told by `who` and `numbers`."""
    starts, *spans = (unpack(bodies.get(name, NOTHING)) for name in SPANS)
    return Visits(unpack_hashes(bodies.get("numbers", NOTHING))[unpack(bodies.get("who", NOTHING))], starts + begin, *spans)


def joined(parts: Sequence[Visits]) -> Visits:
    """Put the visits of several days or blocks one after the other."""
    return Visits(*(np.concatenate(column) for column in zip(*map(astuple, parts), strict=True)))


def read_views(bodies: Bodies) -> page_days.Views:
    """Read the views of a day or block: `pages` and `numbers`."""
    return page_days.read(bodies["pages"], unpack_hashes(bodies["numbers"]))


def people_in(bodies: Bodies) -> People:
    """Read the visitors of a day or block."""
    visits, visible, last = unpack(bodies["people"]).reshape(-1, 3).T
    numbers, names = unpack_hashes(bodies["numbers"]), _read_names(bodies["names"])
    return People(numbers=numbers, names=names, visits=visits, visible=visible, last=last)


def people_among(visits: Visits, kept: npt.NDArray[np.bool_], bodies: Bodies) -> People:
    """Add some visits of a day or block up by visitor, with `who`, `numbers` and `names`."""
    numbers, who = unpack_hashes(bodies["numbers"]), unpack(bodies["who"])[kept]
    last = np.zeros(len(numbers), np.int64)
    np.maximum.at(last, who, (visits.starts + visits.opens)[kept])
    return People(
        numbers=numbers,
        names=_read_names(bodies["names"]),
        visits=np.bincount(who, minlength=len(numbers)),
        visible=np.bincount(who, visits.visible[kept], len(numbers)).astype(np.int64),
        last=last,
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
