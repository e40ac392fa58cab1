"""A period as far as it is summarised, and what it adds up to. Pure: the visits that no day has are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from msgspec.structs import astuple, replace

from stillhere.archive import page_days
from stillhere.archive.crowds import Presences, overlapping
from stillhere.archive.days import Visits, chosen, joined, people_among, people_in, people_of, read_views, read_visits, visits_of
from stillhere.archive.kinds import parts_besides, views_of_kinds
from stillhere.archive.leading import leading
from stillhere.archive.narrowing import is_narrow, kept, needed
from stillhere.archive.packing import NOTHING, Bodies, Members, Numbers, count_by_group, merged, numbers_of, unpack
from stillhere.archive.records import Asked, Stay, VisitFilter
from stillhere.archive.statistics import EDGES, Bin, Bucket, Crowd, PageTotals, Quartiles, Totals
from stillhere.archive.view_rows import read
from stillhere.archive.view_sums import views_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from stillhere.archive.records import Reading


_NEEDS: Final = {
    "totals": ("who", "numbers", "starts", "opens", "visible", "active"),
    "durations": ("starts", "visible"),
    "visitors": ("who", "numbers", "names", "starts", "opens", "visible", "active"),
    "pages": ("who", "numbers", "viewed", "views"),
    "buckets": ("who", "numbers", "starts", "visible", "active"),
    "simultaneous": ("who", "numbers", "starts", "opens", "twice"),
}

_ADDED_UP: Final = {"visitors": ("numbers", "names", "people"), "pages": ("pages", "seen", "numbers")}
"""What is there already where all visits of a period are wanted that count."""


_KINDS: Final = ("numbers", "kinds")
"""What pages need of a block in the place of views, one by one."""


def parts_for(question: str, asked: Asked, *, of_block: bool) -> Sequence[str] | None:
    """Tell which parts of a day or block answer a question; None if a filter asks for something that summaries do not know.

    Args:
        question: the name of a method of `Span`.
        asked: which visits. Summaries know all but a visitor and who was seen lately, for which there are indexes.
        of_block: which of both. Of a block there may be more: `parts_more`.
    """
    if asked.wanted.visitor is not None or asked.wanted.seen_since is not None:
        return None
    if question == "pages":
        asked = _of_all_pages(asked)
    if question in _ADDED_UP and not is_narrow(asked):
        return _ADDED_UP[question]
    needs = _KINDS if question == "pages" and of_block else _NEEDS[question]
    return tuple(dict.fromkeys((*needs, *needed(asked.wanted))))


def parts_more(asked: Asked, bodies: Bodies) -> set[str]:
    """Tell which parts of a block are needed besides, once those of `parts_for` are there."""
    return parts_besides(_of_all_pages(asked), bodies) if "kinds" in bodies else set()


def _of_all_pages(asked: Asked) -> Asked:
    """Leave a page out of a filter: who wants only visits that viewed it is told only its own views, and these are all there."""
    return replace(asked, wanted=replace(asked.wanted, page=None))


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A period, as far as it is summarised.

    Its methods are told as `rest` what was found of `Span.rest`.

    Attributes:
        bodies: the days and blocks that are, by their first instants, in order; each with the parts that are needed.
        rest: what is asked of the visits themselves: before, between and after those.
        asked: which visits.
    """

    bodies: dict[int, Bodies]
    rest: list[Asked]
    asked: Asked = Asked(wanted=VisitFilter())

    def totals(self, rest: Sequence[Sequence[Stay]]) -> Totals:
        """Add visits up."""
        found = joined(self._parts("totals", rest))
        return Totals(
            visits=len(found.starts),
            visitors=int(np.count_nonzero(np.bincount(found.who))),
            open_ms=int(found.opens.sum()),
            visible_ms=int(found.visible.sum()),
            active_ms=int(found.active.sum()),
            visible=_quartiles(np.sort(found.visible)),
        )

    def durations(self, rest: Sequence[Sequence[Stay]]) -> list[Bin]:
        """Count visits by their visible time."""
        visible = np.sort(np.concatenate([part.visible for part in self._parts("durations", rest)]))
        begins = [*np.searchsorted(visible, EDGES).tolist(), len(visible)]
        return [
            Bin(from_ms=edge, to_ms=end, visits=begins[n + 1] - begins[n])
            for n, (edge, end) in enumerate(zip(EDGES, (*EDGES[1:], None), strict=True))
        ]

    def visitors(
        self, rest: Sequence[Sequence[Stay]], sort: str, choose: Callable[[list[tuple[int, str]]], list[str]]
    ) -> tuple[list[str], list[Stay] | None]:
        """Tell which visitors are asked for, and all their visits; None for these where only what they add up to is at hand.

        Args:
            rest: see above.
            sort: `last`, `visible` or `visits`.
            choose: tells of visitors, each with the number that it is sorted by, which are wanted, in order.
        """
        stays = [stay for few in rest for stay in few]
        visits, people = list[Visits](), [people_of(stays)]
        for at, body in self.bodies.items():
            if "people" in body:
                people.append(people_in(at, body))
            else:
                visits.append(self._visits("visitors", at, body)[0])
                people.append(people_among(visits[-1], body))
        names = choose(leading(people, sort, self.asked.wanted))
        return names, _of_some(names, visits, stays) if visits else None

    def pages(self, rest: Sequence[Sequence[Reading]]) -> list[PageTotals]:
        """Add views up by page."""
        views = [views for at, body in self.bodies.items() for views in self._views(at, body)]
        found = page_days.pages(page_days.together([*views, page_days.views_of([one for few in rest for one in few])]))
        page = self.asked.wanted.page
        return found if page is None else [row for row in found if row.page == page]

    def buckets(self, rest: Sequence[Sequence[Stay]], bounds: Callable[[int | None], Sequence[tuple[int, int]]]) -> list[Bucket]:
        """Add visits up by the bucket in which they began.

        Args:
            rest: see above.
            bounds: tells of the first start, or None, where each bucket begins and ends, in order, without gaps.
        """
        parts = self._parts("buckets", rest)
        wanted = bounds(min((int(part.starts[0]) for part in parts if len(part.starts)), default=None))
        if not wanted:
            return []
        edges, count = np.array([wanted[0][0], *(end for _, end in wanted)]), len(wanted)
        begins = [np.searchsorted(part.starts, edges) for part in parts]  # all are in order of their starts
        people, whose = merged([part.people for part in parts])

        def members() -> Iterable[tuple[Numbers, Numbers, Numbers]]:
            for part, places, at in zip(parts, whose, begins, strict=True):
                yield np.arange(count), np.diff(at), places[part.who[at[0] : at[-1]]]

        visits = np.diff(np.sum(begins, axis=0))
        visitors = count_by_group(Members(members, int(visits.sum())), count, len(people))
        spans = [
            np.sum(list(map(_sums_between, begins, columns)), axis=0).tolist()
            for columns in ([part.visible for part in parts], [part.active for part in parts])
        ]
        return [
            Bucket(from_at=begin, until_at=end, visits=number, visitors=who, visible_ms=visible_ms, active_ms=active_ms)
            for (begin, end), number, who, visible_ms, active_ms in zip(wanted, visits.tolist(), visitors.tolist(), *spans, strict=True)
        ]

    def simultaneous(self, rest: Sequence[Sequence[Stay]]) -> Crowd:
        """Tell how many visitors were there at once."""
        stored = [self._visits("simultaneous", at, body) for at, body in self.bodies.items()]
        found = [(part, overlapping(part.who, part.starts, part.starts + part.opens + 1)) for part in map(visits_of, rest)]
        presences = Presences()
        for part, shared in sorted((one for one in (*stored, *found) if len(one[0].starts)), key=lambda one: int(one[0].starts[0])):
            presences.add(part.people[part.who], part.starts, part.starts + part.opens + 1, shared)
        return presences.crowd()

    def _parts(self, question: str, rest: Sequence[Sequence[Stay]]) -> list[Visits]:
        return [*(self._visits(question, at, body)[0] for at, body in self.bodies.items()), *map(visits_of, rest)]

    def _visits(self, question: str, begin: int, body: Bodies) -> tuple[Visits, Numbers]:
        """Read the visits that are wanted, as far as a question needs them, and the places of those that are told in `twice`."""
        visits = read_visits(begin, {part: body[part] for part in _NEEDS[question]})
        mine, twice = kept(self.asked, body), unpack(body.get("twice", NOTHING))
        if mine.all():
            return visits, twice
        places = np.cumsum(mine) - 1
        return chosen(visits, np.flatnonzero(mine)), places[twice[mine[twice]]]

    def _views(self, begin: int, body: Bodies) -> list[page_days.Views]:
        """Add up the views of the visits that are wanted."""
        if "seen" in body:
            return [read_views(body)]
        asked, visits = _of_all_pages(self.asked), read_visits(begin, body)
        if "kinds" in body:
            return views_of_kinds(begin, asked, body, visits)
        return [views_in(begin, read(body["viewed"], body["views"]), kept(asked, body), visits)]


def _of_some(names: Sequence[str], parts: Sequence[Visits], stays: Sequence[Stay]) -> list[Stay]:
    """Find all visits of some visitors."""
    numbers, known = numbers_of(names), set(names)
    name_of = dict(zip(numbers.tolist(), names, strict=True))
    found = [stay for stay in stays if stay[0] in known]
    for visits in parts:
        mine = chosen(visits, np.isin(visits.people, numbers)[visits.who])
        rows = zip(mine.people[mine.who].tolist(), *(column.tolist() for column in astuple(mine)[2:]), strict=True)
        found += [Stay(name_of[one], start, start + span, *more) for one, start, span, *more in rows]
    return found


def _sums_between(begins: Numbers, column: Numbers) -> Numbers:
    """Add up what lies from each place to the next."""
    sums: Numbers = np.diff(np.append(0, np.cumsum(column))[begins])
    return sums


def _quartiles(ordered: Numbers) -> Quartiles:
    """As `statistics.quartiles`, of sorted whole numbers."""
    found = []
    for quarter in (1, 2, 3):
        rank, rest = divmod(max(0, len(ordered) - 1) * quarter, 4)
        low, high = (int(ordered[min(at, len(ordered) - 1)]) if len(ordered) else 0 for at in (rank, rank + 1))
        found.append(round((low * (4 - rest) + high * rest) / 4))
    return Quartiles(q1=found[0], median=found[1], q3=found[2])
