"""The archive answers alike from every store, and its sums reconcile, after random timelines."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.archive.archive import Archive, Totals
from stillhere.archive.memory import MemorySource
from stillhere.archive.protocol import ArchiveSource
from stillhere.archive.records import VisitFilter, VisitorTotals, VisitReport
from stillhere.archive.sql import SqlSource
from stillhere.stores.memory import MemoryStore
from stillhere.stores.sqlite.store import SqliteStore
from tests.stores.every import POLICY
from tests.stores.timelines import PEOPLE, RulesStore, Step, begin, drive, empty, timelines
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Iterator

BEATS = POLICY.beat_interval

wanted = st.builds(
    VisitFilter,
    visitor=st.sampled_from([None, "person0@fund.example", "person1@fund.example", "nobody"]),
    seen_since=st.none() | st.integers(START - 50_000, START + 400_000),
    limit=st.integers(1, 5),
)


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
    visits = [visit async for visit in one.all_visits(VisitFilter(), beat_interval=BEATS, now=now)]
    assert visits == [visit async for visit in other.all_visits(VisitFilter(), beat_interval=BEATS, now=now)]
    assert await _asked(one, wanted, visits, now) == await _asked(other, wanted, visits, now)
    assert await _in_pages(one, wanted, now) == await _in_pages(other, wanted, now) == _chosen(visits, wanted)
    await _check_sums(one, visits, now)


async def _asked(archive: Archive, wanted: VisitFilter, visits: list[VisitReport], now: int) -> list[object]:
    """Ask everything there is to ask."""
    known = [visit.id for visit in visits]
    unknown = [
        "",
        ".",
        "handle-0",
        "handle-0.0",
        "handle-0.01",
        "handle-0.-1",
        "handle-0.9",
        "nobody.1",
        f"handle-0.{2**70}",
        "handle-0.\u0661",
    ]
    return [
        await archive.visits(wanted, beat_interval=BEATS, now=now),
        [await archive.visit(name, beat_interval=BEATS, now=now) for name in known + unknown],
        await archive.visitors(),
        await archive.visitors(visitor=wanted.visitor, limit=wanted.limit),
        await archive.present(seen_since=wanted.seen_since or now, beat_interval=BEATS, now=now),
        [await archive.totals(since=visit.started_at + later) for visit in visits for later in (0, 1)],
    ]


async def _in_pages(archive: Archive, wanted: VisitFilter, now: int) -> list[VisitReport]:
    listed: list[VisitReport] = []
    cursor = None
    while page := await archive.visits(
        VisitFilter(visitor=wanted.visitor, seen_since=wanted.seen_since, limit=wanted.limit, before=cursor), beat_interval=BEATS, now=now
    ):
        assert len(page) <= wanted.limit
        listed += page
        cursor = page[-1].cursor
    return listed


def _chosen(visits: list[VisitReport], wanted: VisitFilter) -> list[VisitReport]:
    return [
        visit
        for visit in visits
        if wanted.visitor in {None, visit.visitor} and (wanted.seen_since is None or visit.ended_at >= wanted.seen_since)
    ]


async def _check_sums(archive: Archive, visits: list[VisitReport], now: int) -> None:
    """What is told of visitors and in total adds up to the visits listed, and each visit to its views."""
    assert [visit.started_at for visit in visits] == sorted((visit.started_at for visit in visits), reverse=True)
    assert sorted(await archive.visitors(), key=lambda row: row.visitor) == [
        VisitorTotals(
            visitor=visitor,
            visits=len(theirs),
            open_ms=sum(visit.open_ms for visit in theirs),
            visible_ms=sum(visit.visible_ms for visit in theirs),
            active_ms=sum(visit.active_ms for visit in theirs),
            first_at=min(visit.started_at for visit in theirs),
            last_at=max(visit.ended_at for visit in theirs),
        )
        for visitor in sorted({visit.visitor for visit in visits})
        if (theirs := [visit for visit in visits if visit.visitor == visitor])
    ]
    totals = await archive.totals(since=0)
    assert (totals.visits, totals.visible_ms) == (len(visits), sum(visit.visible_ms for visit in visits))
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


async def test_an_empty_archive_answers_everything(sql: SqliteStore) -> None:
    """Without any visit each question has its empty answer."""
    await empty(sql)
    for archive in (Archive(MemorySource(MemoryStore())), Archive(SqlSource(sql.readers))):
        assert await archive.visits(VisitFilter(), beat_interval=BEATS, now=START) == []
        assert [visit async for visit in archive.all_visits(VisitFilter(), beat_interval=BEATS, now=START)] == []
        assert await archive.visitors() == []
        assert await archive.present(seen_since=0, beat_interval=BEATS, now=START) == []
        assert await archive.totals(since=0) == Totals(visits=0, visible_ms=0, median_visible_ms=0)
