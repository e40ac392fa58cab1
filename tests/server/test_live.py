"""The dashboard's live stream, of the running program over real sockets."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest

from tests.server.listeners import DashboardListener
from tests.server.site import ADMIN_TOKEN, VIEWER_TOKEN, Site
from tests.server.test_dashboard import READ, opened, person
from tests.services import redis_server
from tests.support import BUSY_S, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

BRIEF: Final = ("--beat-interval", "5s", "--idle-timeout", "10m", "--trusted-proxies", "127.0.0.1/32", "--sweep-interval", "1h")


@contextmanager
def listening(url: str, **headers: str) -> Generator[DashboardListener]:
    """Listen until the end of the block."""
    listener = DashboardListener(url, headers.pop("Cookie", None), headers=headers)
    listener.start()
    try:
        wait_until(lambda: bool(listener.heard) or listener.closed is not None, what="a first event")
        yield listener
    finally:
        listener.break_off()


def cookie_of(operator: httpx2.Client) -> str:
    """Tell an operator's cookie."""
    return f"operator={operator.cookies['operator']}"


def here(listener: DashboardListener, email: str) -> dict[str, Any] | None:
    """Tell what a listener knows of somebody."""
    (*_, latest) = [heard.data for heard in tuple(listener.heard) if heard.event == "now"]
    return next((dict(row) for row in latest["here"] if row["visitor"] == email), None)


def until(listeners: list[DashboardListener], email: str, holds: Callable[[dict[str, Any] | None], bool], what: str) -> None:
    """Wait until every listener knows something of somebody."""
    wait_until(lambda: all(holds(here(listener, email)) for listener in listeners), what=what)


def test_everybody_who_listens_sees_who_comes_and_goes(site: Site) -> None:
    """Several dashboards, of operators and viewers, in browsers and programs, are told of an arrival, a change and a goodbye."""
    ways = [{"Cookie": cookie_of(site.operator())}, {"Cookie": cookie_of(site.viewer())}, {"Authorization": f"Bearer {VIEWER_TOKEN}"}]
    email = site.name()
    with listening(site.url, **ways[0]) as first, listening(site.url, **ways[1]) as second, listening(site.url, **ways[2]) as third:
        listeners = [first, second, third]
        assert [listener.names()[0] for listener in listeners] == ["now"] * 3
        assert first.answer["content-type"] == "text/event-stream; charset=utf-8"
        assert (first.answer["cache-control"], first.answer["x-accel-buffering"]) == ("private, no-store", "no")
        visitor = opened(site, email, "v1")
        until(listeners, email, lambda row: row is not None and row["present"], "an arrival")
        visitor.post("/session/beat", json={"kind": "leave", "view": "v1", "seq": 2, "visibleMs": 5, "lifecycle": "hidden"})
        until(listeners, email, lambda row: row is not None and row["left"], "a goodbye")
        row = here(first, email)
        assert row == {**(person(site.operator(), email)), **moving(row)}
        told = [visit for heard in first.heard if heard.event == "visits" for visit in heard.data["visits"] if visit["visitor"] == email]
        assert [visit["here"] for visit in told] == [True, False]


def moving(row: dict[str, Any] | None) -> dict[str, Any]:
    """Tell those members that move with the clock."""
    assert row is not None
    return {name: row[name] for name in ("lastSeenMs", "lastActiveMs", "expiresInMs", "left")}


def test_an_end_is_told_at_once_on_a_quiet_site(tmp_path: Path) -> None:
    """A session that is ended elsewhere is shown as ended well before the next second has passed; the visit says why."""
    with serving("memory://", *BRIEF, log=tmp_path / "log", environment={"STILLHERE_ADMIN_TOKEN": ADMIN_TOKEN}) as program:
        bearer = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        visitor = httpx2.Client(base_url=program.url, headers={"origin": program.url}, timeout=20)
        visitor.post("/gate", data={"email": "reader@fund.example"})
        visitor.post("/session/beat", json={**READ, "view": "v1"})
        with listening(program.url, **bearer) as stream:
            time.sleep(1.5)  # more than a second after the last thing that was told
            before = stream.names()
            began = time.monotonic()
            handle = visitor.get("/admin/api/now", headers=bearer).json()["here"][0]["session"]
            visitor.post(f"/admin/api/sessions/{handle}/end", headers=bearer)
            told = stream.wait("visits")
            assert told.at - began < 1 + BUSY_S
            assert [visit["endedBy"] for visit in told.data["visits"]] == ["revoked"]
            assert before == ["now"]
        visitor.close()


def test_nothing_new_is_not_told(tmp_path: Path) -> None:
    """While nobody comes, goes or does anything no `now` is sent, though the clock moves on."""
    environment = {"STILLHERE_ADMIN_TOKEN": ADMIN_TOKEN}
    with (
        serving("memory://", log=tmp_path / "log", environment=environment) as program,
        httpx2.Client(base_url=program.url, headers={"origin": program.url}, timeout=20) as visitor,
    ):
        visitor.post("/gate", data={"email": "reader@fund.example"})
        visitor.post("/session/beat", json={**READ, "view": "v1"})
        with listening(program.url, Authorization=f"Bearer {ADMIN_TOKEN}") as stream:
            time.sleep(3)
            assert stream.names() == ["now"]


def test_trouble_is_told_and_so_is_its_end(tmp_path: Path) -> None:
    """While the store cannot be reached listeners are told so once; when it can, who is here is told anew. The line stays open."""
    with ExitStack() as stack:
        server = stack.enter_context(redis_server(tmp_path / "redis"))
        environment = {"STILLHERE_ADMIN_TOKEN": ADMIN_TOKEN}
        program = stack.enter_context(serving(server.url, *BRIEF, log=tmp_path / "log", environment=environment))
        bearer = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        with listening(program.url, **bearer) as stream:
            server.stop()
            told = stream.wait("trouble")
            assert told.data["retryAfter"] >= 1
            with listening(program.url, **bearer) as later:
                assert "trouble" in later.names()
            server.start()
            wait_until(lambda: stream.names()[-1] == "now", what="the end of the trouble")
            names = stream.names()  # a server that has just begun may be away for another moment
            assert names[0] == "now"
            assert all(one != another for one, another in pairwise(names))
            assert stream.closed is None


def test_a_stream_ends_with_its_operators_session(site: Site) -> None:
    """Signing out closes the operator's streams with `ended` and its reason, and nobody else's."""
    operator = site.operator()
    with listening(site.url, Cookie=cookie_of(operator)) as stream, listening(site.url, Cookie=cookie_of(site.operator())) as other:
        operator.post("/admin/logout")
        assert stream.wait("ended").data == {"reason": "signed_out"}
        assert stream.wait_closed() == 0
        assert other.closed is None


@pytest.mark.parametrize("way", ["nobody", "foreign", "visitor"])
def test_no_stream_without_an_operator(site: Site, way: str) -> None:
    """Strangers, visitors and other sites' pages hear nothing."""
    headers = {
        "nobody": {},
        "foreign": {"Cookie": cookie_of(site.operator()), "Origin": "https://evil.example"},
        "visitor": {"Cookie": f"session={site.enter().cookies['session']}"},
    }[way]
    with listening(site.url, **headers) as stream:
        assert stream.status == (403 if way == "foreign" else 401)
        assert stream.heard == []


def test_an_operators_streams_are_counted(site: Site) -> None:
    """Ten pages of one operator are live, an eleventh is 429; a page that goes away makes room at once."""
    operator = site.operator()
    streams = [DashboardListener(site.url, cookie_of(operator)) for _ in range(10)]
    for stream in streams:
        stream.start()
    wait_until(lambda: all(stream.heard for stream in streams), what="ten open streams")
    answer = operator.get("/admin/api/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    with listening(site.url, Cookie=cookie_of(site.operator())) as other:
        assert other.status == 200
    streams.pop().break_off()

    def is_open() -> bool:
        with operator.stream("GET", "/admin/api/events") as again:
            return again.status_code == 200

    wait_until(is_open, what="room for a stream")
    for stream in streams:
        stream.break_off()


def test_the_program_stops_while_somebody_listens(tmp_path: Path) -> None:
    """An open dashboard does not hold up a restart: it is closed, and the time for what is under way does not run out."""
    with ExitStack() as stack:
        program = stack.enter_context(serving("memory://", log=tmp_path / "log", environment={"STILLHERE_ADMIN_TOKEN": ADMIN_TOKEN}))
        stream = stack.enter_context(listening(program.url, Authorization=f"Bearer {ADMIN_TOKEN}"))
        assert program.stop() in {0, -15}
        assert stream.wait_closed() == 0
    log = (tmp_path / "log").read_text("utf-8")
    assert "graceful shutdown exceeded" not in log
    assert "Traceback" not in log


def test_asking_for_the_head_of_a_stream(site: Site) -> None:
    """HEAD is answered and done."""
    answer = site.operator().head("/admin/api/events")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
