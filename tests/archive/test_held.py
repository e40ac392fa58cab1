"""What was read of summaries lately is held in memory: as it is kept now, and no more of it than there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, event

from stillhere.archive import rollup
from stillhere.archive.archive import Archive
from stillhere.archive.held import BESIDES, Held, Versions
from stillhere.archive.records import VisitFilter
from stillhere.core.records import EndedBy, View, Visit
from stillhere.stores import open_store
from stillhere.stores.protocol import Changed
from stillhere.stores.sql.days import BLOCK_MS, DAY_MS
from stillhere.testing.scene import session_of
from tests.archive.week import FIRST, PERIODS, WHEN, Raw, answers, blocks, same_pages, settle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stillhere.archive.packing import Body
    from stillhere.stores.sqlite.store import SqliteStore

NOW = FIRST + BLOCK_MS + 5 * DAY_MS
ONE, OTHER = b"made of one", b"made of another"


def test_what_was_read_is_given_again() -> None:
    """As far as it was read: of each day and block those of the parts that are asked for."""
    held = Held()
    held.keep({1: ONE, 2: OTHER}, {1: {"who": b"a", "starts": memoryview(b"b")}, 2: {"who": b"c"}})
    given = held.take({1: ONE, 2: OTHER, 3: ONE}, {1: ["who", "names"], 2: ["starts"], 3: ["who"]})
    assert given == {1: {"who": b"a"}, 2: {}, 3: {}}
    assert held.take({1: ONE}, {1: ["who", "starts"]}) == {1: {"who": b"a", "starts": b"b"}}


def test_what_is_made_of_something_else_by_now_is_let_go() -> None:
    """A day that was made anew is another one; of what it was before nothing stays."""
    held = Held()
    held.keep({1: ONE}, {1: {"who": b"erased"}})
    assert _held(held, {1: OTHER}) == {}
    assert _held(held, {1: ONE}) == {}
    held.keep({1: OTHER}, {1: {"who": b"a"}})
    assert _held(held, {1: OTHER}) == {1: b"a"}


def _held(held: Held, versions: Versions) -> dict[int, Body]:
    """Tell the part that is held of each day."""
    return {begin: bodies["who"] for begin, bodies in held.take(versions, {begin: ["who"] for begin in versions}).items() if bodies}


def test_what_was_asked_for_longest_ago_makes_room() -> None:
    """However often something is held anew, and by its bytes and what it takes besides."""
    held, versions = Held(2 * BESIDES + 4), {1: ONE, 2: ONE, 3: ONE}
    for _ in range(3):
        held.keep(versions, {1: {"who": b"11"}, 2: {"who": b"22"}})
    _held(held, {1: ONE})
    held.keep(versions, {3: {"who": b"3"}})
    assert _held(held, versions) == {1: b"11", 3: b"3"}
    held.keep(versions, {2: {"who": b"2222"}})
    assert _held(held, versions) == {2: b"2222"}


def test_what_would_leave_no_room_for_anything_is_not_held() -> None:
    """A question of many years would only drive out what others need, and itself."""
    held = Held(BESIDES + 4)
    held.keep({1: ONE}, {1: {"who": b"1234"}})
    held.keep({2: ONE}, {2: {"who": b"12345"}})
    assert _held(held, {1: ONE, 2: ONE}) == {1: b"1234"}


def test_what_nobody_asks_for_is_swept_out() -> None:
    """At the second sweep at the latest; what is asked for in between stays."""
    held = Held()
    held.keep({1: ONE, 2: ONE}, {1: {"who": b"a"}, 2: {"who": b"b"}})
    held.sweep()
    _held(held, {1: ONE})
    held.sweep()
    assert _held(held, {1: ONE, 2: ONE}) == {1: b"a"}


@pytest.fixture
def read() -> Iterator[list[str]]:
    """Every statement that reads bodies of summaries, but for those that tell what each is made of."""
    statements = list[str]()

    def note(*told: object) -> None:
        if "stillhere_days.body" in str(told[2]) and "stillhere_days.part IN" in str(told[2]):
            statements.append(str(told[2]))

    event.listen(Engine, "before_cursor_execute", note)
    yield statements
    event.remove(Engine, "before_cursor_execute", note)


async def test_the_same_year_is_read_once(week: tuple[SqliteStore, Archive], read: list[str]) -> None:
    """However often it is asked about. After a change the new answers are given, and read."""
    store, archive = week
    await settle(archive, NOW)
    first = await answers(archive, PERIODS[0])
    read.clear()
    assert await answers(archive, PERIODS[0]) == first
    assert read == []
    await archive.exclude((await archive.visits(VisitFilter(limit=1), **WHEN))[0].id, excluded=True)
    raw = Archive(Raw(store.readers))
    assert await answers(archive, PERIODS[0]) == await answers(raw, PERIODS[0]) != first
    await settle(archive, NOW)
    assert await answers(archive, PERIODS[0]) == await answers(raw, PERIODS[0])
    assert read


async def test_memory_is_free_again_when_nobody_looks(week: tuple[SqliteStore, Archive], read: list[str]) -> None:
    """Upkeep lets go of it, and so of who was erased."""
    _, archive = week
    await settle(archive, NOW)
    await answers(archive, PERIODS[0])
    for n in (1, 2):
        await archive.summarise(now=NOW + n * rollup.HELD_MS)
    read.clear()
    await answers(archive, PERIODS[0])
    assert read


async def test_nobody_who_was_erased_stays_in_memory(week: tuple[SqliteStore, Archive], read: list[str]) -> None:
    """Not until upkeep, where they were erased."""
    _, archive = week
    await settle(archive, NOW)
    await archive.totals(PERIODS[0], **WHEN)
    read.clear()
    await archive.erase("nobody")
    await archive.totals(PERIODS[0], **WHEN)
    assert read


@pytest.mark.parametrize("wanted", [VisitFilter(verified=True), VisitFilter(min_visible_ms=50), VisitFilter(max_visible_ms=50)])
async def test_each_block_gives_what_it_is_asked_for(tmp_path: Path, read: list[str], wanted: VisitFilter) -> None:
    """A filter may leave out nobody in one block, some in another and all in a third; whoever is wanted is counted, and read once."""
    store, archive = open_store(f"sqlite:///{tmp_path / 'sessions.db'}")
    sql = cast("SqliteStore", store)
    for n, (is_verified, visible) in enumerate([(True, 90), (True, 80), (True, 90), (False, 9), (False, 8), (True, 12_000), (False, 20)]):
        at = FIRST + n // 2 * BLOCK_MS + n * DAY_MS
        session = session_of(f"{n}", {"verified": True} if is_verified else {}, subject=f"v{n}", now=at)
        session = replace(session, ended_at=at + visible, ended_by=EndedBy.SIGNED_OUT)
        of, ends_at = session.handle, at + visible
        stay = Visit(handle=of, number=1, subject=f"v{n}", started_at=at, last_seen_at=ends_at, covered_until_at=at, visible_ms=visible)
        view = View(
            handle=of, view="1", visit=1, tab=None, page=f"/{n % 3}", title=None, opened_at=at, last_seen_at=ends_at, visible_ms=visible
        )
        await sql.keep([Changed(session.handle, 1, session, [stay], [view])])
    await settle(archive, FIRST + 4 * BLOCK_MS + 5 * DAY_MS)
    assert len(await blocks(sql)) == 4
    raw = Archive(Raw(sql.readers))
    for _ in range(2):
        read.clear()
        await same_pages(archive, raw, wanted)
    assert read == []
    assert await answers(archive, wanted) == await answers(raw, wanted)
    await store.close()
