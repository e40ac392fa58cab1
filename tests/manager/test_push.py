"""Push: one watch, few looks, nothing extended, and no end told that is not recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stillhere import push as module
from stillhere.core.policy import minutes, seconds
from stillhere.core.records import EndedBy
from stillhere.core.wire import PLAIN, Beat, Kind
from stillhere.errors import StoreError
from stillhere.push import LINGER_MS, LOOKS_AT_ONCE
from stillhere.streams import GRACE_MS, Event
from tests.manager.doubles import dump, memory_of, settle
from tests.manager.following import POLICY, WatchedStore, claim_for, scene_of, told, watched
from tests.support import START

if TYPE_CHECKING:
    from stillhere.core.records import Session


@pytest.fixture(autouse=True)
def slow_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests tick, not time."""
    monkeypatch.setattr(module, "TICK_S", 3_600)


async def test_following_moves_nothing() -> None:
    """Opening, keeping and reopening streams, up to the warning and through it, leaves every record as it was."""
    async with scene_of() as scene:
        started = await scene.manager.start("reader")
        before = dump(memory_of(scene.manager))
        for _ in range(POLICY.idle_timeout // seconds(5) - 1):
            stream = await scene.follow(started)
            await scene.tick(seconds(5))
            stream.close()
        assert dump(memory_of(scene.manager)).split("_watchers")[0] == before.split("_watchers")[0]
        assert [session.handle for session in scene.expiring.sessions] == [started.session.handle]
        assert scene.ended.sessions == []


async def test_a_lapse_is_recorded_and_then_told() -> None:
    """A moment after the deadline the end is in the store, as of the deadline; then the stream is told, and the hook, once."""
    async with scene_of() as scene:
        started = await scene.manager.start("reader")
        stream = await scene.follow(started)
        await scene.tick(POLICY.idle_timeout - POLICY.warning_timeout)
        assert told(stream) is Event.EXPIRING
        await scene.tick(POLICY.warning_timeout + GRACE_MS - 1)
        assert told(stream) is not Event.ENDED
        await scene.tick(1)
        assert told(stream) is Event.ENDED
        (session,) = memory_of(scene.manager).sessions.values()
        assert (session.ended_at, session.ended_by) == (START + POLICY.idle_timeout, EndedBy.IDLE)
        await scene.tick()
        assert scene.ended.sessions == [session]
        assert session.last_seen_at == session.last_active_at == START


async def test_a_beat_that_was_in_time_is_not_overruled() -> None:
    """A session that was extended while its deadline is looked at lives, and nothing but the beat moved its clocks."""
    store = await watched()
    async with scene_of(store) as scene:
        started = await scene.manager.start("reader")
        stream = await scene.follow(started)
        scene.clock.advance(POLICY.idle_timeout + GRACE_MS)
        store.gate.clear()
        await scene.tick()
        in_time = scene.clock() - seconds(1)  # when its batch left another process
        await store.beat([claim_for(started, chosen=True)], visit_gap=1, touch_interval=0, now=in_time)
        store.gate.set()
        await settle()
        await scene.tick(seconds(1))
        assert told(stream) is Event.STATE
        session = store.sessions[started.session.handle]
        assert (session.ended_at, session.last_active_at, session.last_seen_at) == (None, in_time, in_time)


async def test_the_judge_leaves_the_living_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extended between the look and the judgement: the claim that judges moves no clock and ends nothing."""
    store = await watched()
    async with scene_of(store) as scene:
        started = await scene.manager.start("reader")
        stream = await scene.follow(started)
        scene.clock.advance(POLICY.idle_timeout + GRACE_MS)
        lapsed = store.sessions[started.session.handle]
        extended = await store.beat([claim_for(started, chosen=True)], visit_gap=1, touch_interval=0, now=START + minutes(19))

        async def stale(handle: str) -> Session:
            assert handle == lapsed.handle
            return lapsed

        monkeypatch.setattr(store, "get", stale)
        await scene.tick()
        assert store.sessions[started.session.handle] == extended[0].session
        await scene.tick(seconds(1))
        assert told(stream) is Event.STATE


async def test_an_end_in_another_process_is_told() -> None:
    """The store tells of it, the session is looked at, and every stream hears the reason; nobody else is looked at."""
    store = await watched()
    async with scene_of(store) as scene:
        ends, stays = await scene.manager.start("ends"), await scene.manager.start("stays")
        streams = [await scene.follow(started) for started in (ends, ends, stays)]
        store.looks.clear()
        await store.end(ends.session.handle, EndedBy.REVOKED, now=START)
        for handle in ("somebody-else", ends.session.handle):
            await store.tells.put(handle)
        await settle()
        assert store.looks == [ends.session.handle]
        assert [told(stream) for stream in streams] == [Event.ENDED, Event.ENDED, None]


@pytest.mark.parametrize("how", ["end", "end_by_handle", "beat", "sweep", "replaces"])
async def test_an_end_in_this_process_is_told_at_once(how: str) -> None:
    """Whoever records it here need not wait for the store to tell."""
    store = await watched()
    async with scene_of(store) as scene:
        started = await scene.manager.start("reader")
        stream = await scene.follow(started)
        if how in {"beat", "sweep"}:
            scene.clock.advance(POLICY.idle_timeout)
        if how == "replaces":
            await scene.manager.start("reader", replaces=started.secret)
        elif how == "beat":
            await scene.manager.beat(started.secret, [PLAIN])
        elif how == "sweep":
            await scene.manager.sweep()
        else:
            await getattr(scene.manager, how)(started.secret if how == "end" else started.session.handle)
        assert told(stream) is Event.ENDED


async def test_a_beat_in_this_process_is_told_without_asking_the_store() -> None:
    """Activity told by one tab is news for the streams of all; the store is not read for it."""
    store = await watched()
    async with scene_of(store) as scene:
        started = await scene.manager.start("reader")
        stream = await scene.follow(started)
        store.looks.clear()
        scene.clock.advance(minutes(3))
        await scene.manager.beat(started.secret, [Beat(kind=Kind.EXTEND)])
        await scene.tick()
        assert told(stream) is Event.STATE
        assert store.looks == []


async def test_an_end_told_while_a_stream_opens_is_not_missed() -> None:
    """Between the look and the following nothing slips through: if anything was told, it is looked once more."""
    store = await watched()
    async with scene_of(store) as scene:
        started = await scene.manager.start("reader")
        since = await scene.push.ready()
        verdict = await scene.manager.look(started.secret)
        assert verdict.session is not None
        await store.end(started.session.handle, EndedBy.REVOKED, now=START)
        await store.tells.put(started.session.handle)
        await settle()
        stream = scene.push.follow(verdict.session, lambda: None, since=since)
        await settle()
        assert told(stream) is Event.ENDED


async def test_when_something_may_be_missed_all_are_looked_at_a_few_at_a_time() -> None:
    """After a broken connection to the store every followed session is looked at, and the store keeps time for beats."""
    store = await watched()
    async with scene_of(store) as scene:
        many = [await scene.manager.start(f"reader {number}") for number in range(100)]
        streams = [await scene.follow(started) for started in many]
        for started in many[::2]:
            await store.end(started.session.handle, EndedBy.REVOKED, now=START)
        store.looks.clear()
        store.most_at_once = 0
        await store.tells.put(None)
        while len(store.looks) < len(many):
            await settle()
        await settle()
        assert [told(stream) for stream in streams] == [Event.ENDED, None] * 50
        assert store.most_at_once == LOOKS_AT_ONCE


async def test_a_rotation_breaks_no_stream() -> None:
    """A stream belongs to the session: after a new id it goes on and is told the end."""
    async with scene_of() as scene:
        started = await scene.manager.start("reader")
        stream = await scene.follow(started)
        rotated = await scene.manager.rotate(started.secret)
        assert rotated is not None
        await scene.manager.extend(rotated.secret)
        await scene.tick(seconds(1))
        await scene.manager.end(rotated.secret)
        await settle()
        assert told(stream) is Event.ENDED


async def test_watching_stops_when_nobody_follows_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute after the last stream nothing runs; the next stream begins anew."""
    monkeypatch.setattr(module, "TICK_S", 0)
    store = await watched()
    async with scene_of(store) as scene:
        quiet = asyncio.all_tasks()
        started = await scene.manager.start("reader")
        stream = await scene.follow(started)
        scene.clock.advance(LINGER_MS)
        await settle()
        assert store.watching == 1
        stream.close()
        scene.clock.advance(LINGER_MS - 1)
        await settle()
        assert store.watching == 1
        scene.clock.advance(1)
        await settle()
        assert store.watching == 0
        assert asyncio.all_tasks() == quiet
        await store.tells.put(None)
        await scene.follow(started)
        assert store.watching == 1


async def test_a_stop_closes_every_stream_and_takes_no_more() -> None:
    """Each stream is closed without an event, who waits for the store is sent away, and so is who comes later."""
    store = WatchedStore()
    async with scene_of(store) as scene:
        started = await scene.manager.start("reader")
        waiting = asyncio.create_task(scene.push.ready())
        await settle()
        scene.push.stop()
        with pytest.raises(StoreError, match="stopping"):
            await waiting
        with pytest.raises(StoreError, match="stopping") as caught:
            await scene.push.ready()
        assert caught.value.retry_after == 1
        with pytest.raises(StoreError, match="stopping"):
            scene.push.follow(started.session, lambda: None, since=0)
    store = await watched()
    async with scene_of(store) as scene:
        stream = await scene.follow(await scene.manager.start("reader"))
        scene.push.stop_when = lambda: True
        await scene.tick()
        telling = stream.take()
        assert telling is not None
        assert (telling.event, telling.is_last) == (None, True)
