"""Sums and quartiles, worked out by hand or by the standard library."""

from __future__ import annotations

import statistics as standard

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.archive.cursor import read_named_cursor
from stillhere.archive.records import Reading, Stay
from stillhere.archive.statistics import EDGES, Point, durations, pages, quartiles, simultaneous, totals, visitors


def stay(subject: str, begin: int, end: int, visible: int = 0) -> Stay:
    """Make a visit up."""
    return Stay(subject, begin, end, visible, 0)


@given(values=st.lists(st.integers(0, 10**9), min_size=2))
def test_quartiles_are_those_of_the_standard_library(values: list[int]) -> None:
    """Linear interpolation between the closest ranks, as `statistics.quantiles` with `inclusive` says, rounded to the millisecond."""
    found = quartiles(values)
    assert [found.q1, found.median, found.q3] == [round(value) for value in standard.quantiles(values, method="inclusive")]


def test_quartiles_of_one_and_of_none() -> None:
    """One value is all of its quartiles; of nothing they are 0."""
    one, none = quartiles([7.25]), quartiles([])
    assert (one.q1, one.median, one.q3) == (7.2, 7.2, 7.2)
    assert (none.q1, none.median, none.q3) == (0, 0, 0)


def test_bins_hold_their_lower_edge() -> None:
    """A visit on an edge is in the bin that begins there, and none is lost."""
    visible = [value for edge in EDGES for value in (edge, edge + 1)] + [9_999, 10**12]
    found = durations(stay("a", 0, 0, span) for span in visible)
    assert [(one.from_ms, one.to_ms) for one in found] == [*zip(EDGES, (*EDGES[1:], None), strict=True)]
    assert [one.visits for one in found] == [3, 2, 2, 2, 2, 2, 2, 3]


def test_simultaneous_visitors_step_by_step() -> None:
    """A visitor with two visits open at once is one; who goes at the instant at which another comes was there with them."""
    crowd = simultaneous([stay("a", 0, 10), stay("a", 5, 20), stay("b", 20, 30), stay("c", 40, 40)])
    assert [(point.at, point.visitors) for point in crowd.points] == [(0, 1), (20, 2), (21, 1), (31, 0), (40, 1), (41, 0)]
    assert crowd.peak == Point(at=20, visitors=2)


@given(
    stays=st.lists(
        st.builds(stay, st.sampled_from("abc"), st.integers(0, 300), st.integers(0, 60)).map(
            lambda one: stay(one[0], one[1], one[1] + one[2])
        )
    ),
    most=st.integers(2, 12),
)
def test_the_peak_is_exact_however_few_points_are_drawn(stays: list[Stay], most: int) -> None:
    """Counted instant by instant it is the same, and the drawn points reach it."""
    crowd = simultaneous(stays, most=most)
    counts = [len({one[0] for one in stays if one[1] <= at <= one[2]}) for at in range(400)]
    assert (crowd.peak.visitors if crowd.peak else 0) == max(counts)
    assert max((point.visitors for point in crowd.points), default=0) == max(counts)
    assert len(crowd.points) <= most
    assert all(counts[point.at] == point.visitors for point in crowd.points)


def test_nobody_is_drawn_at_night() -> None:
    """However few points are drawn of many days, between the last visit of a day and the first of the next nobody is there."""
    hour = 3_600_000
    stays = [stay("a", day * 24 * hour + n * hour, day * 24 * hour + n * hour + 60_000) for day in range(30) for n in range(9)]
    points = simultaneous(stays, most=200).points
    assert len(points) <= 200
    nights = [day * 24 * hour + 16 * hour for day in range(29)]
    assert [[point.visitors for point in points if point.at <= night][-1] for night in nights] == [0] * 29


def test_a_visitor_with_ten_thousand_visits() -> None:
    """Sums and median of one who comes all the time."""
    (row,) = visitors(Stay("a", n * 1_000, n * 1_000 + 500, n, 1) for n in range(10_000))
    assert (row.visits, row.open_ms, row.visible_ms, row.active_ms) == (10_000, 5_000_000, 49_995_000, 10_000)
    assert (row.first_at, row.last_at, row.median_visible_ms, row.total_minutes) == (0, 9_999_500, round(4_999.5), 83)


def test_a_visit_of_three_days() -> None:
    """Its open span is three days, in totals and minutes."""
    three_days = 3 * 86_400_000
    assert totals([stay("a", 5, 5 + three_days, 9)]).open_ms == three_days
    (row,) = visitors([stay("a", 5, 5 + three_days)])
    assert row.total_minutes == 3 * 24 * 60


def test_pages_add_up_over_views() -> None:
    """Sums of the views, the latest visit's title, not an old tab's, people once, heat by twentieth; a view without a page is no page's."""
    heat = ".".join(["2", "1", *["0"] * 18])
    found = pages(
        [
            Reading("/a", "Old", "x", 1, 9, 3_000, 10, 20.0, heat),
            Reading("/a", "New", "x", 2, 3, 1_000, 20, 40.0, None),
            Reading("/a", None, "y", 2, 3, 6_000, 30, 60.5, heat),
            Reading("/b", None, "y", 2, 3, 5, 5, 5.0, None),
            Reading(None, None, "y", 2, 3, 5, 5, 5.0, heat),
        ]
    )
    first, second = found
    assert (first.page, first.title, first.views, first.visitors) == ("/a", "New", 3, 2)
    assert (first.visible.q1, first.visible.median, first.visible.q3, first.visible.sum) == (2_000, 3_000, 4_500, 10_000)
    assert (first.active.median, first.active.sum, first.scroll.median, first.scroll.q3) == (20, 60, 40.0, 50.2)
    assert first.heat == [4_000, 2_000, *[0] * 18]
    assert (second.page, second.title, second.heat) == ("/b", None, None)


@pytest.mark.parametrize("page", ["/a", "/", "/%C3%BC/\N{SNOWMAN}", "/a.b.c"])
def test_a_list_of_pages_goes_on_after_the_page_that_gave_the_cursor(page: str) -> None:
    """A page's cursor is its visible time and its path, whatever signs are in the path."""
    (found,) = pages([Reading(page, None, "x", 1, 1, 3_000, 10, 20.0, None), Reading(page, None, "y", 2, 2, 4_000, 10, 20.0, None)])
    assert read_named_cursor(found.cursor, "pages") == (7_000, page)
