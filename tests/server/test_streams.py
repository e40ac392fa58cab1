"""Streams of the running program, over real sockets."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import time
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest
from wsproto.events import BytesMessage, TextMessage

from tests.faults.clients import ask, sign_in
from tests.server.listeners import KINDS, SocketListener, listener, listening
from tests.support import BUSY_S, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support import Program

BRIEF: Final = (
    *("--idle-timeout", "8s", "--warning-timeout", "3s", "--beat-interval", "1s", "--activity-window", "1s"),
    *("--sweep-interval", "1h", "--requests-extend", "none"),
)
"""Short lives, and nobody but streams to notice that they are over."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Run the program for the tests of this file that leave it as it was."""
    folder = tmp_path_factory.mktemp("streams")
    limits = ("--streams-per-session", "5", "--beats-per-minute", "100000", "--allowed-origins", "https://partner.example")
    with serving(f"sqlite:///{folder / 'visits.db'}", *limits, log=folder / "log") as program:
        yield program
    assert "Traceback" not in (folder / "log").read_text("utf-8")


@pytest.fixture
def cookie(running: Program) -> str:
    """Sign somebody in."""
    return sign_in(running.url, "reader@fund.example")


@pytest.mark.parametrize("kind", KINDS)
def test_state_extension_and_end(kind: str, running: Program, cookie: str) -> None:
    """Open, be told the state, a choice to stay, and a sign-out with its reason; then the stream is closed."""
    with listening(kind, running.url, cookie) as stream:
        assert stream.heard[0].data.keys() == _look(running, cookie).keys()
        time.sleep(0.05)  # so that the deadline moves
        assert ask(running.url, "POST", "/session/beat", cookie, {"kind": "extend"})[0] == 200
        wait_until(lambda: stream.names() == ["state", "state"], what="the new state")
        assert ask(running.url, "POST", "/session/end", cookie)[0] == 200
        told = stream.wait("ended").data
        assert stream.wait_closed() == (0 if kind == "events" else 4401)
        assert stream.names() == ["state", "state", "ended"]
        assert told.keys() == {"reason", "title", "detail", "message", "endedAt"}
        assert told["reason"] == "signed_out"
    late = listener(kind, running.url, cookie)
    late.wait_closed()
    assert (late.status, late.problem["reason"]) == (401, "signed_out")


def _look(program: Program, cookie: str) -> dict[str, object]:
    return dict(json.loads(ask(program.url, "GET", "/session", cookie)[2]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_lapse_is_told_within_a_second_though_nobody_else_notices(kind: str, tmp_path: Path) -> None:
    """Warned and ended on time; the record shows that neither the streams nor their reconnects moved a clock."""
    with serving(f"sqlite:///{tmp_path / 'visits.db'}", *BRIEF, log=tmp_path / "log") as program, ExitStack() as open_streams:
        cookie = sign_in(program.url, "reader@fund.example")
        stream = open_streams.enter_context(listening(kind, program.url, cookie))
        for _ in range(5):
            with listening(kind, program.url, cookie):
                pass
        warning = stream.wait("expiring")
        assert warning.data["state"] == "expiring"
        ended = stream.wait("ended")
        assert ended.data["reason"] == "idle"
        with closing(sqlite3.connect(f"file:{tmp_path / 'visits.db'}?mode=ro", uri=True)) as file:
            ((created_at, active_at, seen_at, ended_at),) = file.execute(
                "SELECT created_at, last_active_at, last_seen_at, ended_at FROM stillhere_sessions"
            )
        assert (active_at, seen_at, ended_at) == (created_at, created_at, created_at + 8_000)
        assert -100 < warning.at_ms - (ended_at - 3_000) < (1 + BUSY_S) * 1_000
        assert 0 <= ended.at_ms - ended_at < (1 + BUSY_S) * 1_000
        assert re.search(r"session \w+ ended: idle", (tmp_path / "log").read_text("utf-8"))


@pytest.mark.parametrize(
    ("kind", "headers", "status"),
    [
        ("events", {"Sec-Fetch-Site": "same-origin"}, 200),
        ("events", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("events", {"Origin": "https://evil.example"}, 403),
        ("events", {"Origin": "https://partner.example", "Sec-Fetch-Site": "cross-site"}, 200),
        ("socket", {"Origin": "https://evil.example"}, 403),
        ("socket", {"Origin": "null"}, 403),
        ("socket", {"Sec-Fetch-Site": "same-site"}, 403),
        ("socket", {"Origin": "https://partner.example"}, 101),
    ],
)
def test_other_sites_are_refused(running: Program, cookie: str, kind: str, headers: dict[str, str], status: int) -> None:
    """With the cookie of a living session, a foreign page gets no stream; one of the list does, with CORS headers."""
    stream = listener(kind, running.url, cookie, headers=headers)
    wait_until(lambda: stream.status is not None, what="an answer")
    assert stream.status == status
    if status == 403:
        assert stream.wait_closed() == 0
        assert (stream.heard, stream.problem["status"]) == ([], 403)
        assert stream.answer["cache-control"] == "private, no-store"
    if kind == "events":
        expected = headers["Origin"] if headers.get("Origin") == "https://partner.example" else None
        assert stream.answer.get("access-control-allow-origin") == expected
    stream.break_off()


def test_the_answer_is_never_cached_or_buffered(running: Program, cookie: str) -> None:
    """What proxies read says: this is a stream, of one person."""
    with listening("events", running.url, cookie) as stream:
        assert stream.answer["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.answer["cache-control"] == "private, no-store"
        assert stream.answer["x-accel-buffering"] == "no"
        assert "content-length" not in stream.answer


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_breaks_off_makes_room(kind: str, running: Program) -> None:
    """A session has five streams and no sixth; when they break off without a word they are noticed, again and again."""
    cookie = sign_in(running.url, "reader@fund.example")
    for _ in range(5):
        five = [listener(kind, running.url, cookie) for _ in range(5)]
        for stream in five:
            stream.wait_open()
        sixth = listener(kind, running.url, cookie)
        sixth.wait_closed()
        assert (sixth.status, sixth.answer["retry-after"]) == (429, "30")
        for stream in five:
            stream.break_off()

        def has_room() -> bool:
            again = listener(kind, running.url, cookie)
            wait_until(lambda: again.status is not None, what="an answer")
            again.break_off()
            return again.status != 429

        wait_until(has_room, what="streams that broke off to be noticed")
        wait_until(lambda: _is_empty(kind, running.url, cookie), what="all of them to be gone")


def _is_empty(kind: str, url: str, cookie: str) -> bool:
    five = [listener(kind, url, cookie) for _ in range(5)]
    for stream in five:
        wait_until(lambda: stream.status is not None, what="an answer")  # noqa: B023  # it is called at once
    for stream in five:
        stream.break_off()
    return all(stream.status != 429 for stream in five)


def test_a_process_takes_so_many_streams(tmp_path: Path) -> None:
    """One more than it takes is 503 with `Retry-After`; beats and looks are answered as ever."""
    with serving("memory://", "--streams-per-process", "3", log=tmp_path / "log") as program, ExitStack() as open_streams:
        cookie = sign_in(program.url, "reader@fund.example")
        for kind in ("events", "socket", "events"):
            open_streams.enter_context(listening(kind, program.url, cookie))
        for kind in KINDS:
            refused = listener(kind, program.url, cookie)
            refused.wait_closed()
            assert (refused.status, refused.answer["retry-after"]) == (503, "30")
        assert ask(program.url, "POST", "/session/beat", cookie, {})[0] == 200


@pytest.mark.parametrize(
    ("message", "code"),
    [(TextMessage("x" * 1_025), 1009), (BytesMessage(b"x" * 1_000_000), 1009), (TextMessage('{"kind":"extend"}'), None)],
)
def test_what_a_page_sends_is_not_read(running: Program, message: TextMessage | BytesMessage, code: int | None) -> None:
    """A small frame is ignored and extends nothing; a large one closes the line, whoever of the two notices first."""
    cookie = sign_in(running.url, "reader@fund.example")
    with listening("socket", running.url, cookie) as stream:
        assert isinstance(stream, SocketListener)
        before = _look(running, cookie)["expiresInMs"]
        try:
            stream.say(message)
        except OSError:
            assert code is not None, "only a frame that is far too large is cut off while it is sent"
        if code is not None:
            assert stream.wait_closed() in {code, -1}
        else:
            time.sleep(0.3)  # it has had its chance
            after = _look(running, cookie)["expiresInMs"]
            assert isinstance(before, int)
            assert isinstance(after, int)
            assert after < before
            assert stream.closed is None


def test_too_many_frames_close_the_line(running: Program, cookie: str) -> None:
    """Sixty a minute are put up with."""
    with listening("socket", running.url, cookie) as stream:
        assert isinstance(stream, SocketListener)
        _say_often(stream)
        with suppress(AssertionError):
            stream.wait_closed(timeout_s=10)
        if stream.closed is None:  # a minute began meanwhile, and counts begin anew
            _say_often(stream)
        assert stream.wait_closed() == 1008


def _say_often(stream: SocketListener) -> None:
    for _ in range(61):
        stream.say(TextMessage("x"))


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_closes_streams_and_does_not_wait(tmp_path: Path, with_signal: signal.Signals) -> None:
    """With open streams of both kinds, one of which reads nothing, the program ends at once with 0; each stream is closed properly."""
    with serving(f"sqlite:///{tmp_path / 'visits.db'}", log=tmp_path / "log") as program:
        cookies = [sign_in(program.url, f"reader{number}@fund.example") for number in range(5)]
        streams = [listener(kind, program.url, cookie) for cookie in cookies for kind in KINDS for _ in range(4)]
        for stream in streams:
            stream.wait_open()
        deaf = socket.create_connection((urlsplit(program.url).hostname or "", urlsplit(program.url).port or 0))
        deaf.sendall(f"GET /session/events HTTP/1.1\r\nHost: x\r\nCookie: {cookies[0]}\r\n\r\n".encode())
        assert program.stop(with_signal) == 0
        deaf.close()
        assert [stream.wait_closed() for stream in streams] == [code for _ in cookies for code in (0, 1012) for _ in range(4)]
        assert {tuple(stream.names()) for stream in streams} == {("state",)}
    log = (tmp_path / "log").read_text("utf-8")
    assert "graceful shutdown exceeded" not in log  # the time for what is under way did not run out
    assert "ERROR" not in log
    assert "Traceback" not in log
