"""Days, summarised: what is counted of all visits that began on one day of UTC, packed so that a year is added up in a moment. Pure.

Only days that are settled are summarised, and days that follow each other are put together in blocks. Sums, counts, people and the
quartiles of visits are exact; those of pages come from histograms whose bins are 3 % wide, off by at most 1.6 %. Instants are
ms since 1970, spans ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from msgspec.structs import astuple

from stillhere.archive import page_days, view_rows
from stillhere.archive.crowds import overlapping
from stillhere.archive.kinds import by_kind
from stillhere.archive.narrowing import does_count, endings_of, flags_of, joined_endings
from stillhere.archive.packing import (
    NOTHING,
    Bodies,
    Groups,
    Hashes,
    Numbers,
    Texts,
    merged,
    numbers_of,
    pack,
    pack_texts,
    unpack,
    unpack_hashes,
)
from stillhere.archive.records import Stay
from stillhere.archive.view_sums import views_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from stillhere.archive.records import DayView, DayVisit

MOST_PAGES: Final = 50_000
"""A day or block with more pages is not summarised: browsers name them. Nor is one in which two visitors have the same number.

Fewer than 65,536, for `view_rows` keeps their places in two bytes.
"""


_CHECK_BYTES: Final = 16

_read_columns: Final = msgspec.msgpack.Decoder(tuple[bytes, bytes, bytes]).decode


class Visits(msgspec.Struct, frozen=True):
    """Visits side by side.

    Attributes:
        people: the visitors, hashed and sorted; there may be more.
        who: of each visit the place of its visitor among them.
        starts: when each began.
        opens, visible, active: spans: from its start to its end, on screen and active.
    """

    people: Hashes
    who: Numbers
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
    names: Sequence[str] | Texts
    visits: Numbers
    visible: Numbers
    last: Numbers


SPANS: Final = ("starts", "opens", "visible", "active")

ALWAYS: Final = ("check", "who", *SPANS, "twice", "flags", "viewed", "numbers", "names", "people", "pages", "seen")
PARTS: Final = (*ALWAYS, "endings", "views")
"""A question reads those of a day that it needs. Endings are there once all are settled, views unless they have too many titles.

A block has parts by kind in the place of `views`, see `kinds`.
"""


def visits_of(stays: Sequence[Stay]) -> Visits:
    """Put visits side by side, by their start."""
    rows = np.array([stay[1:] for stay in stays], np.int64).reshape(-1, 4)
    order = np.argsort(rows[:, 0], kind="stable")
    starts, ends, visible, active = rows[order].T
    people, who = np.unique(numbers_of([stay[0] for stay in stays]), return_inverse=True)
    return Visits(people=people, who=who[order], starts=starts, opens=ends - starts, visible=visible, active=active)


def people_of(stays: Sequence[Stay]) -> People:
    """Add visits up by visitor, in order of their hashes."""
    names = [stay.subject for stay in stays]
    visible, last = (np.array([stay[n] for stay in stays], np.int64) for n in (3, 2))
    return _each_once(People(numbers=numbers_of(names), names=names, visits=np.ones_like(visible), visible=visible, last=last))


def _people(names: list[str], visits: Visits, counts: Numbers) -> People:
    """Add visits up by visitor. Of one that does not count nothing but the visitor's name is there."""
    last = (visits.starts + visits.opens) * counts
    return _each_once(People(numbers=visits.people[visits.who], names=names, visits=counts, visible=visits.visible * counts, last=last))


def check_of(visits: Sequence[DayVisit], views: Sequence[DayView]) -> bytes:
    """Tell a number that is another whenever what a day is summarised from is."""
    encode = msgspec.msgpack.encode
    return blake2b(encode([list(map(encode, visits)), sorted(map(encode, views))]), digest_size=_CHECK_BYTES).digest()


def summarise(begin: int, visits: Sequence[DayVisit], views: Sequence[DayView]) -> Bodies | None:
    """Summarise a day.

    Args:
        begin: its first instant.
        visits: all that began on it, in any order that is the same each time.
        views: theirs that name a page, in any order.

    Returns:
        The parts, packed; None if there is too much of something to keep it so, or a span is negative.
    """
    views = sorted(views, key=msgspec.msgpack.encode)  # parts of two makings fit together if they are of the same check
    order = sorted(range(len(visits)), key=lambda n: visits[n].started_at)
    places = np.zeros(len(visits), np.int64)
    places[order] = np.arange(len(visits))
    check, visits = check_of(visits, views), [visits[n] for n in order]
    stays = visits_of([Stay(*visit[:5]) for visit in visits])
    rows = view_rows.rows_of(views, places, stays.starts)
    people = _people([visit.subject for visit in visits], stays, np.array([visit.counts for visit in visits], np.int64))
    if len({visit.subject for visit in visits}) > len(people.names) or not _fits(stays, rows):
        return None
    flags = flags_of(visits)
    counted = views_in(begin, rows, does_count(flags), stays)
    details: Bodies = {"views": view_rows.write_details(rows)} if view_rows.has_details(rows) else {}
    narrowing = _narrowing(flags, endings_of(visits), rows)
    return narrowing | details | _written(begin, check, stays, people, counted)


def _fits(visits: Visits, rows: view_rows.ViewRows) -> bool:
    """Tell whether all can be kept: a damaged row may have a negative span, and browsers name pages."""
    spans = (visits.opens, visits.visible, visits.active, rows.visible, rows.active)
    return min(int(column.min(initial=0)) for column in spans) >= 0 and len(rows.pages) <= MOST_PAGES


def _narrowing(flags: Numbers, endings: bytes | None, rows: view_rows.ViewRows) -> Bodies:
    settled: Bodies = {} if endings is None else {"endings": endings}
    return {"flags": pack(flags), **settled, "viewed": view_rows.write_viewed(rows)}


def block(begin: int, days: Mapping[int, Bodies]) -> Bodies | None:
    """Put the summaries of days that follow each other together.

    Args:
        begin: their first instant.
        days: by their first instants, in order.

    Returns:
        The parts; None if there is too much of something to keep it so.
    """
    bodies = list(days.values())
    everybody = _everybody([people_in(at, body) for at, body in days.items()])
    people = _each_once(everybody)
    pages = page_days.together([read_views(body) for body in bodies])
    parts = [read_visits(at, body) for at, body in days.items()]
    visits, rows = (
        joined(parts),
        view_rows.joined([view_rows.read(body["viewed"], body.get("views")) for body in bodies], [len(part.starts) for part in parts]),
    )
    if len(set(everybody.names)) > len(people.names) or len(rows.pages) > MOST_PAGES:
        return None
    endings = [body["endings"] for body in bodies if "endings" in body]
    settled = joined_endings(endings) if len(endings) == len(bodies) else None
    flags = np.concatenate([unpack(body["flags"]) for body in bodies])
    kinds = by_kind(begin, flags, settled, rows, visits) if view_rows.has_details(rows) else {}
    # A block is made of its days alone: whoever holds a part of it knows by this whether it still is the same.
    check = blake2b(b"".join(body["check"] for body in bodies), digest_size=_CHECK_BYTES).digest()
    return _narrowing(flags, settled, rows) | kinds | _written(begin, check, visits, people, pages)


def _written(begin: int, check: bytes, visits: Visits, people: People, pages: page_days.Views) -> Bodies:
    return {
        "check": check,
        "who": pack(visits.who),
        "starts": pack(visits.starts - begin),
        "twice": pack(overlapping(visits.who, visits.starts, visits.starts + visits.opens + 1)),
        "opens": pack(visits.opens),
        "visible": pack(visits.visible),
        "active": pack(visits.active),
        "numbers": pack(people.numbers),
        "names": pack_texts(people.names),
        "people": msgspec.msgpack.encode([pack(column) for column in (people.visits, people.visible, np.maximum(people.last - begin, 0))]),
        **page_days.write(pages),
    }


def read_visits(begin: int, bodies: Bodies) -> Visits:
    """Read the visits of a day or block; a column that is not there is empty. Who they are is told by `who` and `numbers`."""
    who, starts, *spans = (unpack(bodies.get(name, NOTHING)) for name in ("who", *SPANS))
    return Visits(unpack_hashes(bodies.get("numbers", NOTHING)), who, starts + begin, *spans)


def chosen(visits: Visits, which: npt.NDArray[Any]) -> Visits:
    """Choose some visits, by their places or by a mask; of columns that are there."""
    people, *columns = astuple(visits)
    return Visits(people, *(column[which] if len(column) else column for column in columns))


def joined(parts: Sequence[Visits]) -> Visits:
    """Put the visits of several days or blocks one after the other."""
    people, whose = merged([part.people for part in parts])
    who = [places[part.who] for places, part in zip(whose, parts, strict=True)]
    return Visits(people, *(np.concatenate(column) for column in (who, *zip(*(astuple(part)[2:] for part in parts), strict=True))))


def read_views(bodies: Bodies) -> page_days.Views:
    """Read the views of a day or block: `pages`, `seen` and `numbers`."""
    return page_days.read(bodies, unpack_hashes(bodies["numbers"]))


def people_in(begin: int, bodies: Bodies) -> People:
    """Read the visitors of a day or block; of one that does not count nothing but the name is there."""
    visits, visible, last = map(unpack, _read_columns(bodies["people"]))
    numbers, names = unpack_hashes(bodies["numbers"]), Texts(bodies["names"])
    return People(numbers=numbers, names=names, visits=visits, visible=visible, last=np.where(visits > 0, last + begin, 0))


def people_among(visits: Visits, bodies: Bodies) -> People:
    """Add some visits of a day or block up by visitor, whose names are in `names`; those who have none are named, too."""
    count = len(visits.people)
    last = np.zeros(count, np.int64)
    np.maximum.at(last, visits.who, visits.starts + visits.opens)
    return People(
        numbers=visits.people,
        names=Texts(bodies["names"]),
        visits=np.bincount(visits.who, minlength=count),
        visible=np.bincount(visits.who, visits.visible, count).astype(np.int64),
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
