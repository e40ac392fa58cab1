"""Made-up visits of a few days, and which of them are wanted: what the tests compare, added up by days and by visits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec.structs import replace

from stillhere.archive.days import block, summarise
from stillhere.archive.records import Asked, DayView, DayVisit, Reading, Stay, VisitFilter
from stillhere.archive.summaries import Span, parts_for, parts_more
from stillhere.stores.sql.days import DAY_MS

if TYPE_CHECKING:
    import random

    from stillhere.archive.packing import Bodies

BEGINS: Final = (20_000 * DAY_MS, 1_743_120_000_000)
"""First instants of days; the second is two days before a day of 23 hours in Europe."""

PIECES: Final = ([1] * 6, [6], [2, 2, 2], [1, 0, 2, 0, 1], [0, 1, 4], [3, 0, 0, 1], [0, 0, 3, 1], [0] * 6)
"""How six days are kept: 0 is a day of which there is no summary, 1 one that has its own, more are a block."""

LOST_MS: Final = 2_000

LONGEST_MS: Final = 400 * DAY_MS
"""The longest that a policy allows."""


class World(NamedTuple):
    """Visits, their views, and a filter.

    Attributes:
        begin: first instant of the first day.
        visits: in any order.
        views: with the places of their visits.
        pieces: see `PIECES`.
        wanted: the filter.
    """

    begin: int
    visits: list[DayVisit]
    views: list[DayView]
    pieces: list[int]
    wanted: VisitFilter

    @property
    def asked(self) -> Asked:
        """The filter, with what it needs besides."""
        return Asked(wanted=self.wanted, internal=("x",), beat_interval=LOST_MS // 2)

    def stays(self) -> list[Stay]:
        """All visits that are wanted."""
        return [self._stay(n) for n in range(len(self.visits)) if self._is_wanted(n)]

    def readings(self) -> list[Reading]:
        """All views that are wanted."""
        return [self._reading(view) for view in self.views if self._is_wanted(view.visit) and self.wanted.page in {None, view.page}]

    def rest_of_stays(self) -> list[list[Stay]]:
        """Those of days that have no summary."""
        return [[stay for stay in self.stays() if begin <= stay.started_at < end] for begin, end in self._rest()]

    def rest_of_readings(self) -> list[list[Reading]]:
        """Those of days that have no summary."""
        return [[one for one in self.readings() if begin <= one.started_at < end] for begin, end in self._rest()]

    def kept(self, draw: random.Random) -> dict[int, Bodies]:
        """Summarise days and put blocks together."""
        kept, day = dict[int, "Bodies"](), self.begin
        for piece in self.pieces:
            begins = range(day, day + max(piece, 1) * DAY_MS, DAY_MS)
            made = {begin: self._summarised(begin, draw) for begin in begins}
            if piece:
                kept[day] = made[day] if piece == 1 else block(day, made) or {}
            day = begins.stop
        return kept

    def span(self, kept: dict[int, Bodies], question: str, **other: Any) -> Span:
        """Give of them what a question needs.

        Args:
            kept: all of them.
            question: name of a method.
            other: what is another in the filter.
        """
        asked = replace(self.asked, wanted=replace(self.wanted, **other))
        return Span(bodies={at: answering(question, asked, body) for at, body in kept.items()}, rest=[], asked=asked)

    def _rest(self) -> list[tuple[int, int]]:
        days, day = list[tuple[int, int]](), self.begin
        for piece in self.pieces:
            if not piece:
                days.append((day, day + DAY_MS))
            day += max(piece, 1) * DAY_MS
        return days

    def _summarised(self, begin: int, draw: random.Random) -> Bodies:
        mine = [n for n, visit in enumerate(self.visits) if begin <= visit.started_at < begin + DAY_MS]
        draw.shuffle(mine)
        views = [view._replace(visit=mine.index(view.visit)) for view in self.views if view.visit in mine]
        draw.shuffle(views)
        made = summarise(begin, [self.visits[n] for n in mine], views)
        assert made is not None
        return made

    def _stay(self, n: int) -> Stay:
        return Stay(*self.visits[n][:5])

    def _reading(self, view: DayView) -> Reading:
        visit = self.visits[view.visit]
        return Reading(view.page, view.title, visit.subject, visit.started_at, *view[3:])

    def _is_wanted(self, n: int) -> bool:
        visit, wanted = self.visits[n], self.wanted
        return (
            (wanted.internal or not visit.internal)
            and (wanted.excluded or not visit.excluded)
            and wanted.verified in {None, visit.verified}
            and (wanted.min_visible_ms or 0) <= visit.visible_ms <= (wanted.max_visible_ms or visit.visible_ms)
            and (not wanted.ended_by or ("lost" if visit.silent_ms > LOST_MS else visit.ended_by) in wanted.ended_by)
            and (wanted.page is None or any(view.visit == n and view.page == wanted.page for view in self.views))
        )


def answering(question: str, asked: Asked, body: Bodies) -> Bodies:
    """Give of a day or block the parts that answer a question, and no more."""
    found = {part: body[part] for part in parts_for(question, asked, of_block="kinds" in body) or ()}
    return found | {part: body[part] for part in parts_more(asked, found)}


def world(draw: random.Random) -> World:
    """Make up a world: over midnights, at equal instants, with spans of every size, titles that change and heat that lies."""
    begin, names = draw.choice(BEGINS), [f"v{n}" for n in range(draw.choice([1, 3, 30]))]
    visits = [_visit(draw, begin, draw.choice(names)) for _ in range(draw.choice([0, 1, 2, 5, 40]))]
    views = [_view(draw, n, visit.started_at) for n, visit in enumerate(visits) for _ in range(draw.choice([0, 1, 1, 2, 3]))]
    wanted = VisitFilter(
        page=draw.choice([None, None, None, "/a", "/none"]),
        min_visible_ms=draw.choice([None, None, 5]),
        max_visible_ms=draw.choice([None, None, 10, 1_000_000]),
        ended_by=draw.choice([(), (), ("leave",), ("lost", "idle")]),
        internal=draw.random() < 0.3,
        excluded=draw.random() < 0.3,
        verified=draw.choice([None, None, True, False]),
        limit=draw.choice([0, 1, 2, 7, 1_000]),
    )
    return World(begin, visits, views, draw.choice(PIECES), wanted)


def _visit(draw: random.Random, begin: int, subject: str) -> DayVisit:
    at = begin + draw.choice([0, 0, 1, 2, 3, 5]) * DAY_MS + draw.choice([0, DAY_MS - 1, draw.randrange(DAY_MS), draw.randrange(3)])
    opened = draw.choice([0, 1, draw.randrange(10**6), draw.randrange(4 * DAY_MS)])
    visible = min(opened, draw.choice([5, 5, 10, _span(draw)]))
    return DayVisit(
        subject, at, at + opened, visible, visible // 2, draw.random() < 0.1, draw.random() < 0.1, draw.random() < 0.5,
        draw.choice(["leave", "lost", "idle"]), draw.choice([0, 0, LOST_MS, LOST_MS + 1]),
    )  # fmt: skip


def _view(draw: random.Random, visit: int, started_at: int) -> DayView:
    page = draw.choice(["/a", "/b", "/c", f"/{draw.randrange(50)}"])
    seconds = ["0", "0", "1", "a"] if draw.random() < 0.9 else ["0", "1", "zz", "3yx", "zzzzz"]
    heat = draw.choice([None, ".".join(draw.choice(seconds) for _ in range(20))])
    heard_at, visible = started_at + draw.choice([-5, 0, 0, 5, DAY_MS]), _span(draw)
    return DayView(visit, page, draw.choice([None, "A", "B", ""]), heard_at, visible, visible // 3, draw.random() * 100, heat)


def _span(draw: random.Random) -> int:
    return draw.choice(
        [0, draw.randrange(64), draw.randrange(1_000), draw.randrange(70_000), draw.randrange(2**26), draw.randrange(LONGEST_MS)]
    )
