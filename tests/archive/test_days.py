"""Summarised days tell what the visits themselves tell, and are made anew whenever a visit of theirs changes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

import pytest
from msgspec.structs import replace

from stillhere.archive import rollup
from stillhere.archive.archive import Archive
from stillhere.archive.days import summarise
from stillhere.archive.records import Asked, DayView, DayVisit, VisitFilter
from stillhere.archive.sql import SqlSource
from stillhere.core.records import EndedBy, Visit
from stillhere.stores import open_store
from stillhere.stores.protocol import Changed
from stillhere.stores.sql.days import DAY_MS
from stillhere.stores.sql.schema import days, views, visits
from stillhere.testing.scene import claim_of, session_of
from tests.archive.week import FIRST, LATER, MOMENT, PERIODS, WHEN, Raw, answers, fill, same_pages, summarised
from tests.stores.every import fresh_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stillhere.stores.memory import MemoryStore
    from stillhere.stores.sqlite.store import SqliteStore


QUESTIONS = ("totals", "durations", "visitors", "pages", "buckets", "simultaneous")


async def test_days_tell_what_visits_tell(week: tuple[SqliteStore, Archive]) -> None:
    """Sums, people, quartiles, bins, buckets and curves are the very same, whole days or parts of them; of pages all but the quartiles."""
    store, archive = week
    raw = Archive(Raw(store.readers))
    archive.internal = raw.internal = ("v1", "v2")
    assert await archive.summarise(now=LATER) == 28  # from the first day with a visit to those that are still too fresh
    assert await archive.summarise(now=LATER) == 0
    for wanted in PERIODS:
        asked = Asked(wanted=wanted, internal=archive.internal, beat_interval=1_000, now=LATER)
        spans = [await SqlSource(store.readers).span(asked, name) for name in QUESTIONS]
        assert [span is not None for span in spans] == [wanted.visitor is None and wanted != MOMENT] * len(spans)
        assert await answers(archive, wanted) == await answers(raw, wanted)
        await same_pages(archive, raw, wanted)


async def test_whatever_changes_a_visit_forgets_its_day(week: tuple[SqliteStore, Archive]) -> None:
    """Exclusion, erasure, the retention and the archiver: right after each, and summarised again, the answers are the visits'."""
    store, archive = week
    raw = Archive(Raw(store.readers))
    await archive.summarise(now=LATER)
    found = await archive.visits(VisitFilter(limit=5), **WHEN)

    async def same() -> None:
        assert await answers(archive, PERIODS[0]) == await answers(raw, PERIODS[0])

    await archive.exclude(found[0].id, excluded=True)
    await same()
    assert await archive.summarise(now=LATER) == 1
    await same()
    await archive.erase(found[1].visitor)
    await same()
    await archive.summarise(now=LATER)
    await same()
    assert await store.forget(ended_before=FIRST + 2 * DAY_MS, limit=20) == 20
    await same()
    await archive.summarise(now=LATER)
    late = found[2]
    session = await store.get(late.session)
    assert session is not None
    stay = Visit(
        handle=late.session, number=1, subject=late.visitor, started_at=late.started_at, last_seen_at=late.ended_at + 9,
        covered_until_at=late.ended_at, visible_ms=late.visible_ms + 9,
    )  # fmt: skip
    await store.keep([Changed(late.session, 1, session, [stay], [])])
    await same()


async def test_words_that_come_very_late_are_found(week: tuple[SqliteStore, Archive]) -> None:
    """A visit that grew after its day was summarised is noticed when its day has its turn, and its day told anew."""
    store, archive = week
    raw = Archive(Raw(store.readers))
    await archive.summarise(now=LATER)
    await store.readers.write(lambda connection: connection.execute(visits.update().values(visible_ms=visits.c.visible_ms + 1)))
    for _ in range(40):
        assert await archive.summarise(now=LATER) == 0
    assert await answers(archive, PERIODS[0]) == await answers(raw, PERIODS[0])


async def test_late_words_that_change_only_a_view_are_found(week: tuple[SqliteStore, Archive]) -> None:
    """What another tab did meanwhile changes no visit, whose time is known; yet its page, title and time are told anew."""
    store, archive = week
    raw = Archive(Raw(store.readers))
    await archive.summarise(now=LATER)
    late = {"page": "/late", "title": "Late", "scroll_pct": 90, "heat": None}
    await store.readers.write(lambda connection: connection.execute(views.update().where(views.c.page == "/b").values(late)))
    for _ in range(40):
        assert await archive.summarise(now=LATER) == 0
    for wanted in (PERIODS[0], VisitFilter(page="/late"), VisitFilter(page="/b"), VisitFilter(verified=True, limit=1_000)):
        assert await answers(archive, wanted) == await answers(raw, wanted)
        await same_pages(archive, raw, wanted)


async def test_a_damaged_view_holds_nothing_up(week: tuple[SqliteStore, Archive]) -> None:
    """A depth that cannot be is taken for none, and every day is summarised."""
    store, archive = week
    await store.readers.write(lambda connection: connection.execute(views.update().where(views.c.page == "/b").values(scroll_pct=-1)))
    assert await archive.summarise(now=LATER) == 28
    (page,) = await archive.pages(VisitFilter(page="/b"), **WHEN)
    assert page.scroll.q3 == 0


async def test_without_numpy_the_visits_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is summarised, and every answer is the same."""
    url = fresh_url("sqlite", tmp_path)
    store, archive = open_store(url)
    await cast("SqliteStore", store).readers.write(fill, 7)
    await archive.summarise(now=LATER)
    with_days = await answers(archive, PERIODS[0])
    await store.close()
    monkeypatch.setitem(sys.modules, "numpy", None)
    store, archive = open_store(url)
    assert await archive.summarise(now=LATER) == 0
    assert await answers(archive, PERIODS[0]) == with_days
    assert (await archive.erase("v1")).sessions > 0
    await store.close()


async def test_however_many_visitors_are_named_they_are_found(week: tuple[SqliteStore, Archive]) -> None:
    """More than a statement may have parameters, as when a list of all visitors is exported."""
    source = SqlSource(week[0].readers)
    some = [f"v{n}" for n in range(20)]
    asked = Asked(wanted=VisitFilter(), visitors=(*some, *(f"other{n}" for n in range(300_000))), now=LATER)
    expected = await source.stays(replace(asked, visitors=tuple(some)))
    assert {stay.subject for stay in expected} == set(some)
    assert await source.stays(asked) == expected
    assert await source.verified(asked.visitors) == await source.verified(some) != set()


async def test_another_list_of_internal_visitors_makes_days_anew(week: tuple[SqliteStore, Archive]) -> None:
    """Days that were counted without somebody are of no use to who counts them."""
    store, archive = week
    raw = Archive(Raw(store.readers))
    await archive.summarise(now=LATER)
    for one in (archive, raw):
        one.internal = ("v1", "v2")
    assert await answers(archive, PERIODS[0]) == await answers(raw, PERIODS[0])
    assert await archive.summarise(now=LATER) == 28
    assert await answers(archive, PERIODS[0]) == await answers(raw, PERIODS[0])


async def test_only_quiet_days_are_summarised(week: tuple[SqliteStore, Archive], monkeypatch: pytest.MonkeyPatch) -> None:
    """A day is left alone until its visits have been silent for long; few days at a time, so that a pass is short."""
    store, archive = week
    assert await archive.summarise(now=FIRST + 2 * DAY_MS) == 0
    monkeypatch.setattr(rollup, "AT_ONCE", 2)
    assert await archive.summarise(now=LATER) == 2
    first = await store.readers(
        lambda connection: connection.execute(days.select().with_only_columns(days.c.day).distinct()).scalars().all()
    )
    assert len(first) <= 2


def test_a_span_that_is_negative_is_not_packed() -> None:
    """What no store writes stays what it is: its day is added up from the visits."""
    for stay in (DayVisit("a", 5, 4, 1, 1), DayVisit("a", 0, 9, -1, 1), DayVisit("a", 0, 9, 1, -1)):
        assert summarise(0, [stay], []) is None
    stay = DayVisit("a", 0, 9, 1, 1)
    assert summarise(0, [stay], [DayView(0, "/a", None, 0, 0, -1, 0.0, None)]) is None
    assert summarise(0, [stay], [DayView(0, "/a", None, 0, 0, 1, 0.0, None)]) is not None


async def _stayed(store: SqliteStore, began_at: int, lasted: int) -> None:
    """Put one visit there."""
    session = replace(session_of("a", subject="a", now=began_at), ended_at=began_at + lasted, ended_by=EndedBy.SIGNED_OUT)
    stay = Visit(
        handle=session.handle, number=1, subject="a", started_at=began_at, last_seen_at=began_at + lasted, covered_until_at=began_at,
        visible_ms=9,
    )  # fmt: skip
    await store.keep([Changed(session.handle, 1, session, [stay], [])])


@pytest.fixture
async def nobody(tmp_path: Path) -> AsyncIterator[tuple[SqliteStore, Archive]]:
    """Give a store without a visit."""
    store, archive = open_store(fresh_url("sqlite", tmp_path))
    yield cast("SqliteStore", store), archive
    await store.close()


async def test_without_a_visit_there_is_no_day(nobody: tuple[SqliteStore, Archive]) -> None:
    """An archive where nobody has been yet has nothing to summarise, and says so."""
    store, archive = nobody
    assert await archive.summarise(now=LATER) == 0
    assert await summarised(store) == []


async def test_a_day_waits_for_its_longest_visit(nobody: tuple[SqliteStore, Archive]) -> None:
    """A visit that began then and was heard of lately holds its day back and no other, until it has been quiet for long."""
    store, archive = nobody
    await _stayed(store, FIRST, 5 * DAY_MS)
    await archive.summarise(now=FIRST + 6 * DAY_MS)
    assert await summarised(store) == [FIRST + n * DAY_MS for n in (1, 2, 3)]
    await archive.summarise(now=FIRST + 7 * DAY_MS)
    assert FIRST not in await summarised(store)
    await archive.summarise(now=FIRST + 7 * DAY_MS + 1)
    assert FIRST in await summarised(store)


async def test_a_visit_that_cannot_be_is_counted_all_the_same(nobody: tuple[SqliteStore, Archive]) -> None:
    """Its day is never summarised; the days after it are, and the answers are those of the visits."""
    store, archive = nobody
    await _stayed(store, FIRST + 9, -1)
    await archive.summarise(now=LATER)
    assert await summarised(store) == [FIRST + n * DAY_MS for n in range(1, 28)]
    assert await archive.summarise(now=LATER) == 0  # a day that cannot be holds up no other, and does not count as work done
    assert (await archive.totals(VisitFilter(), **WHEN)).open_ms == -1


async def test_memory_needs_no_days() -> None:
    """What is in memory is added up from the visits: there is nothing to summarise, before a visit and after it."""
    store, archive = open_store("memory://")
    memory = cast("MemoryStore", store)
    assert await archive.summarise(now=LATER) == 0
    await memory.create(session_of("a", now=FIRST))
    await memory.beat([claim_of("a", opens=True, on_screen=True)], visit_gap=1_000, touch_interval=0, now=FIRST)
    assert await archive.summarise(now=LATER) == 0
    assert (await archive.totals(VisitFilter(), **WHEN)).visits == 1
