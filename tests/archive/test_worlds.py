"""Whatever visits there are and whichever are wanted: days, blocks and visits that no day has add up to what all visits do."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.archive import statistics
from stillhere.archive.cursor import named_cursor
from stillhere.archive.zones import Unit, bounds, read_zone
from stillhere.stores.sql.days import DAY_MS
from tests.archive.worlds import World, world

if TYPE_CHECKING:
    from stillhere.archive.packing import Bodies
    from stillhere.archive.statistics import PageTotals

WHERE = read_zone("Europe/Berlin")

UNITS: tuple[Unit, ...] = ("hour", "day", "week")

NEAR = 0.01563
"""Half of a bin that is 1/32 wide; besides, both sides round to whole milliseconds."""


def made(seed: int) -> tuple[World, dict[int, Bodies]]:
    """Make up a world and summarise it."""
    draw = random.Random(seed)  # noqa: S311  # to be the same for the same seed
    one = world(draw)
    return one, one.kept(draw)


@given(seed=st.integers(0, 2**32))
def test_visits_add_up(seed: int) -> None:
    """Totals, durations, buckets and the curve of who was there at once are the very same."""
    one, kept = made(seed)
    visits, rest = one.stays(), one.rest_of_stays()
    assert one.span(kept, "totals").totals(rest) == statistics.totals(visits)
    assert one.span(kept, "durations").durations(rest) == statistics.durations(visits)
    assert one.span(kept, "simultaneous").simultaneous(rest) == statistics.simultaneous(visits)
    for unit in UNITS:

        def calendar(first: int | None, unit: Unit = unit) -> list[tuple[int, int]]:
            return bounds(unit, WHERE, one.begin if first is None else first, one.begin + 7 * DAY_MS)

        assert one.span(kept, "buckets").buckets(rest, calendar) == statistics.buckets(visits, calendar)


@given(seed=st.integers(0, 2**32))
def test_visitors_are_listed_page_by_page(seed: int) -> None:
    """In every order, from any place on, as many as are asked for: the same visitors, with the same totals where these are told."""
    one, kept = made(seed)
    totals = {row.visitor: row for row in statistics.visitors(one.stays())}
    for sort, number in (("last", "last_at"), ("visible", "visible_ms"), ("visits", "visits")):
        ordered = sorted((-getattr(row, number), name) for name, row in totals.items())
        for before in (None, *ordered):
            after = [name for value, name in ordered if before is None or (value, name) > before][: one.wanted.limit]

            def choose(told: list[tuple[int, str]], before: tuple[int, str] | None = before) -> list[str]:
                rows = sorted((-value, name) for value, name in told)
                return [name for value, name in rows if before is None or (value, name) > before][: one.wanted.limit]

            span = one.span(kept, "visitors", before=before and named_cursor(-before[0], before[1], sort))
            names, stays = span.visitors(one.rest_of_stays(), sort, choose)
            assert names == after
            if stays is not None:
                assert {row.visitor: row for row in statistics.visitors(stays)} == {name: totals[name] for name in names}


@given(seed=st.integers(0, 2**32))
def test_pages_add_up(seed: int) -> None:
    """Titles, views, visitors, sums and heat are the very same, and quartiles are near."""
    one, kept = made(seed)
    told = {row.page: row for row in one.span(kept, "pages").pages(one.rest_of_readings())}
    true = {row.page: row for row in statistics.pages(one.readings())}
    assert told.keys() == true.keys()
    for page, row in told.items():
        same(row, true[page])


def same(told: PageTotals, true: PageTotals) -> None:
    """Compare two rows."""
    for name in ("title", "views", "visitors", "heat"):
        assert getattr(told, name) == getattr(true, name)
    for part in ("visible", "active"):
        one, other = getattr(told, part), getattr(true, part)
        assert one.sum == other.sum
        for name in ("q1", "median", "q3"):
            assert abs(getattr(one, name) - getattr(other, name)) <= 1 + NEAR * getattr(other, name)
    one, other = told.scroll, true.scroll
    assert (one.q1, one.median, one.q3) == pytest.approx((other.q1, other.median, other.q3), abs=0.6)
