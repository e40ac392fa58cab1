"""Streams over ASGI, spoken by hand: what is sent, who goes first, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Final

import pytest

from stillhere import push
from stillhere.adapters.asgi import SessionRoutes
from stillhere.adapters.streams import FRAMES_PER_MINUTE, LARGEST_FRAME, is_server_stopping
from stillhere.core.policy import minutes, seconds
from stillhere.errors import StillhereError
from stillhere.http.config import HttpConfig
from tests.adapters.apps import wrapped
from tests.adapters.peers import Peer, connected, site, tick
from tests.http.doubles import never_asked
from tests.manager.doubles import settle

KINDS: Final = ("events", "socket")


@pytest.fixture(autouse=True)
def slow_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests tick, not time."""
    monkeypatch.setattr(push, "TICK_S", 3_600)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_whole_life(kind: str) -> None:
    """State, signs of life, warning, state after a choice to stay, warning, end: each once, and then the stream is closed."""
    async with site() as (web, app):
        started = await web.sign_in()
        peer = await connected(kind, web, app, started)
        await tick(web, seconds(25))
        await tick(web, minutes(18))
        await web.manager.extend(started.secret)
        await tick(web, 0)
        await tick(web, minutes(18))
        assert peer.is_served()
        await tick(web, minutes(2) + seconds(1))
        assert not peer.is_served()
        assert peer.heard() == ["state", "expiring", "state", "expiring", "ended", 0 if kind == "events" else 4401]
        signs = [message for message in peer.sent if message.get("body") == b":\n\n"]
        assert bool(signs) is (kind == "events")


async def test_the_first_event_says_when_to_come_back() -> None:
    """Headers first, then `retry` and the state in one piece."""
    async with site() as (web, app):
        peer = await connected("events", web, app)
        start, first = peer.sent
        assert (start["type"], start["status"]) == ("http.response.start", 200)
        assert (b"content-type", b"text/event-stream; charset=utf-8") in start["headers"]
        assert first["body"].startswith(b"retry: ")
        assert b"\nevent: state\ndata: {" in first["body"]
        peer.leaves()
        await settle()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_that_goes_away_leaves_nothing(kind: str) -> None:
    """Noticed at once, whether something was to be told or not; a thousand come and go without a trace."""
    async with site(HttpConfig(beats_per_minute=10_000)) as (web, app):
        started = await web.sign_in()
        for number in range(1_000):
            peer = await connected(kind, web, app, started)
            if number % 2:
                await web.manager.extend(started.secret)
            peer.leaves()
            await settle()
            assert not peer.is_served()
            assert web.manager.push.streams.count == 0
        assert len(asyncio.all_tasks()) <= 3  # this test, the timer and the watch


@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_that_is_gone_when_it_is_told(kind: str) -> None:
    """A server may say so by an error in `send`; that is no error of ours."""
    async with site() as (web, app):
        peer = await connected(kind, web, app)
        peer.gone = OSError("gone")
        await tick(web, minutes(18))
        assert not peer.is_served()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_fails_loses_one_stream(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """An error nobody expects closes that stream, is logged, and harms no other."""
    async with site() as (web, app):
        started = await web.sign_in()
        broken, well = [await connected(kind, web, app, started) for _ in range(2)]
        broken.gone = RuntimeError("a bug")
        await tick(web, minutes(18))
        assert not broken.is_served()
        assert well.heard() == ["state", "expiring"]
        well.leaves()
        await settle()
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["a stream failed"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_slow_reader_has_the_latest_and_no_backlog(kind: str) -> None:
    """While it does not read, others are told in time and nothing piles up; then it gets what was under way, and how things are."""
    async with site(HttpConfig(beats_per_minute=10_000)) as (web, app):
        started = await web.sign_in()
        slow, quick = [await connected(kind, web, app, started) for _ in range(2)]
        slow.reads.clear()
        for _ in range(100):
            await web.manager.extend(started.secret)
            await tick(web, seconds(2))
        assert quick.heard() == ["state"] * 100
        assert slow.heard() == ["state"]
        tasks = len(asyncio.all_tasks())
        await tick(web, seconds(2))
        assert len(asyncio.all_tasks()) == tasks
        slow.reads.set()
        await settle()
        assert slow.heard() == ["state"] * 3
        last = slow.sent[-1]
        data = last["body"].decode().partition("data: ")[2] if kind == "events" else json.dumps(json.loads(last["text"])["data"])
        assert json.loads(data)["expiresInMs"] == minutes(20) - seconds(4)
        for peer in (slow, quick):
            peer.leaves()
        await settle()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_slow_reader_can_be_let_go(kind: str) -> None:
    """Gone while something is being written to it: the writer goes too."""
    async with site() as (web, app):
        peer = await connected(kind, web, app)
        peer.reads.clear()
        await tick(web, minutes(18))
        peer.leaves()
        await settle()
        assert not peer.is_served()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_tells_no_end(kind: str) -> None:
    """Not every server wakes an application when its answer is complete: it ends all the same."""
    async with site() as (web, app):
        started = await web.sign_in()
        peer = await connected(kind, web, app, started)
        peer.tells_the_end = False
        await web.manager.end(started.secret)
        await settle()
        assert not peer.is_served()
        assert peer.task is not None
        assert peer.task.exception() is None


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_cancels_is_obeyed(kind: str) -> None:
    """A connection that is cancelled from outside is, and its stream is forgotten; also if it was over anyway."""
    async with site() as (web, app):
        started = await web.sign_in()
        for ends in (False, True):
            peer = await connected(kind, web, app, started)
            peer.tells_the_end = False
            assert peer.task is not None
            if ends:
                await web.manager.end(started.secret)
                peer.reads.clear()
                await settle()
                peer.task.cancel()
                peer.reads.set()
            peer.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await peer.task
            assert web.manager.push.streams.count == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_start_that_takes_its_time(kind: str) -> None:
    """What falls due while the headers are still on their way comes after them."""
    async with site() as (web, app):
        started = await web.sign_in()
        peer = Peer(kind, started.secret)
        peer.reads.clear()
        await peer.call(app)
        await web.manager.end(started.secret)
        await settle()
        assert peer.sent == []
        peer.reads.set()
        await settle()
        assert peer.sent[0]["type"] in {"http.response.start", "websocket.accept"}
        assert peer.heard()[0] == "ended"
        assert not peer.is_served()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stop_closes_streams(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the server was told to stop, streams are closed without an event, and later ones are refused."""
    async with site() as (web, app):
        started = await web.sign_in()
        peers = [await connected(kind, web, app, started) for _ in range(3)]
        monkeypatch.setattr(web.manager.push, "stop_when", lambda: True)
        await tick(web)
        assert [peer.heard() for peer in peers] == [["state", 0 if kind == "events" else 1012]] * 3
        assert not any(peer.is_served() for peer in peers)
        late = await connected(kind, web, app, started)
        assert not late.is_served()
        assert late.sent[0].get("status") == 503 if kind == "events" else late.heard() == [1008]


def test_uvicorn_is_asked_whether_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who handles SIGTERM is asked, if it is a server that can say so; anything else never stops."""

    class Server:
        should_exit = False

        def handle_exit(self, *_: object) -> None:
            """Stop."""

    server = Server()
    before = signal.signal(signal.SIGTERM, server.handle_exit)
    try:
        assert not is_server_stopping()
        server.should_exit = True
        assert is_server_stopping()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not is_server_stopping()
    assert wrapped(never_asked()).endpoints.manager.push.stop_when is is_server_stopping
    monkeypatch.setattr(signal, "getsignal", lambda _: print)
    assert not is_server_stopping()


async def test_a_get_with_a_body_is_let_go() -> None:
    """Nobody sends a body with a GET for good reasons: the answer ends, whatever else would come."""
    async with site() as (web, app):
        peer = await connected("events", web, app)
        peer.says({"type": "http.request", "body": b"", "more_body": True})
        await settle()
        assert peer.is_served()
        peer.says({"type": "http.request", "body": b"more", "more_body": True})
        await settle()
        assert not peer.is_served()
        assert peer.heard() == ["state", 0]


async def test_frames_from_a_page_are_ignored_and_extend_nothing() -> None:
    """Text or bytes, a frame is not read: it moves no clock."""
    async with site() as (web, app):
        started = await web.sign_in()
        before = web.kept()
        peer = await connected("socket", web, app, started)
        web.clock.advance(minutes(1))
        for number in range(FRAMES_PER_MINUTE):
            peer.says(
                {"type": "websocket.receive", "text": '{"kind":"extend"}'} if number % 2 else {"type": "websocket.receive", "bytes": b"x"}
            )
        peer.says({"type": "websocket.receive", "text": None, "bytes": None})
        await settle()
        assert web.kept() == before
        assert not peer.is_served(), "one more than is put up with"
        assert peer.heard() == ["state", 1008]


@pytest.mark.parametrize(("size", "heard"), [(LARGEST_FRAME, ["state"]), (LARGEST_FRAME + 1, ["state", 1009])])
@pytest.mark.parametrize("is_text", [True, False])
async def test_a_large_frame_closes_the_line(size: int, heard: list[str | int], is_text: bool) -> None:  # noqa: FBT001  # one of two cases
    """1,024 characters are ignored, one more closes with 1009."""
    async with site() as (web, app):
        peer = await connected("socket", web, app)
        peer.says({"type": "websocket.receive", **({"text": "x" * size} if is_text else {"bytes": b"x" * size})})
        await settle()
        assert peer.heard() == heard
        peer.leaves()
        await settle()
        assert not peer.is_served()


async def test_a_handshake_that_breaks_off() -> None:
    """A client that goes away before it connects is none."""
    async with site() as (web, app):
        peer = Peer("socket", (await web.sign_in()).secret)
        peer.inbox.get_nowait()
        peer.leaves()
        await peer.call(app)
        assert not peer.is_served()
        assert peer.sent == []


@pytest.mark.parametrize(("headers", "status", "code"), [([], 401, 4401), ([(b"origin", b"https://evil.example")], 403, 1008)])
@pytest.mark.parametrize("can_answer", [True, False])
async def test_a_refused_handshake(headers: list[tuple[bytes, bytes]], status: int, code: int, can_answer: bool) -> None:  # noqa: FBT001  # one of two cases
    """The problem is its answer, with all headers, where the server can send one; else it is closed before it opened."""
    async with site() as (_, app):
        peer = Peer("socket", extensions={"websocket.http.response": {}} if can_answer else None)
        peer.scope["headers"] = [*headers, *(pair for pair in peer.scope["headers"] if not headers or pair[0] != b"origin")]
        await peer.call(app)
        assert not peer.is_served()
        if not can_answer:
            assert peer.sent == [{"type": "websocket.close", "code": code}]
            return
        start, body = peer.sent
        assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
        assert (b"cache-control", b"private, no-store") in start["headers"]
        assert (body["type"], json.loads(body["body"])["status"]) == ("websocket.http.response.body", status)


@pytest.mark.parametrize("path", ["/session", "/session/beat", "/session/events", "/session/nothing"])
async def test_no_other_session_route_is_a_websocket(path: str) -> None:
    """404; and the application is not asked about what lies below the prefix."""
    async with site() as (web, app):
        peer = Peer("socket", (await web.sign_in()).secret, path=path, extensions={"websocket.http.response": {}})
        await peer.call(app)
        assert peer.sent[0]["status"] == 404


async def test_the_routes_can_be_mounted_with_their_streams() -> None:
    """`SessionRoutes` carries streams too; anything but http and websocket is refused."""
    async with site() as (web, _):
        started = await web.sign_in()
        app = SessionRoutes(web.manager)
        for kind in KINDS:
            peer = await connected(kind, web, app, started)
            assert peer.heard() == ["state"]
            peer.leaves()
            await settle()
        with pytest.raises(StillhereError, match="http and websocket only, not lifespan"):
            await app({"type": "lifespan"}, Peer("events").inbox.get, Peer("events")._send)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_idle_stream_is_one_task(kind: str) -> None:
    """A hundred idle streams are the hundred tasks in which a server calls an application, one watch and one timer."""
    async with site(HttpConfig(streams_per_session=100)) as (web, app):
        started = await web.sign_in()
        before = len(asyncio.all_tasks())
        peers = [await connected(kind, web, app, started) for _ in range(100)]
        assert len(asyncio.all_tasks()) == before + 100 + 2
        for peer in peers:
            peer.leaves()
        await settle()
