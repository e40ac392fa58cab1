"""Numbers, pages and visits as they are kept for summarised days, read back and added up."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from stillhere.archive import days, packing, page_days, rollup, statistics, view_rows
from stillhere.archive.crowds import Presences
from stillhere.archive.cursor import named_cursor
from stillhere.archive.days import ALWAYS, PARTS, block, people_of, read_visits, summarise
from stillhere.archive.packing import (
    NOTHING,
    Bodies,
    Members,
    Texts,
    count_by_group,
    distinct_by_group,
    numbers_of,
    pack,
    pack_texts,
    unpack,
    unpack_hashes,
)
from stillhere.archive.records import Asked, DayView, DayVisit, Reading, Stay, VisitFilter
from stillhere.archive.summaries import Span
from stillhere.archive.zones import bounds, read_zone
from stillhere.core.heat import read_heat
from stillhere.stores.sql.days import DAY_MS
from tests.archive.worlds import answering

if TYPE_CHECKING:
    from stillhere.archive.statistics import PageTotals

HEAT = ".".join(["1"] * 20)

WHERE = read_zone("Europe/Berlin")


def reading(at: int, *, title: str | None = None, heat: str | None = None) -> Reading:
    """Make a view of one page up."""
    return Reading("/a", title, "reader@fund.example", at, at, 1_000, 100, 50.0, heat)


def test_numbers_are_kept_with_the_lowest_byte_first() -> None:
    """What one machine keeps, another can read, for the order of bytes is fixed; the largest number decides how many each has."""
    assert pack(np.array([1, 258])) == b"\x01\x00\x02\x01\x02"
    assert unpack(b"\x01\x00\x02\x01\x02").tolist() == [1, 258]
    assert pack(np.zeros(0, np.int64)) == NOTHING
    assert unpack(NOTHING).tolist() == []
    for largest, width in ((0, 1), (255, 1), (256, 2), (65_535, 2), (65_536, 4), (2**32 - 1, 4), (2**32, 8), (2**63 - 1, 8)):
        body = pack(np.array([0, largest]))
        assert (len(body), unpack(body).tolist()) == (2 * width + 1, [0, largest])
    hashes = np.array([2**64 - 1, 0], np.uint64)
    assert unpack_hashes(pack(hashes)).tolist() == hashes.tolist()


@given(texts=st.lists(st.text(st.characters(codec="utf-8"))))
def test_texts_are_read_one_by_one(texts: list[str]) -> None:
    """Whatever letters they are of, and empty ones, too."""
    found = Texts(pack_texts(texts))
    assert [found[n] for n in range(len(found))] == list(found) == texts


@given(rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6))))
def test_people_are_counted_once_in_each_group(rows: list[tuple[int, int]]) -> None:
    """However often they came, and whatever order they came in."""
    groups, who = np.array(rows, np.int64).reshape(-1, 2).T
    ones = np.ones_like(who)
    for most in (7, 1_000):  # there is room for each that could be, and there is not
        pieces = Members(lambda: [(groups[:2], ones[:2], who[:2]), (groups[2:], ones[2:], who[2:])], len(who))
        assert count_by_group(pieces, 5, most).tolist() == [len({one for group, one in rows if group == n}) for n in range(5)]
        found, seen = distinct_by_group(pieces, 5, most)
        assert [*zip(found.tolist(), seen.tolist(), strict=True)] == sorted(set(rows))


def test_a_negative_number_is_not_written_as_another() -> None:
    """The error says which."""
    with pytest.raises(OverflowError, match="-1 is negative"):
        pack(np.array([5, -1]))


def test_too_many_pages_and_equal_hashes_are_not_summarised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a day nor a block: such answers are read from the visits."""
    visits, views = [DayVisit("a", 5, 6, 1, 1), DayVisit("b", 5, 6, 1, 1)], [DayView(0, "/a", None, 1, 1, 1, 0.0, None)]
    one, other = summarise(0, visits, views) or {}, summarise(DAY_MS, [], []) or {}
    monkeypatch.setattr(days, "MOST_PAGES", 0)
    assert summarise(0, visits, views) is None
    assert block(0, {0: one, DAY_MS: other}) is None
    monkeypatch.undo()
    assert block(0, {0: one, DAY_MS: other}) is not None
    monkeypatch.setattr(packing, "number_of", lambda _: 7)
    assert summarise(0, visits, views) is None
    alike = {name: summarise(0, [DayVisit(name, 5, 6, 1, 1)], []) or {} for name in "ab"}
    assert block(0, {0: alike["a"], 1: alike["b"]}) is None


def both_ways(*days_of: list[Reading]) -> tuple[PageTotals, PageTotals]:
    """Add the page of some days up: day by day, and view by view."""
    views = [page_days.views_of(day) for day in days_of]
    kept = [page_days.read(page_days.write(day), day.people) for day in views[:-1]]
    (by_day,) = page_days.pages(page_days.together([*kept, views[-1]]))
    (by_view,) = statistics.pages([one for day in days_of for one in day])
    return by_day, by_view


def test_a_page_that_never_said_its_title_has_none() -> None:
    """Nor has it a heat map if no view measured one; its views are counted all the same."""
    by_day, by_view = both_ways([reading(1)], [reading(2)], [reading(3)])
    assert (by_day.title, by_day.heat, by_day.views, by_day.visitors) == (None, None, 3, 1)
    assert (by_view.title, by_view.heat, by_view.views, by_view.visitors) == (None, None, 3, 1)


def test_a_day_without_title_and_heat_takes_neither_away() -> None:
    """The title heard last stays although later days say none, and what one day measured is not lost."""
    by_day, by_view = both_ways([reading(1, title="Old", heat=HEAT)], [reading(2, title="New")], [reading(3)])
    assert by_day.title == by_view.title == "New"
    assert by_day.heat == by_view.heat
    assert by_day.heat is not None


def test_a_title_heard_at_the_first_instant_is_one() -> None:
    """A title from 1970 is told, and days that say none do not get in its way."""
    by_day, by_view = both_ways([reading(0, title="Old")], [reading(1)], [reading(2)])
    assert by_day.title == by_view.title == "Old"


stays = st.lists(
    st.builds(
        lambda name, begin, span, visible: Stay(name, begin, begin + span, min(visible, span), min(visible, span) // 2),
        st.sampled_from("abcd"),
        st.integers(0, 4 * DAY_MS - 1) | st.sampled_from([0, DAY_MS - 1, DAY_MS, 2 * DAY_MS]),
        st.sampled_from([0, 1, 60_000, DAY_MS, 3 * DAY_MS]) | st.integers(0, 3_600_000),
        st.integers(0, 2 * DAY_MS),
    ),
    max_size=40,
)


def summarised(visits: list[Stay], pieces: list[int]) -> tuple[Span, list[list[Stay]]]:
    """Summarise four days: 1 is a day, 2 two days in a block, 0 a day whose visits are not summarised."""
    bodies, rest, day = dict[int, Bodies](), list[list[Stay]](), 0
    for piece in pieces:
        within = {n * DAY_MS: [one for one in visits if n * DAY_MS <= one[1] < (n + 1) * DAY_MS] for n in range(day, day + max(piece, 1))}
        made = {begin: summarise(begin, [DayVisit(*one) for one in few], []) or {} for begin, few in within.items()}
        if piece:
            begin = day * DAY_MS
            bodies[begin] = made[begin] if piece == 1 else block(begin, made) or {}
        else:
            rest += within.values()
        day += max(piece, 1)
    asked = Asked(wanted=VisitFilter())
    return Span(bodies=bodies, rest=[asked] * len(rest)), rest


@given(visits=stays, pieces=st.sampled_from([[1, 1, 1, 1], [2, 2], [1, 2, 1], [0, 2, 0], [0, 0, 1, 0], [2, 0, 1]]))
def test_days_and_blocks_add_up_to_what_visits_do(visits: list[Stay], pieces: list[int]) -> None:
    """However a period falls into days, blocks and visits that no day has, whoever stays over midnights or has two visits open at once."""
    span, rest = summarised(visits, pieces)

    def calendar(first: int | None) -> list[tuple[int, int]]:
        return bounds("hour", WHERE, first or 0, 4 * DAY_MS)

    assert span.totals(rest) == statistics.totals(visits)
    assert span.durations(rest) == statistics.durations(visits)
    assert span.buckets(rest, calendar) == statistics.buckets(visits, calendar)
    assert span.simultaneous(rest) == statistics.simultaneous(visits)
    assert span.buckets(rest, lambda _: []) == []
    by_visitor = {row.visitor: row for row in statistics.visitors(visits)}
    for sort, number in (("last", "last_at"), ("visible", "visible_ms"), ("visits", "visits")):
        rows = sorted((-getattr(row, number), name) for name, row in by_visitor.items())
        assert told(span, rest, sort) == rows
        for before in (None, *rows):
            page = replace(span, asked=Asked(wanted=VisitFilter(limit=2, before=before and named_cursor(-before[0], before[1], sort))))
            after = [row for row in rows if before is None or row > before]
            found = [row for row in told(page, rest, sort) if before is None or row > before]
            assert found[:2] == after[:2]


def told(span: Span, rest: list[list[Stay]], sort: str) -> list[tuple[int, str]]:
    """Ask a span for visitors; tell from which it would have a page chosen, the first first."""
    rows = list[tuple[int, str]]()

    def choose(told: list[tuple[int, str]]) -> list[str]:
        rows.extend(sorted((-number, name) for number, name in told))
        return []

    assert span.visitors(rest, sort, choose)[0] == []
    return rows


@given(visits=stays, most=st.integers(2, 12))
def test_however_few_points_are_drawn_they_are_the_same(visits: list[Stay], most: int) -> None:
    """The highest and the last step of each stretch, and the peak, whether counted by visit or by many at once."""
    presences = Presences()
    for begin in range(0, 4 * DAY_MS, DAY_MS):
        day = summarise(begin, [DayVisit(*one) for one in visits if begin <= one[1] < begin + DAY_MS], []) or {}
        found = read_visits(begin, day)
        presences.add(found.people[found.who], found.starts, found.starts + found.opens + 1, unpack(day["twice"]))
    assert presences.crowd(most) == statistics.simultaneous(visits, most=most)


KIND_PARTS = ("kinds", "kind_pages", "kind_seen")


def _names_of_parts(bodies: Bodies | None) -> set[str]:
    """Tell which parts there are, of all visits or of some kind."""
    return {part.partition(" ")[0] for part in bodies or ()}


def test_a_summary_has_all_parts() -> None:
    """Those that are named are those that are kept, of a day without a visit, too."""
    assert set(summarise(0, [], []) or ()) == set(PARTS)
    both = {begin: summarise(begin, [], []) or {} for begin in (0, DAY_MS)}
    assert _names_of_parts(block(0, both)) == {*PARTS, *KIND_PARTS} - {"views"}


def test_a_summary_is_the_same_in_whatever_order_views_are_read() -> None:
    """Databases tell them in any: parts that were made at different times of the same visits and views fit together."""
    visits = [DayVisit("a", 5, 6, 1, 1), DayVisit("b", 5, 6, 1, 1)]
    views = [DayView(n % 2, f"/{n % 3}", f"Title {n}", 5, n, n, 1.0, HEAT) for n in range(6)]
    assert summarise(0, visits, views) == summarise(0, visits, views[::-1])


def test_what_is_not_settled_is_left_out() -> None:
    """A day without some part answers other questions, and so does its block."""
    settled, other = DayVisit("a", 5, 6, 1, 1, ended_by="leave"), summarise(DAY_MS, [], []) or {}
    for visit, parts in ((settled, set(PARTS)), (settled._replace(ended_by=None), {*ALWAYS, "views"})):
        day = summarise(0, [visit], []) or {}
        assert set(day) == parts
        assert _names_of_parts(block(0, {0: day, DAY_MS: other})) == {*parts, *KIND_PARTS}


@pytest.mark.parametrize(
    "wanted", [VisitFilter(verified=True), VisitFilter(internal=True, max_visible_ms=9), VisitFilter(ended_by=("leave",))]
)
def test_a_filter_that_leaves_nobody_out_costs_nothing(wanted: VisitFilter) -> None:
    """Its pages are told by what a block has added up anyway; once it leaves somebody out, or lets in who does not count, they are not."""
    visit = DayVisit("a", 5, 6, 1, 1, verified=True, ended_by="leave")
    others = [visit._replace(verified=False, ended_by="idle", visible_ms=70_000), visit._replace(internal=True, excluded=True)]
    views, empty = [DayView(n, "/a", "A", 5, 1, 1, 1.0, None) for n in (0, 1)], summarise(DAY_MS, [], []) or {}
    for visits, is_cheap in (([visit, others[1]], True), ([visit, others[0]], False)):
        both = block(0, {0: summarise(0, visits, views) or {}, DAY_MS: empty}) or {}
        asked = Asked(wanted=wanted)
        assert ("pages" in answering("pages", asked, both)) == is_cheap
        assert ("kind_pages" in answering("pages", asked, both)) != is_cheap
        (page,) = _asked(both, asked)
        assert page.views == 1
        everybody = Asked(wanted=replace(wanted, internal=True, excluded=True))
        assert "pages" not in answering("pages", everybody, both)


def test_too_many_titles_take_only_the_views_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Browsers name them; every other question is answered as before, of a day and of its block."""
    monkeypatch.setattr(view_rows, "MOST_TITLES", 1)
    views = [DayView(0, "/a", title, 5, 1, 1, 1.0, None) for title in ("One", "Two")]
    visit, other = DayVisit("a", 5, 6, 1, 1, ended_by="leave"), summarise(DAY_MS, [], []) or {}
    later = visit._replace(started_at=DAY_MS, last_seen_at=DAY_MS + 1)
    one, two = summarise(0, [visit], views[:1]) or {}, summarise(DAY_MS, [later], views[1:]) or {}
    assert set(one) == set(two) == set(PARTS)
    assert set(block(0, {0: one, DAY_MS: two}) or ()) == set(PARTS) - {"views"}
    day = summarise(0, [visit], views) or {}
    assert set(day) == set(block(0, {0: day, DAY_MS: other}) or ()) == set(PARTS) - {"views"}
    (page,) = _asked(day, Asked(wanted=VisitFilter()))
    assert (page.title, page.views) == ("Two", 2)


def test_a_view_may_be_of_the_day_before() -> None:
    """A beat that was kept back at midnight tells of a tab before the visit that it is counted to; its title is told all the same."""
    views = [DayView(0, "/a", "Late", DAY_MS - 9, 1, 1, 1.0, None), DayView(0, "/a", "Later", DAY_MS - 8, 1, 1, 1.0, None)]
    late = summarise(DAY_MS, [DayVisit("a", DAY_MS + 5, DAY_MS + 6, 2, 2, verified=True)], views) or {}
    before = summarise(0, [DayVisit("a", 5, 6, 1, 1, verified=True)], [views[0]._replace(title="First", last_seen_at=3)]) or {}
    for asked in (Asked(wanted=VisitFilter()), Asked(wanted=VisitFilter(verified=True))):
        for day in (late, block(0, {0: before, DAY_MS: late}) or {}):
            (page,) = _asked(day, asked)
            assert page.title == "Later"


@pytest.mark.parametrize("visible", [0, 7, 2**31 - 1, 2**40])
@pytest.mark.parametrize("seconds", ["0", "1", "zzzzz"])
def test_no_heat_is_too_much(visible: int, seconds: str) -> None:
    """However long a browser says that parts of a page were on screen, they share the visible time as `read_heat` says."""
    text = ".".join([seconds, "0", *["zzzz"] * 18])
    day = summarise(0, [DayVisit("a", 5, 6, 1, 1, verified=True)], [DayView(0, "/a", "A", 5, visible, 1, 1.0, text)]) or {}
    for asked in (Asked(wanted=VisitFilter()), Asked(wanted=VisitFilter(verified=True))):
        (page,) = _asked(day, asked)
        assert page.heat == list(read_heat(text, visible))
        assert (page.title, page.visible.sum) == ("A", visible)


def _asked(day: Bodies, asked: Asked) -> list[PageTotals]:
    return Span(bodies={0: answering("pages", asked, day)}, rest=[], asked=asked).pages([])


def test_people_are_in_the_order_of_their_numbers() -> None:
    """So that a page's visitors can be kept as places among them."""
    people = people_of([Stay(name, 5, 6 + n, n, 0) for n, name in enumerate("abcab")])
    assert people.numbers.tolist() == sorted(numbers_of("abc").tolist())
    rows = dict(zip(people.names, zip(*(column.tolist() for column in astuple(people)[2:]), strict=True), strict=True))
    assert rows == {"a": (2, 3, 9), "b": (2, 5, 10), "c": (1, 2, 8)}


@pytest.mark.parametrize("spent", [0, 1, 5, 63, 64, 65, 1_000, 123_456, 2**31 - 1, 2**31, 2**31 + 2**26 - 1])
def test_quartiles_of_pages_are_near(spent: int) -> None:
    """The middle of a bin is within 1.6 % of whatever fell into it, up to 2^31 ms, which are 25 days; below 64 ms it is the very span."""
    by_day, by_view = both_ways([reading(1)._replace(visible_ms=spent, active_ms=0)], [reading(2)._replace(visible_ms=spent, active_ms=0)])
    assert by_day.visible.median == pytest.approx(by_view.visible.median, rel=0.016, abs=0)
    assert by_day.active.median == 0


@pytest.mark.parametrize("count", [200, 1_000])
def test_however_many_pages_there_are_they_add_up(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With too many for a counter of each bin the keys are sorted, or counted where they are near each other: the numbers are the same."""
    readings = [reading(n)._replace(page=f"/{n % 5}", visible_ms=n * 997) for n in range(count)]
    parts = [page_days.views_of(readings[:90]), page_days.views_of(readings[90:])]
    by_counters = page_days.pages(page_days.together(parts))
    monkeypatch.setattr(page_days, "_FEW_PAGES", 4)
    assert page_days.pages(page_days.together(parts)) == by_counters
    assert sum(page.views for page in by_counters) == count


def test_another_form_has_another_number() -> None:
    """What is kept is read by whoever finds it: when a day is written otherwise than before, `rollup.FORM` has to be raised with it."""
    visits = [DayVisit("a", 5, 70_000, 60_000, 300, ended_by="leave"), DayVisit("b", 6, 9, 3, 1, excluded=True, ended_by="idle")]
    views = [DayView(0, "/a", "A", 5, 60_000, 300, 12.5, HEAT), DayView(1, "/b", None, 7, 3, 1, 0.0, None)]
    day = summarise(0, visits, views) or {}
    empty = summarise(DAY_MS, [], []) or {}
    written = repr([sorted(body.items()) for body in (day, empty, block(0, {0: day, DAY_MS: empty}) or {})])
    assert (rollup.FORM, blake2b(written.encode(), digest_size=8).hexdigest()) == (14, "0f58a883c9e937b1")
