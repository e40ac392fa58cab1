"""The dashboard's live stream, with a clock to move: what it extends, and what a slow page is told."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import httpx2
import msgspec
import pytest
from msgspec.structs import replace

from stillhere import SessionManager
from stillhere.archive.records import VisitReport
from stillhere.core.policy import hours, minutes
from stillhere.core.records import Lifecycle
from stillhere.core.wire import Beat, Kind
from stillhere.errors import StoreError
from stillhere.server.admin.live import MOST_KNOWN, Listener, Live
from stillhere.server.admin.now import Glance
from stillhere.server.app import build_app
from stillhere.server.settings import load_settings
from tests.server.site import ADMIN_TOKEN
from tests.support import PATIENCE_S, START, FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stillhere.adapters.asgi import App
    from stillhere.server.admin.now import Seen

URL: Final = "http://localhost:8000"


class Line:
    """A stream of an application in this process.

    Args:
        app: the application.
        cookie: the operator's.

    Attributes:
        text: what was heard so far.
    """

    def __init__(self, app: App, cookie: str) -> None:
        headers = [(b"host", b"localhost:8000"), (b"cookie", cookie.encode())]
        scope = {"type": "http", "method": "GET", "path": "/admin/api/events", "query_string": b"", "headers": headers, "root_path": ""}
        scope |= {"scheme": "http", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "http_version": "1.1"}
        self.text = ""
        self._gone, self._heard = asyncio.Event(), asyncio.Event()
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.text += message.get("body", b"").decode()
        self._heard.set()

    async def until(self, word: str) -> None:
        """Wait until something is heard."""
        async with asyncio.timeout(PATIENCE_S):
            while word not in self.text:
                self._heard.clear()
                await self._heard.wait()

    async def go(self) -> None:
        """Go away."""
        self._gone.set()
        await self.task


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock to move."""
    return FakeClock()


@pytest.fixture
def app(clock: FakeClock) -> App:
    """Give the program's application, in this process."""
    settings = load_settings({"store": "memory://"})
    return build_app(SessionManager("memory://", clock=clock), settings, admin_token=ADMIN_TOKEN)


@pytest.fixture
async def operator(app: App) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a browser in which an operator is signed in."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=URL, headers={"origin": URL}) as browser:
        assert (await browser.post("/admin/login", data={"token": ADMIN_TOKEN})).status_code == 303
        yield browser


async def test_a_stream_extends_nothing(app: App, operator: httpx2.AsyncClient, clock: FakeClock) -> None:
    """A dashboard that is only watched is signed out when its idle timeout is over, however often the stream is opened anew."""
    cookie = f"operator={operator.cookies['operator']}"
    first = Line(app, cookie)
    await first.until("event: now")
    clock.advance(hours(7))
    await first.go()
    second = Line(app, cookie)
    await second.until("event: now")
    assert (await operator.get("/admin/api/now", headers={"x-heartbeat": "true"})).status_code == 200
    clock.advance(hours(1) + minutes(1))
    await second.until("event: ended")
    assert second.text.endswith('event: ended\ndata: {"reason":"idle"}\n\n')
    await asyncio.wait_for(second.task, PATIENCE_S)
    assert (await operator.get("/admin/api/now")).status_code == 401


async def test_a_stream_shows_that_it_is_alive(app: App, operator: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream with nothing to tell sends a comment now and then, so that no proxy cuts it."""
    monkeypatch.setattr("stillhere.server.admin.events.ALIVE_INTERVAL_S", 0.5)
    line = Line(app, f"operator={operator.cookies['operator']}")
    await line.until("event: now")
    await line.until("\n\n:\n\n:\n\n")
    assert line.text.count("event: ") == 1
    await line.go()


def test_a_slow_page_is_told_the_latest_and_no_backlog() -> None:
    """What a page could not read yet is replaced by what is newer; trouble is over with the next `now`."""
    listener = Listener("somebody", None)
    listener.owe(now=b"event: now\ndata: 1\n\n", visits=[{"id": "a.1", "n": 1}, {"id": "b.1", "n": 1}])
    listener.owe(trouble=b"event: trouble\ndata: {}\n\n")
    listener.owe(now=b"event: now\ndata: 2\n\n", visits=[{"id": "a.1", "n": 2}])
    told = listener.take().decode()
    assert told.count("event: now") == 1
    assert "data: 2" in told
    assert "trouble" not in told
    visits = json.loads(told.partition("data: ")[2].partition("\n")[0])["visits"]
    assert visits == [{"id": "b.1", "n": 1}, {"id": "a.1", "n": 2}]
    assert listener.take() == b""
    listener.owe(visits=({"id": f"{n}.1"} for n in range(MOST_KNOWN + 10)))
    told = listener.take().decode()
    assert (told.count('"id"'), '"0.1"' in told, f'"{MOST_KNOWN + 9}.1"' in told) == (MOST_KNOWN, False, True)


async def test_who_comes_later_is_told_what_is_so_now(clock: FakeClock) -> None:
    """How long ago somebody was seen, and how long until their session ends, are told as of now, not of when something was new last."""
    async with SessionManager("memory://", clock=clock) as manager:
        assert manager.archive is not None
        session = await manager.start("reader@fund.example")
        await manager.beat(session.secret, [Beat(kind=Kind.BEAT, view="v", seq=0, lifecycle=Lifecycle.ACTIVE)])
        live = Live(Glance(manager, manager.archive), manager.store)
        seen = list[int]()
        for wait in (0, 40_000, 40_000):
            clock.advance(wait)
            listener = live.listen("operator", None)
            assert listener is not None
            while not (told := listener.take()):
                await asyncio.wait_for(listener.woken.wait(), PATIENCE_S)
            (row,) = json.loads(told.partition(b"data: ")[2].partition(b"\n")[0])["here"]
            seen.append(row["lastSeenMs"])
            assert row["lastSeenMs"] + row["expiresInMs"] == manager.policy.idle_timeout
        assert seen == [0, 40_000, 80_000]
        await live.close()


async def test_today_begins_at_midnight_of_the_zone(clock: FakeClock) -> None:
    """At a quarter past midnight in Berlin the visit of an hour ago was yesterday's; in London, where it still is yesterday, today's."""
    async with SessionManager("memory://", clock=clock) as manager:
        assert manager.archive is not None
        session = await manager.start("reader@fund.example")
        await manager.beat(session.secret, [Beat(kind=Kind.BEAT, view="v", seq=0, lifecycle=Lifecycle.ACTIVE)])
        clock.advance(hours(1))
        visits = [(await Glance(manager, manager.archive, zone=zone).now())["totals"] for zone in ("Europe/Berlin", "Europe/London")]
        assert [msgspec.convert(totals, dict[str, int])["visitsToday"] for totals in visits] == [0, 1]


class Counting(Glance):
    """Counts looks, and fails when it is told to."""

    looks = 0
    error: Exception | None = None

    async def look(self) -> Seen:
        """Look."""
        self.looks += 1
        if self.error is not None:
            raise self.error
        return await super().look()


async def test_one_look_serves_all_and_none_is_taken_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many listen there is one look at a time; when the last has left there are none."""
    monkeypatch.setattr("stillhere.server.admin.live.LOOK_INTERVAL_S", 0.05)
    manager = SessionManager("memory://")
    assert manager.archive is not None
    glance = Counting(manager, manager.archive)
    live = Live(glance, manager.store)
    listeners = [live.listen(f"operator {n}", None) for n in range(50)]
    async with asyncio.timeout(PATIENCE_S):
        while glance.looks < 3:  # noqa: ASYNC110  # the loop under test has nothing to wait for
            await asyncio.sleep(0.01)
    for listener in listeners:
        assert listener is not None
        assert b"event: now" in listener.take()
        live.leave(listener)
    seen = glance.looks
    await asyncio.sleep(0.2)
    assert glance.looks == seen
    await live.close()
    await manager.close()


@pytest.mark.parametrize("error", [StoreError("away", retry_after=9), RuntimeError("a bug")])
async def test_a_look_that_fails_is_tried_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Trouble of any kind is logged and passes; of the store's it is told, once."""
    monkeypatch.setattr("stillhere.server.admin.live.PAUSES_S", (0.02,))
    manager = SessionManager("memory://")
    assert manager.archive is not None
    glance = Counting(manager, manager.archive)
    live = Live(glance, object())
    glance.error = error
    listener = live.listen("somebody", None)
    assert listener is not None
    async with asyncio.timeout(PATIENCE_S):
        while glance.looks < 3:  # noqa: ASYNC110  # the loop under test has nothing to wait for
            await asyncio.sleep(0.01)
    told = listener.take()
    assert told == (b'event: trouble\ndata: {"retryAfter":9}\n\n' if isinstance(error, StoreError) else b"")
    assert len(caplog.records) == (1 if isinstance(error, StoreError) else glance.looks)
    glance.error = None
    async with asyncio.timeout(PATIENCE_S):
        while b"event: now" not in listener.take():
            await listener.woken.wait()
    live.leave(listener)
    await live.close()
    await manager.close()


class Scripted(Glance):
    """Sees what a test says.

    Attributes:
        present: visits that were seen lately.
        others: visits that were not, by their ids.
    """

    def __init__(self, manager: SessionManager) -> None:
        assert manager.archive is not None
        super().__init__(manager, manager.archive)
        self.present: list[VisitReport] = []
        self.others: dict[str, VisitReport] = {}

    async def look(self) -> Seen:
        """Look."""
        return replace(await super().look(), visits=self.present)

    async def visit(self, visit_id: str) -> VisitReport | None:
        """Look at one visit."""
        return self.others.get(visit_id)


def visit_of(number: int, *, ended_by: str | None = None, visible_ms: int = 0) -> VisitReport:
    """Make a visit."""
    visit = {"id": f"handle{number}.1", "session": f"handle{number}", "visitor": "somebody", "views": 1}
    spans = {"startedAt": START, "endedAt": START, "openMs": visible_ms, "visibleMs": visible_ms, "activeMs": 0}
    return msgspec.convert({**visit, **spans, "endedBy": ended_by}, VisitReport, strict=False)


async def test_every_change_of_a_visit_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A visit that goes on, one that is lost from sight, one that ends elsewhere, one that was changed here: each is told, and no other."""
    monkeypatch.setattr("stillhere.server.admin.live.LOOK_INTERVAL_S", 0.02)
    monkeypatch.setattr("stillhere.server.admin.live.LEAST_INTERVAL_S", 0.01)
    manager = SessionManager("memory://")
    glance = Scripted(manager)
    glance.present = [visit_of(1), visit_of(2), visit_of(3)]
    live = Live(glance, manager.store)
    listener = live.listen("somebody", None)
    assert listener is not None

    async def told() -> list[tuple[str, int, str | None]]:
        async with asyncio.timeout(PATIENCE_S):
            while b"event: visits" not in (body := listener.take()):
                await listener.woken.wait()
        visits = json.loads(body.decode().partition("event: visits\ndata: ")[2].partition("\n")[0])["visits"]
        return [(visit["session"], visit["visibleMs"], visit["endedBy"]) for visit in visits]

    async with asyncio.timeout(PATIENCE_S):
        while b"event: now" not in listener.take():
            await listener.woken.wait()
    glance.present = [visit_of(1, visible_ms=5), visit_of(2), visit_of(3)]
    assert await told() == [("handle1", 5, None)]
    glance.others = {"handle2.1": visit_of(2, ended_by="lost"), "handle9.1": visit_of(9, ended_by="leave")}
    glance.present = [visit_of(1, visible_ms=5), visit_of(3)]
    assert await told() == [("handle2", 0, "lost")]
    live.changed("handle9.1")
    live.changed("handle8.1")
    assert await told() == [("handle9", 0, "leave")]
    glance.others = {}
    glance.present = []
    await asyncio.sleep(0.2)
    assert listener.take() == b""
    live.leave(listener)
    live.changed("handle9.1")
    await live.close()
    await manager.close()
