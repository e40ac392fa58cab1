"""The rules and every store agree on every record, after every step of random timelines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from tests.stores.every import STORES, FullStore, opened, world_of
from tests.stores.timelines import PEOPLE, RulesStore, Step, begin, drive, empty, handle_of, note_rotation, timelines, touch_intervals
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillhere.archive.archive import Archive


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module", params=STORES)
def kept(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner
) -> Iterator[tuple[FullStore, Archive]]:
    """One store and its archive for all examples; each example empties it."""
    store, archive = opened(request.param, tmp_path_factory.mktemp("differential"))
    yield store, archive
    runner.run(store.close())


@settings(max_examples=settings().max_examples // 2)  # each goes through some thirty steps
@given(timeline=timelines, touch=touch_intervals)
def test_every_store_agrees_with_the_rules_after_every_step(
    timeline: list[Step], touch: int, runner: asyncio.Runner, kept: tuple[FullStore, Archive]
) -> None:
    """Whatever happens in whatever order, clocks stepping back included, both hold the same facts."""
    runner.run(_compare(timeline, touch, *kept))


async def _compare(timeline: list[Step], touch: int, store: FullStore, archive: Archive) -> None:
    await empty(store)
    rules, now, rotations = RulesStore(touch), START, dict[int, int]()
    await begin(rules, [store])
    handles = [handle_of(person) for person in range(PEOPLE + 1)]
    for step in timeline:
        now += step.advance_ms
        before = dict(rules.sessions)
        expected = rules.step(step, now, rotations)
        assert await drive(store, step, now, rotations, touch) == expected
        note_rotation(step, expected, rotations)
        assert [await store.get(handle) for handle in handles] == [rules.sessions.get(handle) for handle in handles]
        assert await world_of(store, archive) == rules.world()
        assert await store.living(subject=None, limit=10, now=now) == rules.living(now)
        for earlier, session in [(before[handle], rules.sessions[handle]) for handle in before.keys() & rules.sessions.keys()]:
            assert earlier.last_seen_at <= session.last_seen_at
            assert earlier.last_active_at <= session.last_active_at
            assert earlier.ended_at in {None, session.ended_at}
        for visit in rules.world().visits:
            assert 0 <= visit.active_ms <= visit.visible_ms <= visit.last_seen_at - visit.started_at
