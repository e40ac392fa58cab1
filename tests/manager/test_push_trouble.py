"""Push in trouble: nobody is told what is not so, nothing stops for good, and no error of one is another's."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from stillhere import push as module
from stillhere.core.policy import minutes, seconds
from stillhere.core.records import EndedBy
from stillhere.errors import StoreError
from stillhere.manager import SessionManager
from stillhere.push import LOOKS_AT_ONCE
from stillhere.stores.memory import MemoryStore
from stillhere.streams import GRACE_MS, Event
from tests.manager.doubles import settle
from tests.manager.following import POLICY, Scene, WatchedStore, scene_of, told, watched
from tests.support import START

if TYPE_CHECKING:
    from stillhere.core.records import Session
    from stillhere.streams import Telling


@pytest.fixture(autouse=True)
def slow_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests tick, not time."""
    monkeypatch.setattr(module, "TICK_S", 3_600)


async def test_trouble_with_the_store_is_waited_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """While the store is down no stream is told anything or closed; when it is back each is told what happened."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def no_time(delay: float) -> None:
        if 0 < delay < 3_600:
            pauses.append(delay)
        await sleep(0 if delay < 3_600 else delay)
        if len(pauses) == 8:
            store.down = None

    store = await watched()
    async with scene_of(store) as scene:
        many = [await scene.manager.start(f"reader {number}") for number in range(LOOKS_AT_ONCE + 1)]
        streams = [await scene.follow(started) for started in many]
        monkeypatch.setattr(asyncio, "sleep", no_time)
        for started in many:
            await store.end(started.session.handle, EndedBy.REVOKED, now=START)
            await store.tells.put(started.session.handle)
        store.down = StoreError("the disk is gone")
        for _ in range(200):
            await sleep(0)
            if store.down is not None:
                assert [told(stream) for stream in streams] == [None] * len(many)
        assert [told(stream) for stream in streams] == [Event.ENDED] * len(many)
        assert pauses == [0.5, 1.0, 2.0, 5.0, 10.0, 10.0, 10.0, 10.0]
        monkeypatch.undo()
    assert [record.getMessage() for record in caplog.records if "wait for the store" in record.getMessage()] == [
        "open streams wait for the store: the disk is gone"
    ]


async def test_a_session_of_which_nothing_is_known_any_more_is_closed_without_a_word() -> None:
    """Forgotten, or lost with a store that was not durable: no end was recorded, so none is told."""
    store = await watched()
    async with scene_of(store) as scene:
        started = await scene.manager.start("reader")
        stream = await scene.follow(started)
        del store.sessions[started.session.handle]
        await store.tells.put(started.session.handle)
        await settle()
        telling: Telling | None = stream.take()
        assert telling is not None
        assert (telling.event, telling.is_last) == (None, True)


async def test_one_session_that_cannot_be_judged_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """An error nobody expects is logged with the handle, and every other stream is told."""
    store = await watched()
    async with scene_of(store) as scene:
        broken, ends = await scene.manager.start("broken"), await scene.manager.start("ends")
        streams = [await scene.follow(started) for started in (broken, ends)]
        store.sessions[broken.session.handle] = "no session"  # type: ignore[assignment]  # on purpose
        await store.end(ends.session.handle, EndedBy.REVOKED, now=START)
        for started in (broken, ends):
            await store.tells.put(started.session.handle)
        await settle()
        assert [told(stream) for stream in streams] == [None, Event.ENDED]
        streams[0].close()
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert broken.session.handle in record.getMessage()
    assert record.exc_info


async def test_another_id_while_it_is_judged_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotation between look and judgement is no end: the stream stays, and the next look sees the new id."""
    monkeypatch.setattr(module, "PAUSES_S", (0,))
    store = await watched()
    async with scene_of(store) as scene:
        started = await scene.manager.start("reader")
        stream = await scene.follow(started)
        handle = started.session.handle
        real, looks = store.get, list[str]()

        async def once_stale(asked: str) -> Session | None:
            looks.append(asked)
            before = store.sessions[asked]
            if len(looks) == 1:
                await store.rotate(asked, before.id_hash, "another", now=START)
                return before
            return await real(asked)

        scene.clock.advance(POLICY.idle_timeout + GRACE_MS)
        monkeypatch.setattr(store, "get", once_stale)
        await scene.tick()
        await settle()
        assert looks == [handle, handle]
        assert told(stream) is Event.ENDED


async def test_without_the_store_no_stream_is_opened() -> None:
    """If it cannot be watched at first, everybody who waits is told so, and the next one tries again."""
    store = WatchedStore()
    async with scene_of(store) as scene:
        waiting = [asyncio.create_task(scene.push.ready()) for _ in range(2)]
        gone = asyncio.create_task(scene.push.ready())
        await settle()
        gone.cancel()
        await store.tells.put(StoreError("not yet"))
        for one in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(one, StoreError)
        await store.tells.put(RuntimeError("no such thing"))
        with pytest.raises(StoreError, match="cannot be watched: no such thing"):
            await scene.push.ready()
        await store.tells.put(None)
        assert await scene.push.ready() == 1


@pytest.mark.parametrize(
    ("breaks", "said"), [(StoreError("gone"), "gone"), (RuntimeError("a bug"), "cannot be watched: a bug"), ("", "it stopped telling")]
)
async def test_a_watch_that_breaks_is_begun_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, breaks: str | Exception, said: str
) -> None:
    """Streams stay; when the store tells again, all are looked at for what was missed."""
    monkeypatch.setattr(module, "PAUSES_S", (0,))
    store = await watched()
    async with scene_of(store) as scene:
        started = await scene.manager.start("reader")
        stream = await scene.follow(started)
        await store.end(started.session.handle, EndedBy.REVOKED, now=START)
        await store.tells.put(breaks)
        await settle()
        assert told(stream) is None
        await store.tells.put(None)
        await settle()
        assert told(stream) is Event.ENDED
        assert store.watching == 1
    (told_so,) = [record.getMessage() for record in caplog.records if "is not watched for ends at the moment" in record.getMessage()]
    assert told_so.endswith(said)


class Unwatchable:
    """A memory store without `watch`."""

    def __init__(self) -> None:
        kept = MemoryStore()
        for verb in ("create", "beat", "get", "rotate", "end", "ping", "close"):
            setattr(self, verb, getattr(kept, verb))
        self.kept = kept


async def test_a_store_that_cannot_be_watched_is_looked_at_when_something_is_due(caplog: pytest.LogCaptureFixture) -> None:
    """The log says so once; an end elsewhere is then told with the warning at the latest."""
    scene = Scene()
    store: Any = Unwatchable()
    scene.manager = SessionManager(store, clock=scene.clock)
    scene.push = scene.manager.push
    started = await scene.manager.start("reader")
    stream = await scene.follow(started)
    await store.end(started.session.handle, EndedBy.REVOKED, now=START)
    await scene.tick(minutes(10))
    assert told(stream) is not Event.ENDED
    await scene.tick(minutes(8))
    assert told(stream) is Event.ENDED
    stream.close()
    await scene.follow(await scene.manager.start("another"))
    await scene.manager.close()
    assert caplog.text.count("Unwatchable cannot be watched") == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_an_end_that_is_being_recorded_is_announced_though_the_process_stops(fails: bool) -> None:  # noqa: FBT001  # one of two cases
    """Closing waits for a judgement that is under way, and the hook hears of the end; if the store fails then, nobody is told anything."""
    store = await watched()
    async with scene_of(store) as scene:
        started = await scene.manager.start("reader")
        stream = await scene.follow(started)
        store.judges.clear()
        await scene.tick(POLICY.idle_timeout + GRACE_MS)
        closing = asyncio.create_task(scene.manager.close())
        await settle()
        assert not closing.done()
        store.down = StoreError("gone") if fails else None
        store.judges.set()
        await closing
        assert [session.handle for session in scene.ended.sessions] == ([] if fails else [started.session.handle])
        telling = stream.take()
        assert telling is not None
        assert telling.is_last


async def test_a_tick_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong while streams are woken is logged, and the next tick comes."""
    monkeypatch.setattr(module, "TICK_S", 0)
    async with scene_of() as scene:
        started = await scene.manager.start("reader")
        stream = await scene.follow(started)
        woken: list[int] = []

        def fail() -> None:
            woken.append(scene.clock())
            if len(woken) == 1:
                raise RuntimeError("a bug")

        stream._wake = fail
        for _ in range(2):
            scene.clock.advance(seconds(30))
            await settle()
        assert len(woken) == 2
    assert "streams were not told what is due" in caplog.text
