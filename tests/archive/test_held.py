"""What was read of summaries lately is held in memory: as it is kept now, and no more of it than there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, event

from stillhere.archive import rollup
from stillhere.archive.archive import Archive
from stillhere.archive.held import Held
from stillhere.archive.records import VisitFilter
from stillhere.stores.sql.days import BLOCK_MS, DAY_MS
from tests.archive.week import FIRST, PERIODS, WHEN, Raw, answers, settle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillhere.stores.sqlite.store import SqliteStore

NOW = FIRST + BLOCK_MS + 5 * DAY_MS
ONE, OTHER = b"made of one", b"made of another"


def test_what_was_read_is_given_again() -> None:
    """As far as it was read: of each day and block those of the parts that are asked for."""
    held = Held()
    held.keep({1: ONE, 2: OTHER}, {1: {"who": b"a", "starts": memoryview(b"b")}, 2: {"who": b"c"}})
    assert held.take({1: ONE, 2: OTHER, 3: ONE}, ["who", "names"]) == {1: {"who": b"a"}, 2: {"who": b"c"}}
    assert held.take({1: ONE}, ["who", "starts"]) == {1: {"who": b"a", "starts": b"b"}}


def test_what_is_made_of_something_else_by_now_is_let_go() -> None:
    """A day that was made anew is another one; of what it was before nothing stays."""
    held = Held()
    held.keep({1: ONE}, {1: {"who": b"erased"}})
    assert held.take({1: OTHER}, ["who"]) == {}
    assert held.take({1: ONE}, ["who"]) == {}
    held.keep({1: OTHER}, {1: {"who": b"a"}})
    assert held.take({1: OTHER}, ["who"]) == {1: {"who": b"a"}}


def test_what_was_asked_for_longest_ago_makes_room() -> None:
    """However often something is held anew, and by its bytes, not by how many parts they are."""
    held, versions = Held(4), {1: ONE, 2: ONE, 3: ONE}
    for _ in range(3):
        held.keep(versions, {1: {"who": b"11"}, 2: {"who": b"22"}})
    held.take(versions | {2: ONE}, ["starts"])
    held.take({1: ONE}, ["who"])
    held.keep(versions, {3: {"who": b"3"}})
    assert held.take(versions, ["who"]) == {1: {"who": b"11"}, 3: {"who": b"3"}}
    held.keep(versions, {2: {"who": b"2"}})
    assert held.take(versions, ["who"]) == {1: {"who": b"11"}, 2: {"who": b"2"}, 3: {"who": b"3"}}


def test_what_would_leave_no_room_for_anything_is_not_held() -> None:
    """A question of many years would only drive out what others need, and itself."""
    held = Held(4)
    held.keep({1: ONE}, {1: {"who": b"1234"}})
    held.keep({2: ONE}, {2: {"who": b"123", "starts": b"45"}})
    assert held.take({1: ONE, 2: ONE}, ["who"]) == {1: {"who": b"1234"}}


def test_what_nobody_asks_for_is_swept_out() -> None:
    """At the second sweep at the latest; what is asked for in between stays."""
    held = Held()
    held.keep({1: ONE, 2: ONE}, {1: {"who": b"a"}, 2: {"who": b"b"}})
    held.sweep()
    held.take({1: ONE}, ["who"])
    held.sweep()
    assert held.take({1: ONE, 2: ONE}, ["who"]) == {1: {"who": b"a"}}


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
