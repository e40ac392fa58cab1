"""The rules, the memory store and SQLite agree on every record, after every step of random timelines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.stores.memory import MemoryStore
from stillhere.stores.sqlite.store import SqliteStore
from tests.stores.every import POLICY
from tests.stores.timelines import RulesStore, Step, begin, drive, empty, memory_world, sql_world, steps, touch_intervals
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def sql(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[SqliteStore]:
    """One SQLite store for all examples; each example empties it."""
    store = SqliteStore(f"sqlite:///{tmp_path_factory.mktemp('differential') / 'sessions.db'}")
    yield store
    runner.run(store.close())


@given(timeline=st.lists(steps, min_size=1, max_size=40), touch=touch_intervals)
def test_every_store_agrees_with_the_rules_after_every_step(
    timeline: list[Step], touch: int, runner: asyncio.Runner, sql: SqliteStore
) -> None:
    """Whatever happens in whatever order, clocks stepping back included, all three hold the same facts."""
    runner.run(_compare(timeline, touch, sql))


async def _compare(timeline: list[Step], touch: int, sql: SqliteStore) -> None:
    rules, memory = RulesStore(touch), MemoryStore()
    await empty(sql)
    await begin(rules, [memory, sql], policy=POLICY)
    now, rotations = START, dict[int, int]()
    for step in timeline:
        now += step.advance_ms
        before = memory_world(memory)
        expected = rules.step(step, now, rotations)
        assert await drive(memory, step, now, rotations, touch) == expected
        assert await drive(sql, step, now, rotations, touch) == expected
        if step.rotates is not None and expected[-1] is not None:
            rotations[step.rotates] = rotations.get(step.rotates, 0) + 1
        world = rules.world()
        assert memory_world(memory) == world
        assert await sql_world(sql) == world
        for store in (memory, sql):
            assert await store.living(subject=None, limit=10, now=now) == rules.living(now)
        kept = {session.handle: session for session in world.sessions}
        for earlier, session in [(earlier, kept[earlier.handle]) for earlier in before.sessions if earlier.handle in kept]:
            assert earlier.last_seen_at <= session.last_seen_at
            assert earlier.last_active_at <= session.last_active_at
            assert earlier.ended_at in {None, session.ended_at}
        for visit in world.visits:
            assert 0 <= visit.active_ms <= visit.visible_ms <= visit.last_seen_at - visit.started_at
