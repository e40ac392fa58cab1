"""Who may open a stream, and what it tells, byte for byte."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import pytest
from msgspec.structs import replace

from stillhere.core.policy import Policy, hours, minutes, seconds
from stillhere.core.records import EndedBy
from stillhere.http.config import HttpConfig, Route
from stillhere.http.endpoints import SessionEndpoints
from stillhere.http.events import write_event, write_frame, write_retry
from stillhere.http.messages import Response
from stillhere.streams import Stream
from tests.http.doubles import (
    OWN,
    UNKNOWN_SECRET,
    Web,
    assert_private,
    assert_problem,
    header,
    in_trouble,
    never_asked,
    read,
    request,
)
from tests.http.test_origin import CONFIG, LISTED, ORIGINS, OWN_HEADERS, SITES, passes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stillhere.streams import Telling

PATHS: Final[dict[Route, str]] = {"events": "/session/events", "socket": "/session/socket"}


@asynccontextmanager
async def web_of(config: HttpConfig | None = None, policy: Policy | None = None) -> AsyncIterator[Web]:
    """Set up the routes; nothing is left running."""
    web = Web(config, policy)
    yield web
    await web.manager.close()


async def ask(endpoints: SessionEndpoints, route: Route = "events", *, method: str = "GET", **sent: Any) -> Stream | Response:
    """Ask for a stream."""
    return await endpoints.open(request(method, sent.pop("path", PATHS[route]), **sent), route, lambda: None)


def refused(answer: Stream | Response, status: int) -> dict[str, Any]:
    """Check that a stream was refused with a problem; give its members."""
    assert isinstance(answer, Response)
    return assert_problem(answer, status)


async def told(web: Web, secret: str) -> Telling:
    """Open a stream, and take what it tells first."""
    stream = await ask(web.endpoints, secret=secret)
    assert isinstance(stream, Stream)
    telling = stream.take()
    assert telling is not None
    return telling


@pytest.mark.parametrize("route", PATHS)
async def test_the_first_thing_told_is_what_a_look_answers(route: Route) -> None:
    """Event and frame hold the very JSON of `GET /session`, with the spans of that moment."""
    async with web_of(policy=Policy(touch_interval=seconds(30))) as web:
        started = await web.sign_in()
        web.clock.advance(seconds(61))
        look = (await web.ask("GET", "/session", secret=started.secret)).body
        telling = await told(web, started.secret)
        assert write_event(telling, touch_ms=seconds(30)) == b"event: state\ndata: " + look + b"\n\n"
        assert json.loads(write_frame(telling, touch_ms=seconds(30)) or "") == {"event": "state", "data": json.loads(look)}
        assert isinstance(await ask(web.endpoints, route, secret=started.secret), Stream)


@pytest.mark.parametrize("by", EndedBy)
async def test_an_end_is_told_as_the_401_tells_it(by: EndedBy) -> None:
    """`ended` holds the members of the problem, and no more."""
    async with web_of() as web:
        started = await web.sign_in()
        stream = await ask(web.endpoints, secret=started.secret)
        assert isinstance(stream, Stream)
        await web.manager.end(started.secret, by)
        telling = stream.take()
        assert telling is not None
        problem = read(await web.ask("GET", "/session", secret=started.secret))
        data = {name: problem[name] for name in ("reason", "title", "detail", "message", "endedAt")}
        event = write_event(telling, touch_ms=0)
        assert event.startswith(b"event: ended\ndata: {")
        assert event.endswith(b"}\n\n")
        assert json.loads(event.partition(b"data: ")[2]) == data
        assert json.loads(write_frame(telling, touch_ms=0) or "") == {"event": "ended", "data": data}


async def test_signs_of_life_and_silent_closings() -> None:
    """A comment keeps a line alive, a WebSocket has pings for that; closed without a word there is no byte."""
    async with web_of() as web:
        started = await web.sign_in()
        stream = await ask(web.endpoints, secret=started.secret)
        assert isinstance(stream, Stream)
        stream.take()
        web.clock.advance(seconds(25))
        web.manager.push.tick()
        alive = stream.take()
        assert alive is not None
        assert (write_event(alive, touch_ms=0), write_frame(alive, touch_ms=0)) == (b":\n\n", None)
        web.manager.push.stop()
        last = stream.take()
        assert last is not None
        assert (write_event(last, touch_ms=0), write_frame(last, touch_ms=0)) == (b"", None)


def test_browsers_come_back_at_different_times() -> None:
    """Of a thousand streams that break at once, no more than a few come back in the same hundredth of a second."""
    spans = [int(write_retry(number).removeprefix(b"retry: ")) for number in range(1_000)]
    assert min(spans) >= 2_000
    assert max(spans) < 10_000
    assert max(map([span // 10 for span in spans].count, range(200, 1_000))) <= 10


async def test_the_answer_of_an_open_stream_is_never_cached_or_buffered() -> None:
    """Its headers are those of every answer, with the media type, and a word to proxies that buffer."""
    begin = Web().endpoints.event_stream(request("GET", PATHS["events"]))
    assert begin.status == 200
    assert_private(begin)
    assert header(begin, "content-type") == "text/event-stream; charset=utf-8"
    assert header(begin, "x-accel-buffering") == "no"
    assert header(begin, "x-content-type-options") == "nosniff"
    assert header(begin, "content-length") is None


@pytest.mark.parametrize("route", PATHS)
@pytest.mark.parametrize("secret", [None, "wrong-shape"])
async def test_without_an_id_the_store_is_not_even_watched(route: Route, secret: str | None) -> None:
    """401, and no store call."""
    answer = await ask(SessionEndpoints(never_asked()), route, secret=secret)
    assert refused(answer, 401)["reason"] == "no_session"


@pytest.mark.parametrize("route", PATHS)
async def test_who_has_no_living_session_gets_no_stream(route: Route) -> None:
    """Unknown, signed out or lapsed: the 401 of a look, and nothing is left behind."""
    async with web_of() as web:
        started = await web.sign_in()
        assert refused(await ask(web.endpoints, route, secret=UNKNOWN_SECRET), 401)["reason"] == "no_session"
        forged = f"{started.session.handle}.{'A' * 43}"
        assert refused(await ask(web.endpoints, route, secret=forged), 401)["reason"] == "no_session"
        await web.manager.end(started.secret)
        assert refused(await ask(web.endpoints, route, secret=started.secret), 401)["reason"] == "signed_out"
        lapsed = await web.sign_in()
        web.clock.advance(hours(1))
        assert refused(await ask(web.endpoints, route, secret=lapsed.secret), 401)["reason"] == "idle"
        assert web.manager.push.streams.count == 0


@pytest.mark.parametrize("route", PATHS)
async def test_a_store_in_trouble_is_503(route: Route) -> None:
    """Nobody is signed out: 503 with the store's own time to wait."""
    answer = await ask(SessionEndpoints(in_trouble()), route, secret=UNKNOWN_SECRET)
    refused(answer, 503)
    assert isinstance(answer, Response)
    assert header(answer, "retry-after") == "7"


async def test_a_process_that_stops_takes_no_streams() -> None:
    """503: the page goes to another."""
    async with web_of() as web:
        started = await web.sign_in()
        web.manager.push.stop()
        answer = await ask(web.endpoints, secret=started.secret)
        refused(answer, 503)
        assert isinstance(answer, Response)
        assert header(answer, "retry-after") == "1"


@pytest.mark.parametrize("route", PATHS)
async def test_a_session_has_a_number_of_streams(route: Route) -> None:
    """One more than allowed is 429; a closed one makes room, and another session is not concerned."""
    async with web_of(HttpConfig(streams_per_session=2)) as web:
        started = await web.sign_in()
        streams = [await ask(web.endpoints, route, secret=started.secret) for _ in range(2)]
        answer = await ask(web.endpoints, route, secret=started.secret)
        refused(answer, 429)
        assert isinstance(answer, Response)
        assert header(answer, "retry-after") == "30"
        forged = f"{started.session.handle}.{'A' * 43}"
        assert refused(await ask(web.endpoints, route, secret=forged), 401), "who proves nothing learns nothing"
        assert isinstance(await ask(web.endpoints, route, secret=(await web.sign_in()).secret), Stream)
        assert isinstance(streams[0], Stream)
        streams[0].close()
        assert isinstance(await ask(web.endpoints, route, secret=started.secret), Stream)


async def test_a_process_has_a_number_of_streams() -> None:
    """One more than it takes is 503, and the store is not asked."""
    async with web_of(HttpConfig(streams_per_process=1)) as web:
        started = await web.sign_in()
        assert isinstance(await ask(web.endpoints, secret=started.secret), Stream)
        await web.store.close()
        answer = await ask(web.endpoints, secret=UNKNOWN_SECRET)
        assert "too many streams" in refused(answer, 503)["detail"]
        assert isinstance(answer, Response)
        assert header(answer, "retry-after") == "30"


async def test_opening_is_limited_as_messages_are() -> None:
    """Who opens and closes all the time is told to wait: by session, and by address."""
    async with web_of(HttpConfig(beats_per_minute=3)) as web:
        started = await web.sign_in()
        for _ in range(3):
            stream = await ask(web.endpoints, secret=started.secret)
            assert isinstance(stream, Stream)
            stream.close()
        assert "This session" in refused(await ask(web.endpoints, secret=started.secret), 429)["detail"]
        assert (await web.ask("POST", "/session/beat", secret=started.secret)).status == 429
    async with web_of(HttpConfig(messages_per_minute=1)) as web:
        assert refused(await ask(web.endpoints), 401)
        assert "This address" in refused(await ask(web.endpoints), 429)["detail"]


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get"])
@pytest.mark.parametrize("route", PATHS)
async def test_a_stream_is_asked_for_with_get(route: Route, method: str) -> None:
    """Any other method is 405."""
    web = Web()
    started = await web.sign_in()
    answer = await ask(web.endpoints, route, method=method, secret=started.secret)
    assert isinstance(answer, Response)
    assert (answer.status, header(answer, "allow")) == (405, "GET")
    assert (await web.ask(method, PATHS[route], secret=started.secret)).status == 405


@pytest.mark.parametrize("route", PATHS)
async def test_a_stream_is_not_answered_but_opened(route: Route) -> None:
    """Where nothing can carry it, and where an address is another route's, it is not there."""
    web = Web(HttpConfig(extra_paths={route: ("/live",)}))
    started = await web.sign_in()
    assert_problem(await web.ask("GET", PATHS[route], secret=started.secret), 404)
    assert_problem(await web.ask("GET", PATHS[route]), 404)
    for path in ("/session", "/session/beat", "/nothing", PATHS["socket" if route == "events" else "events"]):
        refused(await ask(web.endpoints, route, path=path, secret=started.secret), 404)
    assert isinstance(await ask(web.endpoints, route, path="/live", secret=started.secret), Stream)
    await web.manager.close()


@pytest.mark.parametrize(("site", "origin"), list(product(SITES, ORIGINS)))
async def test_who_may_shake_hands(site: str | None, origin: str | None) -> None:
    """A WebSocket's handshake passes by the rules for a POST, for no browser guards it otherwise."""
    async with web_of(CONFIG) as web:
        started = await web.sign_in()
        for own in OWN_HEADERS:
            sent = {name: value for name, value in (("sec-fetch-site", site), ("origin", origin)) if value is not None} | own
            answer = await ask(web.endpoints, "socket", headers=sent, secret=started.secret)
            if passes(site, origin, own):
                assert isinstance(answer, Stream)
            else:
                refused(answer, 403)


@pytest.mark.parametrize(("site", "origin"), list(product(SITES, ORIGINS)))
async def test_who_may_have_events(site: str | None, origin: str | None) -> None:
    """Nobody whom the browser places on another site, unless that is on the list; who is told by nothing is no other site's script."""
    async with web_of(CONFIG) as web:
        started = await web.sign_in()
        sent = {name: value for name, value in (("sec-fetch-site", site), ("origin", origin)) if value is not None}
        answer = await ask(web.endpoints, headers=sent, secret=started.secret)
        foreign = origin != LISTED and (site not in {"same-origin", "none"} if site is not None else origin not in {None, OWN})
        if foreign:
            refused(answer, 403)
        else:
            assert isinstance(answer, Stream)


async def test_a_listed_origin_can_read_its_stream() -> None:
    """It gets CORS headers on the stream and on refusals; nobody else does."""
    async with web_of(CONFIG) as web:
        started = await web.sign_in()
        for origin, allowed in ((LISTED, LISTED), (OWN, None), ("https://evil.example", None)):
            asked = request("GET", PATHS["events"], headers={"origin": origin, "sec-fetch-site": "cross-site"})
            assert header(web.endpoints.event_stream(asked), "access-control-allow-origin") == allowed
            answer = await web.endpoints.open(asked, "events", lambda: None)
            assert isinstance(answer, Response)
            assert header(answer, "access-control-allow-origin") == allowed
        preflight = await web.ask("OPTIONS", PATHS["events"], headers={"origin": LISTED}, secret=started.secret)
        assert (preflight.status, header(preflight, "access-control-allow-methods")) == (204, "GET")


@pytest.mark.parametrize(
    ("scheme", "told", "passes_by"),
    [("wss", None, True), ("ws", None, False), ("ws", "wss", True), ("wss", "ws", False), ("ws", "https", True)],
)
async def test_a_websocket_has_the_origin_of_its_page(scheme: str, told: str | None, passes_by: bool) -> None:  # noqa: FBT001  # a column of the table
    """`wss` is `https` to a page, whether the server or a trusted proxy says so."""
    async with web_of(CONFIG) as web:
        started = await web.sign_in()
        cookie = f"__Host-session={started.secret}"
        forwarded = {} if told is None else {"x-forwarded-proto": told}
        asked = request("GET", PATHS["socket"], headers={"origin": OWN, "cookie": cookie, **forwarded}, client="10.1.2.3")
        opened = await web.endpoints.open(replace(asked, scheme=scheme), "socket", lambda: None)
        assert isinstance(opened, Stream) is passes_by


async def test_looking_is_not_living() -> None:
    """Streams of both kinds, opened again and again until the end, leave what is kept as it was."""
    async with web_of(HttpConfig(beats_per_minute=10_000)) as web:
        started = await web.sign_in()
        before = web.kept()
        for _ in range(minutes(20) // seconds(10) - 1):
            web.clock.advance(seconds(10))
            for route in PATHS:
                stream = await ask(web.endpoints, route, secret=started.secret)
                assert isinstance(stream, Stream)
                web.manager.push.tick()
                stream.take()
                stream.close()
        assert web.kept() == before
        web.clock.advance(seconds(10))
        refused(await ask(web.endpoints, secret=started.secret), 401)
