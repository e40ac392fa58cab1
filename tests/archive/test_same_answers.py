"""The archive answers alike from every store, and its sums reconcile, after random timelines."""

from __future__ import annotations

import asyncio
import inspect
import math
from statistics import median
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stillhere.archive.archive import Archive, visitor_cursor
from stillhere.archive.filters import ENDINGS
from stillhere.archive.internal import is_internal
from stillhere.archive.memory import MemorySource
from stillhere.archive.protocol import ArchiveSource
from stillhere.archive.records import Erased, Kept, VisitFilter, VisitorTotals, VisitReport
from stillhere.archive.sql import SqlSource
from stillhere.archive.statistics import Crowd, Quartiles, Totals
from stillhere.stores.memory import MemoryStore
from stillhere.stores.sqlite.store import SqliteStore
from tests.stores.every import POLICY
from tests.stores.timelines import PEOPLE, RulesStore, Step, begin, drive, empty, timelines
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillhere.archive.cursor import VisitorSort
    from stillhere.core.records import Session

BEATS = POLICY.beat_interval

INTERNAL = ("person1@fund.example", "@*.person0@fund.example", "@team.example")

instants = st.none() | st.none() | st.integers(START - 50_000, START + 400_000)
spans = st.none() | st.none() | st.integers(0, 60_000)

wanted = st.builds(
    VisitFilter,
    visitor=st.sampled_from([None, None, "person0@fund.example", "person1@fund.example", "nobody"]),
    page=st.sampled_from([None, None, None, "/", "/a", "/ü\N{SNOWMAN}", "/nowhere"]),
    since_at=instants,
    until_at=instants,
    min_visible_ms=spans,
    max_visible_ms=spans,
    ended_by=st.just(()) | st.lists(st.sampled_from(ENDINGS), min_size=1, max_size=4, unique=True).map(tuple),
    internal=st.booleans(),
    excluded=st.booleans(),
    verified=st.sampled_from([None, None, True, False]),
    seen_since=instants,
    limit=st.integers(1, 5),
)

SORTS: tuple[VisitorSort, ...] = ("last", "visible", "visits")

EVERYTHING = VisitFilter(internal=True, excluded=True, limit=1_000)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def sql(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[SqliteStore]:
    """One SQLite store for all examples; each example empties it."""
    store = SqliteStore(f"sqlite:///{tmp_path_factory.mktemp('archive') / 'sessions.db'}")
    yield store
    runner.run(store.close())


@pytest.mark.parametrize("source", [MemorySource, SqlSource])
def test_every_source_has_every_verb(source: type[ArchiveSource]) -> None:
    """What a store lets the archive read is the same everywhere, down to the names of the arguments."""
    for name, verb in inspect.getmembers(ArchiveSource, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(source, name)) == inspect.signature(verb)


@given(timeline=timelines, wanted=wanted)
def test_every_question_has_one_answer(timeline: list[Step], wanted: VisitFilter, runner: asyncio.Runner, sql: SqliteStore) -> None:
    """Lists, filters, pages, single visits, visitors, presence and totals are equal rows in equal order, and reconcile."""
    runner.run(_compare(timeline, wanted, sql))


async def _compare(timeline: list[Step], wanted: VisitFilter, sql: SqliteStore) -> None:
    memory = MemoryStore()
    await empty(sql)
    await begin(RulesStore(0), [memory, sql], policy=POLICY)
    now, rotations = START, dict[int, int]()
    for step in timeline:
        now += step.advance_ms
        for store in (memory, sql):
            await drive(store, step, now, rotations, 0)
    one, other = Archive(MemorySource(memory)), Archive(SqlSource(sql.readers))
    for archive in (one, other):
        archive.internal = INTERNAL
        for name in ("handle-0.1", "handle-2.2", "handle-9.1", "handle-0"):
            await archive.exclude(name, excluded=True)
    visits = [visit async for visit in one.all_visits(EVERYTHING, beat_interval=BEATS, now=now)]
    assert visits == [visit async for visit in other.all_visits(EVERYTHING, beat_interval=BEATS, now=now)]
    assert await _asked(one, wanted, visits, now) == await _asked(other, wanted, visits, now)
    pages = {visit.id: await _pages_of(one, visit, now) for visit in visits}
    lasted = [visit for visit in visits if _lasted(visit, memory.sessions[visit.session], wanted.seen_since or 0)]
    chosen = _chosen(lasted, pages, wanted)
    assert await _in_pages(one, wanted, now) == await _in_pages(other, wanted, now) == chosen
    await _check_sums(one, visits, now)
    await _check_sums_of(one, wanted, chosen, now)


async def _asked(archive: Archive, wanted: VisitFilter, visits: list[VisitReport], now: int) -> list[object]:
    """Ask everything there is to ask."""
    known = [visit.id for visit in visits]
    unknown = ["", ".", "handle-0", "handle-0.0", "handle-0.01", "handle-0.-1", "handle-0.9", "nobody.1", f"handle-0.{2**70}"]
    when = {"beat_interval": BEATS, "now": now}
    return [
        await archive.visits(wanted, **when),
        [await archive.visit(name, **when) for name in [*known, *unknown, "handle-0.\u0661"]],
        [await archive.visitors(wanted, sort=sort, beat_interval=BEATS, now=now) for sort in SORTS],
        await archive.visitors(VisitFilter(), sort="last", **when),
        await archive.pages(VisitFilter(), **when),
        await archive.pages(wanted, **when),
        [await archive.buckets(wanted, unit, ZoneInfo("Europe/Berlin"), **when) for unit in ("hour", "day", "week", "month")],
        await archive.durations(wanted, **when),
        await archive.simultaneous(wanted, **when),
        [(visit, view) async for visit, view in archive.all_views(wanted, **when)],
        await archive.present(seen_since=wanted.seen_since or now, **when),
        [await archive.totals(VisitFilter(), since=visit.started_at + later, **when) for visit in visits for later in (0, 1)],
        await archive.totals(wanted, **when),
        await archive.count(wanted, **when),
        await archive.count_views(wanted, **when),
        [await archive.of_subject(subject) for subject in {visit.visitor for visit in visits}],
    ]


async def _pages_of(archive: Archive, visit: VisitReport, now: int) -> set[str | None]:
    found = await archive.visit(visit.id, beat_interval=BEATS, now=now)
    assert found is not None
    return {view.page for view in found[1]}


async def _in_pages(archive: Archive, wanted: VisitFilter, now: int) -> list[VisitReport]:
    listed: list[VisitReport] = []
    cursor = None
    while page := await archive.visits(replace(wanted, before=cursor), beat_interval=BEATS, now=now):
        assert len(page) <= wanted.limit
        listed += page
        cursor = page[-1].cursor
    return listed


def _chosen(visits: list[VisitReport], pages: dict[str, set[str | None]], wanted: VisitFilter) -> list[VisitReport]:
    """Choose by what the reports themselves say."""
    since, until = wanted.since_at or 0, math.inf if wanted.until_at is None else wanted.until_at
    least, most = wanted.min_visible_ms or 0, math.inf if wanted.max_visible_ms is None else wanted.max_visible_ms
    return [
        visit
        for visit in visits
        if wanted.visitor in {None, visit.visitor}
        and (wanted.page is None or wanted.page in pages[visit.id])
        and since <= visit.started_at < until
        and least <= visit.visible_ms <= most
        and (not wanted.ended_by or (visit.ended_by or "here") in wanted.ended_by)
        and (wanted.internal or not visit.internal)
        and (wanted.excluded or not visit.excluded)
        and wanted.verified in {None, visit.verified}
    ]


def _lasted(visit: VisitReport, session: Session, until: int) -> bool:
    """Choose by when a visit was last seen and by when its session ended: a clock that goes back has them in either order."""
    return visit.ended_at >= until and (session.ended_at is None or session.ended_at >= until)


async def _check_sums(archive: Archive, visits: list[VisitReport], now: int) -> None:
    """Check that each visit adds up to its views, and that all are in order."""
    assert [visit.started_at for visit in visits] == sorted((visit.started_at for visit in visits), reverse=True)
    assert [visit.internal for visit in visits] == [is_internal(visit.visitor, INTERNAL) for visit in visits]
    for visit in visits:
        found = await archive.visit(visit.id, beat_interval=BEATS, now=now)
        assert found is not None
        report, views = found
        assert report == visit
        assert len(views) == visit.views
        assert visit.active_ms <= visit.visible_ms <= visit.open_ms
        assert visit.visible_ms <= sum(view.visible_ms for view in views)
    present = await archive.present(seen_since=0, beat_interval=BEATS, now=now)
    assert len({presence.session.handle for presence in present}) == len(present) <= PEOPLE


async def _check_sums_of(archive: Archive, wanted: VisitFilter, visits: list[VisitReport], now: int) -> None:
    """Check that what is told of visitors, pages and in total adds up to the visits listed."""
    when = {"beat_interval": BEATS, "now": now}
    rows = await _all_visitors(archive, wanted, now)
    assert rows == sorted(rows, key=lambda row: (-row.last_at, row.visitor))
    assert sorted(rows, key=lambda row: row.visitor) == [
        VisitorTotals(
            visitor=visitor,
            visits=len(theirs),
            open_ms=sum(visit.open_ms for visit in theirs),
            visible_ms=sum(visit.visible_ms for visit in theirs),
            active_ms=sum(visit.active_ms for visit in theirs),
            first_at=min(visit.started_at for visit in theirs),
            last_at=max(visit.ended_at for visit in theirs),
            median_visible_ms=round(median(visit.visible_ms for visit in theirs)),
            total_minutes=round(sum(visit.open_ms for visit in theirs) / 60_000),
            internal=theirs[0].internal,
        )
        for visitor in sorted({visit.visitor for visit in visits})
        if (theirs := [visit for visit in visits if visit.visitor == visitor])
    ]
    totals = await archive.totals(wanted, **when)
    assert (totals.visits, totals.visible_ms) == (len(visits), sum(visit.visible_ms for visit in visits))
    assert await archive.count(wanted, **when) == len(visits)
    assert totals.visitors == len({visit.visitor for visit in visits})
    assert sum(one.visits for one in await archive.durations(wanted, **when)) == len(visits)
    views = [view async for _, view in archive.all_views(wanted, **when)]
    assert await archive.count_views(wanted, **when) == len(views)
    pages = await archive.pages(replace(wanted, limit=100), **when)
    assert sum(page.views for page in pages) == sum(view.page is not None for view in views)
    assert sum(page.visible.sum for page in pages) == sum(view.visible_ms for view in views if view.page is not None)


async def _all_visitors(archive: Archive, wanted: VisitFilter, now: int) -> list[VisitorTotals]:
    rows: list[VisitorTotals] = []
    cursor = None
    while page := await archive.visitors(replace(wanted, before=cursor), beat_interval=BEATS, now=now):
        rows += page
        cursor = visitor_cursor(page[-1], "last")
    return rows


async def test_an_empty_archive_answers_everything(sql: SqliteStore) -> None:
    """Without any visit each question has its empty answer."""
    await empty(sql)
    when = {"beat_interval": BEATS, "now": START}
    for archive in (Archive(MemorySource(MemoryStore())), Archive(SqlSource(sql.readers))):
        assert await archive.visits(VisitFilter(), **when) == []
        assert [visit async for visit in archive.all_visits(VisitFilter(), **when)] == []
        assert await archive.visitors(VisitFilter(), sort="last", **when) == []
        assert await archive.pages(VisitFilter(), **when) == []
        assert await archive.present(seen_since=0, **when) == []
        assert await archive.totals(VisitFilter(), since=0, **when) == Totals(
            visits=0, visitors=0, open_ms=0, visible_ms=0, active_ms=0, visible=Quartiles(q1=0, median=0, q3=0)
        )
        assert await archive.simultaneous(VisitFilter(), **when) == Crowd(points=[], peak=None)
        assert [one.visits for one in await archive.buckets(VisitFilter(), "day", ZoneInfo("UTC"), **when)] == [0]
        assert await archive.of_subject("nobody") == Kept(sessions=[], visits=[], views=[])
        assert await archive.erase("nobody") == Erased()
