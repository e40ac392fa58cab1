"""Sums and quartiles of visits and views. Pure. Instants are milliseconds since 1970, spans are milliseconds.

Time is a person's where visitors are told of: the union over their tabs, as each visit has it. It is a page's where pages are: the sum
over its views.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.archive.cursor import named_cursor
from stillhere.archive.records import VisitorTotals
from stillhere.core.heat import read_heat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from stillhere.archive.records import Reading, Stay

EDGES: Final = (0, 10_000, 30_000, 60_000, 180_000, 600_000, 1_800_000, 3_600_000)
"""Where the bins of the histogram of durations begin, by visible time; the last has no end."""

MOST_POINTS: Final = 300
"""Points of the curve of simultaneous visitors."""

_MINUTE_MS: Final = 60_000


class Quartiles(msgspec.Struct, frozen=True, kw_only=True):
    """Quartiles by linear interpolation between the closest ranks, as `statistics.quantiles(method="inclusive")`; 0 of nothing."""

    q1: float
    median: float
    q3: float


class Spread(Quartiles, frozen=True, kw_only=True):
    """Quartiles, and the sum."""

    sum: int


class Totals(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Visits, added up.

    Attributes:
        visits: how many.
        visitors: of how many people.
        open_ms, visible_ms, active_ms: sums.
        visible: quartiles of visible time.
    """

    visits: int
    visitors: int
    open_ms: int
    visible_ms: int
    active_ms: int
    visible: Quartiles

    @property
    def median_visible_ms(self) -> int:
        """The median of visible time."""
        return round(self.visible.median)


class PageTotals(msgspec.Struct, frozen=True, kw_only=True):
    """All views of one page, added up.

    Attributes:
        page: path of the page.
        title: what it was called last in the latest visit that told, or None.
        views: how many.
        visitors: of how many people.
        visible, active: quartiles and sums over the views.
        scroll: quartiles of the deepest point seen, in per cent.
        heat: how long each twentieth was on screen, or None where no view measured it.
    """

    page: str
    title: str | None
    views: int
    visitors: int
    visible: Spread
    active: Spread
    scroll: Quartiles
    heat: list[int] | None

    @property
    def cursor(self) -> str:
        """Where a list of pages goes on after this one."""
        return named_cursor(self.visible.sum, self.page, "pages")


class Bucket(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The visits that began in one bucket of the calendar."""

    from_at: int
    until_at: int
    visits: int
    visitors: int
    visible_ms: int
    active_ms: int


class Bin(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Visits with at least `from_ms` and less than `to_ms` of visible time; None is without end."""

    from_ms: int
    to_ms: int | None
    visits: int


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """How many visitors were there at once."""

    at: int
    visitors: int


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """Simultaneous visitors over time.

    Attributes:
        points: steps; each holds until the next. Of many steps, the highest and the last of each stretch are told.
        peak: the highest, exactly, and when it was first reached; None where there was nobody.
    """

    points: list[Point]
    peak: Point | None


def quartiles(values: Iterable[float]) -> Quartiles:
    """Tell the quartiles of numbers; whole ones are rounded to whole ones."""
    ordered = sorted(values)
    first, second, third = (_quartile(ordered, part) for part in (1, 2, 3))
    return Quartiles(q1=first, median=second, q3=third)


def _quartile(ordered: Sequence[float], part: int) -> float:
    if not ordered:
        return 0
    rank, quarters = divmod((len(ordered) - 1) * part, 4)
    low = ordered[rank]
    high = ordered[rank + 1] if quarters else low
    weighed = low * (4 - quarters) + high * quarters
    return round(weighed / 4) if isinstance(weighed, int) else round(weighed / 4, 1)


def spread(values: Sequence[int]) -> Spread:
    """Tell quartiles and sum."""
    found = quartiles(values)
    return Spread(q1=found.q1, median=found.median, q3=found.q3, sum=sum(values))


def totals(stays: Sequence[Stay]) -> Totals:
    """Add visits up."""
    visible = [stay[3] for stay in stays]
    return Totals(
        visits=len(stays),
        visitors=len({stay[0] for stay in stays}),
        open_ms=sum(stay[2] - stay[1] for stay in stays),
        visible_ms=sum(visible),
        active_ms=sum(stay[4] for stay in stays),
        visible=quartiles(visible),
    )


def visitors(stays: Iterable[Stay]) -> list[VisitorTotals]:
    """Add visits up by visitor, in any order."""
    by_visitor: defaultdict[str, list[Stay]] = defaultdict(list)
    for stay in stays:
        by_visitor[stay[0]].append(stay)
    return [_visitor(subject, theirs) for subject, theirs in by_visitor.items()]


def _visitor(subject: str, stays: Sequence[Stay]) -> VisitorTotals:
    open_ms = sum(stay[2] - stay[1] for stay in stays)
    visible = [stay[3] for stay in stays]
    return VisitorTotals(
        visitor=subject,
        visits=len(stays),
        open_ms=open_ms,
        visible_ms=sum(visible),
        active_ms=sum(stay[4] for stay in stays),
        first_at=min(stay[1] for stay in stays),
        last_at=max(stay[2] for stay in stays),
        median_visible_ms=round(_quartile(sorted(visible), 2)),
        total_minutes=round(open_ms / _MINUTE_MS),
    )


def pages(readings: Iterable[Reading]) -> list[PageTotals]:
    """Add views up by page, in any order. Views that name no page are left out."""
    by_page: defaultdict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        if reading[0] is not None:
            by_page[reading[0]].append(reading)
    return [_page(page, theirs) for page, theirs in by_page.items()]


def _page(page: str, readings: Sequence[Reading]) -> PageTotals:
    titled = [(reading[3], reading[4], reading[1]) for reading in readings if reading[1] is not None]
    return PageTotals(
        page=page,
        title=max(titled)[2] if titled else None,
        views=len(readings),
        visitors=len({reading[2] for reading in readings}),
        visible=spread([reading[5] for reading in readings]),
        active=spread([reading[6] for reading in readings]),
        scroll=quartiles([float(reading[7]) for reading in readings]),
        heat=_heat(readings),
    )


def _heat(readings: Sequence[Reading]) -> list[int] | None:
    measured = [heat for reading in readings if reading[8] is not None and (heat := read_heat(reading[8], reading[5]))]
    return [sum(part) for part in zip(*measured, strict=True)] if measured else None


def durations(stays: Iterable[Stay]) -> list[Bin]:
    """Count visits by their visible time."""
    counts = [0] * len(EDGES)
    for stay in stays:
        counts[sum(edge <= stay[3] for edge in EDGES) - 1] += 1
    return [Bin(from_ms=edge, to_ms=end, visits=count) for edge, end, count in zip(EDGES, (*EDGES[1:], None), counts, strict=True)]


def buckets(stays: Sequence[Stay], bounds: Callable[[int | None], Sequence[tuple[int, int]]]) -> list[Bucket]:
    """Add visits up by the bucket in which they began.

    Args:
        stays: the visits, in any order.
        bounds: tells of the first start, or None, where each bucket begins and ends, in order, without gaps.
    """
    wanted = bounds(min((stay[1] for stay in stays), default=None))
    begins = [begin for begin, _ in wanted]
    found: list[list[Stay]] = [[] for _ in wanted]
    for stay in stays:
        n = bisect_right(begins, stay[1]) - 1
        if n >= 0 and stay[1] < wanted[n][1]:
            found[n].append(stay)
    return [
        Bucket(
            from_at=begin,
            until_at=end,
            visits=len(few),
            visitors=len({stay[0] for stay in few}),
            visible_ms=sum(stay[3] for stay in few),
            active_ms=sum(stay[4] for stay in few),
        )
        for (begin, end), few in zip(wanted, found, strict=True)
    ]


def simultaneous(stays: Iterable[Stay], *, most: int = MOST_POINTS) -> Crowd:
    """Tell how many visitors were there at once, over time. Who has two visits open at once is one visitor.

    Args:
        stays: the visits, in any order; somebody is there from the start of one to its end, both included.
        most: of points, at most so many.
    """
    edges: list[int] = []  # twice an instant, and one more where somebody comes: at one instant all who go are first
    until: dict[str, int] = {}
    for stay in sorted(stays, key=itemgetter(1)):
        visitor, begin, end = stay[0], stay[1], stay[2] + 1  # the last millisecond is included
        before = until.get(visitor)
        if before is None or before < begin:
            edges.append(2 * begin + 1)
            if before is not None:
                edges.append(2 * before)
            until[visitor] = end
        elif before < end:
            until[visitor] = end
    edges += [2 * end for end in until.values()]
    edges.sort()
    steps = _steps(edges)
    peak = max(steps, key=itemgetter(1), default=None)
    return Crowd(
        points=[Point(at=at, visitors=count) for at, count in _thinned(steps, most)],
        peak=None if peak is None else Point(at=peak[0], visitors=peak[1]),
    )


def until(now: int, crowd: Crowd) -> Crowd:
    """End a curve now: of later nothing is known, and who is here is here until now.

    Args:
        now: milliseconds since 1970.
        crowd: in which visits that go on end now.
    """
    points = [point for point in crowd.points if point.at <= now]
    if points and points[-1].visitors and points[-1].at < now:
        points.append(Point(at=now, visitors=points[-1].visitors))
    return Crowd(points=points, peak=crowd.peak)


def _steps(edges: list[int]) -> list[tuple[int, int]]:
    """Count along sorted edges; one step for each instant, with the count after it."""
    counts = accumulate([1 if edge & 1 else -1 for edge in edges])
    return [(edge >> 1, count) for edge, after, count in zip(edges, [*edges[1:], -2], counts, strict=False) if edge >> 1 != after >> 1]


def _thinned(steps: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Keep the highest step of each stretch, and its last, which holds until there is another."""
    if len(steps) <= most:
        return [step for n, step in enumerate(steps) if n == 0 or steps[n - 1][1] != step[1]]
    first, last = steps[0][0], steps[-1][0]
    each = (last - first) // (most // 2) + 1
    edges = [bisect_left(steps, (first + each * n,)) for n in range(most // 2 + 1)]
    kept = [(max(steps[begin:end], key=itemgetter(1)), steps[end - 1]) for begin, end in pairwise(edges) if begin < end]
    return [step for pair in kept for step in dict.fromkeys(pair)]
