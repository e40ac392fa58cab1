"""Blocks of days tell what the visits tell, and nobody who is gone; whoever summarises and whoever changes wait for each other."""

from __future__ import annotations

import asyncio
import threading
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import select

from stillhere.archive import rollup
from stillhere.archive.archive import Archive
from stillhere.archive.days import summarise
from stillhere.archive.records import VisitFilter
from stillhere.stores import open_store
from stillhere.stores.sql.days import BLOCK, BLOCK_MS, DAY_MS, forget_days, hold_days, share_days
from stillhere.stores.sql.schema import days, visits
from tests.archive.week import (
    FIRST,
    LATER,
    PERIODS,
    WHEN,
    Raw,
    answers,
    blocks,
    come,
    fill,
    named,
    same_pages,
    settle,
    somebody_waits,
    summarised,
)
from tests.faults.token_stand import until
from tests.stores.every import fresh_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection

    from stillhere.stores.sqlite.store import SqliteStore

ON_POSTGRESQL = pytest.mark.parametrize("kind", ["postgresql"])
"""Where readers see what was before, and whoever writes has to wait for others."""


async def test_blocks_tell_what_days_tell(week: tuple[SqliteStore, Archive]) -> None:
    """A block is put together once all of its days are settled, and forgotten with any of them; answers are the visits' all the while."""
    store, archive = week
    raw = Archive(Raw(store.readers))
    await settle(archive, FIRST + BLOCK_MS + DAY_MS)
    assert await blocks(store) == []
    await settle(archive, FIRST + BLOCK_MS + 5 * DAY_MS)
    assert await blocks(store) == [FIRST]
    for wanted in (*PERIODS, VisitFilter(since_at=FIRST - 1, until_at=FIRST + BLOCK_MS), VisitFilter(since_at=FIRST, until_at=LATER)):
        assert await answers(archive, wanted) == await answers(raw, wanted)
        await same_pages(archive, raw, wanted)
    await archive.exclude((await archive.visits(VisitFilter(limit=1), **WHEN))[0].id, excluded=True)
    assert await blocks(store) == []
    assert await answers(archive, PERIODS[0]) == await answers(raw, PERIODS[0])
    await settle(archive, FIRST + BLOCK_MS + 5 * DAY_MS)
    assert await blocks(store) == [FIRST]
    assert await answers(archive, PERIODS[0]) == await answers(raw, PERIODS[0])


def _change(connection: Connection) -> None:
    """Change something of the second day."""
    share_days(connection)
    forget_days(connection, [FIRST + DAY_MS])


@ON_POSTGRESQL
@pytest.mark.parametrize("first", ["block", "change"])
async def test_a_change_while_a_block_is_put_together_is_not_lost(tmp_path: Path, kind: str, first: str) -> None:
    """Whoever comes first, the other waits: no block stays that tells of a day that was forgotten."""
    store, archive = open_store(fresh_url(kind, tmp_path))
    sql = cast("SqliteStore", store)
    await sql.readers.write(fill, 7)
    await settle(archive, FIRST + BLOCK_MS + 5 * DAY_MS)
    await sql.readers.write(lambda connection: connection.execute(days.delete().where(days.c.part.startswith(BLOCK))))
    (mark,) = await sql.readers(lambda connection: connection.execute(select(days.c.mark).distinct()).scalars().all())
    works = {"block": lambda at: rollup.put_together(at, FIRST, mark), "change": _change}
    holds, goes_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        cast("Callable[[Connection], object]", works.pop(first))(connection)
        holds.set()
        assert goes_on.wait(60)

    one = asyncio.ensure_future(sql.readers.write(slow))
    await asyncio.to_thread(holds.wait, 60)
    ((_, work),) = works.items()
    other = asyncio.ensure_future(sql.readers.write(work))
    await until(lambda: sql.readers(somebody_waits), what="the one to wait for the other")
    goes_on.set()
    await asyncio.gather(one, other)
    assert await blocks(sql) == []
    await store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_nobody_who_was_forgotten_or_erased_is_named(tmp_path: Path, kind: str) -> None:
    """Nor counted: their days are forgotten with them, and every block that a day of theirs is in."""
    store, archive = open_store(fresh_url(kind, tmp_path))
    sql, raw = cast("SqliteStore", store), Archive(Raw(cast("SqliteStore", store).readers))
    for name, day in (("early", -1), ("forgotten", 3), ("erased", 5), ("left", 10)):
        await come(sql, name, FIRST + day * DAY_MS)
    await settle(archive, FIRST + BLOCK_MS + 5 * DAY_MS)
    assert await named(sql) == {"early", "forgotten", "erased", "left"}
    assert await sql.forget(ended_before=FIRST + 4 * DAY_MS, limit=100) == 2
    assert await named(sql) == {"erased", "left"}
    assert await blocks(sql) == []
    await archive.erase("erased")
    assert await named(sql) == {"left"}
    await settle(archive, FIRST + BLOCK_MS + 5 * DAY_MS)
    assert await answers(archive, PERIODS[0]) == await answers(raw, PERIODS[0])
    await store.close()


@ON_POSTGRESQL
async def test_whoever_is_erased_while_their_day_is_summarised_is_not_named(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL, where readers see what was before: the erasure waits for the summary, and then deletes it."""
    store, archive = open_store(fresh_url(kind, tmp_path))
    sql, holds, goes_on = cast("SqliteStore", store), threading.Event(), threading.Event()
    await come(sql, "early", FIRST)
    await come(sql, "erased", FIRST + DAY_MS)

    def slow(day: int, *rest: Any) -> Any:  # they are passed on
        if day == FIRST + DAY_MS:
            holds.set()
            assert goes_on.wait(60)
        return summarise(day, *rest)

    monkeypatch.setattr(rollup, "summarise", slow)
    summarising = asyncio.ensure_future(archive.summarise(now=LATER))
    await asyncio.to_thread(holds.wait, 60)
    erasing = asyncio.ensure_future(archive.erase("erased"))
    await until(lambda: sql.readers(somebody_waits), what="the erasure to wait")
    goes_on.set()
    await asyncio.gather(summarising, erasing)
    assert await named(sql) == {"early"}
    await store.close()


@ON_POSTGRESQL
async def test_several_processes_summarise_and_forget_at_once(tmp_path: Path, kind: str) -> None:
    """Nobody is refused or waits in a circle, and in the end every answer is the visits'."""
    url = fresh_url(kind, tmp_path)
    stores = [open_store(url) for _ in range(3)]
    sql = [cast("SqliteStore", store) for store, _ in stores]
    await sql[0].readers.write(fill, 7)
    found = await stores[0][1].visits(VisitFilter(limit=60), **WHEN)
    now = FIRST + BLOCK_MS + 5 * DAY_MS

    async def change(archive: Archive, ids: list[str]) -> None:
        for visit in ids:
            await archive.exclude(visit, excluded=True)
        await archive.erase(found[-1].visitor)

    for _ in range(3):
        await asyncio.gather(
            *(archive.summarise(now=now) for _, archive in stores),
            *(change(archive, [visit.id for visit in found[n::3]]) for n, (_, archive) in enumerate(stores)),
        )
    for _, archive in stores:
        await settle(archive, now)
    assert await blocks(sql[0]) == [FIRST]
    assert await answers(stores[1][1], PERIODS[0]) == await answers(Archive(Raw(sql[0].readers)), PERIODS[0])
    for store, _ in stores:
        await store.close()


@ON_POSTGRESQL
@pytest.mark.parametrize("is_changed", [False, True])
async def test_a_day_is_summarised_once(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, *, is_changed: bool) -> None:
    """Of two processes that both see that a day is missing, or has changed, whoever comes second sees that it is told by now."""
    url, now = fresh_url(kind, tmp_path), FIRST + DAY_MS + rollup.QUIET_MS + 10
    (store, archive), *others = [open_store(url) for _ in range(3)]
    sql = cast("SqliteStore", store)
    await come(sql, "somebody", FIRST)
    if is_changed:
        await settle(archive, now)
        await sql.readers.write(lambda connection: connection.execute(visits.update().values(visible_ms=visits.c.visible_ms + 1)))
    both_have_seen, calls = threading.Barrier(2, timeout=60), count()
    made: list[int] = []

    def hold_after_both(connection: Connection) -> None:
        if next(calls) < both_have_seen.parties:
            both_have_seen.wait()
        hold_days(connection)

    def make(day: int, *rest: Any) -> Any:  # they are passed on
        made.append(day)
        return summarise(day, *rest)

    monkeypatch.setattr(rollup, "hold_days", hold_after_both)
    monkeypatch.setattr(rollup, "summarise", make)
    await asyncio.gather(*(archive.summarise(now=now) for _, archive in others))
    assert made == [FIRST]
    for each in (store, *(other for other, _ in others)):
        await each.close()


async def test_a_day_that_the_database_refuses_holds_up_no_other(
    week: tuple[SqliteStore, Archive], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is added up from its visits, and its block is never put together; all other days are, and late words are looked for."""
    store, archive = week
    monkeypatch.setattr(rollup, "summarise", lambda day, *rest: {"check": None} if day == FIRST + DAY_MS else summarise(day, *rest))
    now = FIRST + BLOCK_MS + 5 * DAY_MS
    await settle(archive, now)
    assert len(await summarised(store)) == BLOCK_MS // DAY_MS - 1 + 3
    assert await blocks(store) == []
    assert "is not kept" in caplog.text
    assert await answers(archive, PERIODS[0]) == await answers(Archive(Raw(store.readers)), PERIODS[0])


async def test_a_block_with_too_much_in_it_is_left_as_days(week: tuple[SqliteStore, Archive], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not tried again and again, and the answers are the visits'."""
    store, archive = week
    tried = list[int]()
    monkeypatch.setattr(rollup, "block", lambda begin, _: tried.append(begin))
    await settle(archive, FIRST + BLOCK_MS + 5 * DAY_MS)
    await archive.summarise(now=FIRST + BLOCK_MS + 5 * DAY_MS)
    assert tried == [FIRST]
    assert await answers(archive, PERIODS[0]) == await answers(Archive(Raw(store.readers)), PERIODS[0])


async def test_a_block_without_one_of_its_days_is_taken_apart(week: tuple[SqliteStore, Archive]) -> None:
    """As an older version leaves it that runs beside this one and knows days only."""
    store, archive = week
    now = FIRST + BLOCK_MS + 5 * DAY_MS
    await settle(archive, now)
    await store.readers.write(lambda connection: connection.execute(days.delete().where(days.c.day == FIRST + 40 * DAY_MS)))
    await store.readers.write(lambda connection: connection.execute(days.delete().where(days.c.day == FIRST + DAY_MS)))
    await archive.summarise(now=FIRST)  # too early to make the day anew
    assert await blocks(store) == []
    await settle(archive, now)
    assert await blocks(store) == [FIRST]
