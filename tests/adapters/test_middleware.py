"""The middleware: answers the session routes, and puts the session on every other request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import pytest

from stillhere.adapters import bodies
from stillhere.adapters.asgi import SessionRoutes, session_of
from stillhere.core.policy import Policy, RequestsExtend, hours, minutes
from stillhere.core.records import EndedBy
from stillhere.errors import StillhereError
from stillhere.http.config import HttpConfig
from stillhere.manager import SessionManager
from tests.adapters.apps import ROTATES, SIGNS_IN, SIGNS_OUT, TELLS, Line, application, browser, wrapped
from tests.http.doubles import UNKNOWN_SECRET, Web, in_trouble, never_asked
from tests.support import FakeClock

if TYPE_CHECKING:
    from stillhere.adapters.asgi import Receive, Scope, Send

NAVIGATION: Final = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
FETCH: Final = {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}


async def test_the_session_is_on_the_request() -> None:
    """An application learns whose session it is by one call."""
    web = Web()
    started = await web.sign_in()
    async with browser(wrapped(web.manager), cookie=started.secret) as page:
        assert (await page.get(TELLS)).json() == {"path": TELLS, "has_session": True, "subject": "first@fund.example", "ended": False}


async def test_an_ended_session_is_no_session_but_tells_why() -> None:
    """After its end there is no session on the request; the verdict still says how it ended."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(hours(1))
    async with browser(wrapped(web.manager), cookie=started.secret) as page:
        answer = (await page.get(TELLS)).json()
    assert (answer["subject"], answer["ended"]) == (None, True)


@pytest.mark.parametrize("cookie", [None, "wrong-shape", UNKNOWN_SECRET])
async def test_strangers_are_nobody(cookie: str | None) -> None:
    """Without a cookie, or with one that names nothing, there is no session and the application is asked all the same."""
    async with browser(wrapped(Web().manager), cookie=cookie) as page:
        answer = await page.get(TELLS)
    assert answer.status_code == 200
    assert answer.json()["subject"] is None


@pytest.mark.parametrize("cookie", [None, "other=1", "__Host-session=wrong-shape", f"session={UNKNOWN_SECRET}"])
@pytest.mark.parametrize("path", [TELLS, "/", "/session", "/anything/else"])
async def test_without_an_id_the_store_is_not_asked(path: str, cookie: str | None) -> None:
    """No cookie that could be an id: no store call on any path."""
    async with browser(wrapped(never_asked())) as page:
        answer = await page.get(path, headers={} if cookie is None else {"cookie": cookie})
    assert answer.status_code in {200, 401}


@pytest.mark.parametrize(
    ("extend", "headers", "extends"),
    [
        (RequestsExtend.ALL, {}, True),
        (RequestsExtend.ALL, FETCH, True),
        (RequestsExtend.ALL, NAVIGATION, True),
        (RequestsExtend.NAVIGATION, {}, False),
        (RequestsExtend.NAVIGATION, FETCH, False),
        (RequestsExtend.NAVIGATION, NAVIGATION, True),
        (RequestsExtend.NAVIGATION, {**NAVIGATION, "sec-fetch-dest": "iframe"}, False),
        (RequestsExtend.NONE, {}, False),
        (RequestsExtend.NONE, NAVIGATION, False),
    ],
)
@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_which_requests_extend(method: str, extend: RequestsExtend, headers: dict[str, str], extends: bool, marked: bool) -> None:  # noqa: FBT001  # columns of the table
    """The policy says which requests move the deadline; one with `X-Heartbeat: true` never does; all are presence."""
    web = Web(policy=Policy(requests_extend=extend))
    started = await web.sign_in()
    before = web.over_at()
    web.clock.advance(minutes(5))
    async with browser(wrapped(web.manager), cookie=started.secret) as page:
        await page.request(method, "/anything", headers={**headers, **({"x-heartbeat": "true"} if marked else {})})
    assert web.over_at() == before + (minutes(5) if extends and not marked else 0)
    assert web.session().last_seen_at == web.clock()


@pytest.mark.parametrize("path", ["/static/logo.svg", "/static/", "/healthz"])
async def test_untouched_paths_have_no_session(path: str) -> None:
    """Static files and health checks pass by: no session on the request, no store call, nothing changes."""
    app = wrapped(never_asked(), untouched=("/static/", "/healthz"))
    async with browser(app, cookie=UNKNOWN_SECRET) as page:
        assert (await page.get(path)).json() == {"path": path, "has_session": False}


@pytest.mark.parametrize("path", ["/static", "/healthz/deep", "/x/static/", "/Healthz"])
async def test_only_whole_paths_and_folders_are_untouched(path: str) -> None:
    """What merely resembles an untouched path has a session."""
    async with browser(wrapped(Web().manager, untouched=("/static/", "/healthz"))) as page:
        assert (await page.get(path)).json()["has_session"] is True


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_other_connections_pass_through(kind: str) -> None:
    """A websocket and the lifespan reach the application as they are: no session, no store call, nothing read."""
    seen: list[Scope] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        seen.append(scope)

    line = Line(type=kind, path="/session-of-another-kind")
    await wrapped_inner(inner)(line.scope, line.receive, line.send)
    assert seen == [line.scope]
    assert "stillhere" not in line.scope
    assert line.taken == 0


def wrapped_inner(app: Any) -> Any:
    """Wrap an application around a store that must not be asked."""
    middleware = wrapped(never_asked())
    middleware._app = app
    return middleware


def test_without_the_middleware_the_error_says_what_to_do() -> None:
    """Asking for the session where nobody put one is told in a sentence with the remedy."""
    with pytest.raises(StillhereError, match="wrap the application in SessionMiddleware, and keep the path out of `untouched`"):
        session_of({"type": "http"})


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("path", [TELLS, "/anything"])
async def test_a_store_in_trouble_is_503_and_the_cookie_is_kept(path: str, method: str) -> None:
    """If nothing can be known of the session the application is not asked: 503, private, with Retry-After, nobody signed out."""
    async with browser(wrapped(in_trouble()), cookie=UNKNOWN_SECRET) as page:
        answer = await page.request(method, path)
    assert answer.status_code == 503
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["retry-after"] == "7"
    assert "set-cookie" not in answer.headers
    assert "www-authenticate" not in answer.headers
    assert "disk" not in answer.text


async def test_signing_in_sets_the_cookie_and_replaces_the_old_session() -> None:
    """A sign-in gives a new id; the session this browser came with ends with `replaced`, and attributes are kept."""
    web = Web()
    async with browser(wrapped(web.manager)) as page:
        first = await page.post(f"{SIGNS_IN}?first")
        secret = first.headers["set-cookie"].partition("=")[2].partition(";")[0]
        remembered = {"network": "127.0.0.0/24"}  # the browser of these tests does not say what it is
        assert first.json()["attributes"] == {"role": "reader", "stillhere": remembered}
        assert first.headers["set-cookie"] == f"__Host-session={secret}; Path=/; Secure; HttpOnly; SameSite=Lax"
        second = await page.post(f"{SIGNS_IN}?first", headers={"cookie": f"__Host-session={secret}"})
    assert second.headers["set-cookie"] != first.headers["set-cookie"]
    ends = [session.ended_by for session in web.store.sessions.values()]
    assert ends == [EndedBy.REPLACED, None]


async def test_a_forged_cookie_is_never_adopted() -> None:
    """Signing in under a prepared id gives another one (session fixation)."""
    web = Web()
    async with browser(wrapped(web.manager), cookie=UNKNOWN_SECRET) as page:
        answer = await page.post(f"{SIGNS_IN}?first")
    assert UNKNOWN_SECRET not in answer.headers["set-cookie"]
    assert len(web.store.sessions) == 1


@pytest.mark.parametrize(
    ("url", "status", "cookie"),
    [
        ("https://app.example", 200, "__Host-session="),
        ("http://127.0.0.1:8000", 200, "session="),
        ("http://localhost", 200, "session="),
        ("http://[::1]:8000", 200, "session="),
        ("http://app.example", 403, None),
        ("http://192.168.0.5", 403, None),
    ],
)
async def test_a_session_begins_only_on_a_safe_way(url: str, status: int, cookie: str | None) -> None:
    """Over https and on loopback a session begins; on any other http none is kept, and no cookie is sent."""
    web = Web()
    async with browser(wrapped(web.manager), url=url) as page:
        answer = await page.post(f"{SIGNS_IN}?first")
    assert answer.status_code == status
    assert len(web.store.sessions) == (1 if cookie else 0)
    assert (answer.headers.get("set-cookie") or "").startswith(cookie or "")
    assert ("set-cookie" in answer.headers) == (cookie is not None)


async def test_signing_out_by_hand() -> None:
    """An application that signs out itself gets the header that deletes the cookie, and the session has ended."""
    web = Web()
    started = await web.sign_in()
    async with browser(wrapped(web.manager), cookie=started.secret) as page:
        answer = await page.post(SIGNS_OUT)
    assert answer.headers["set-cookie"].startswith("__Host-session=; Max-Age=0")
    assert web.session().ended_by is EndedBy.SIGNED_OUT


async def test_the_session_routes_need_no_mounting() -> None:
    """The wrapped application answers the session routes, extra paths included, and never sees them."""
    web = Web()
    started = await web.sign_in()
    app = wrapped(web.manager, config=HttpConfig(extra_paths={"beat": ("/keepalive",)}), untouched=("/session/",))
    async with browser(app, cookie=started.secret) as page:
        for method, path in (("POST", "/session/beat"), ("POST", "/keepalive"), ("GET", "/session")):
            answer = await page.request(method, path)
            assert answer.json()["state"] == "active"
            assert answer.headers["cache-control"] == "private, no-store"


async def test_the_routes_alone() -> None:
    """The routes can be an application of their own; what it does not know is 404."""
    web = Web()
    started = await web.sign_in()
    routes = SessionRoutes(web.manager)
    async with browser(routes, cookie=started.secret) as page:
        assert (await page.post("/session/beat")).status_code == 200
        assert (await page.get("/elsewhere")).status_code == 404


async def test_the_middleware_adds_nothing_to_the_answers_of_the_application() -> None:
    """An ordinary answer passes as the application made it."""
    line = Line(path="/anything", method="GET")
    await line.through(wrapped(never_asked()))
    bare = Line(path="/anything", method="GET")
    await application(bare.scope, bare.receive, bare.send)
    assert line.sent[0] == bare.sent[0]


async def test_a_new_id_by_hand() -> None:
    """A change of privilege gives the browser a new id under the same session; the old one opens nothing, and a stranger gets none."""
    manager = SessionManager("memory://")
    started = await manager.start("first@fund.example")
    async with browser(wrapped(manager), cookie=started.secret) as web:
        answer = await web.get(ROTATES)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-session=")
    fresh = cookie.partition("=")[2].partition(";")[0]
    assert not (await manager.look(started.secret)).is_alive
    renewed = (await manager.look(fresh)).session
    assert renewed is not None
    assert renewed.handle == started.session.handle
    async with browser(wrapped(manager)) as web:
        assert "set-cookie" not in (await web.get(ROTATES)).headers


async def test_what_lies_below_the_prefix_is_no_activity() -> None:
    """An address that no session route has gets problem JSON, and the session's deadline stays where it was."""
    clock = FakeClock()
    manager = SessionManager("memory://", clock=clock)
    started = await manager.start("first@fund.example")
    clock.advance(60_000)
    async with browser(wrapped(manager), cookie=started.secret) as web:
        answer = await web.get("/session/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "private, no-store"
    assert (await manager.look(started.secret)).session == started.session


async def test_another_answer_may_be_given_while_the_store_is_down() -> None:
    """An application can show a page of its own instead of problem JSON."""

    async def own_page(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"one moment"})

    async with browser(wrapped(in_trouble(), when_down=lambda _: own_page), cookie=UNKNOWN_SECRET) as web:
        answer = await web.get(TELLS)
    assert (answer.status_code, answer.text) == (503, "one moment")


async def test_a_request_that_is_cancelled_stays_cancelled() -> None:
    """A server that stops a request while its body is read is obeyed, and nothing is answered."""
    sent: list[Any] = []
    reading = asyncio.Event()

    async def never() -> Any:
        reading.set()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/session/beat", "query_string": b"", "headers": [], "client": None}
    answering = wrapped(never_asked())

    async def answer() -> None:
        await answering(scope, never, send)

    request = asyncio.ensure_future(answer())
    await reading.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert sent == []


async def test_a_body_that_never_arrives_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that dawdles gets 408 and changes nothing; it holds up neither a worker nor a stop."""
    monkeypatch.setattr(bodies, "BODY_TIMEOUT_S", 0.02)
    monkeypatch.setattr(bodies, "_LOOK_EVERY_S", 0.01)
    sent: list[Any] = []

    async def never() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/session/beat", "query_string": b"", "headers": [], "client": None}
    await wrapped(never_asked())(scope, never, send)
    assert sent[0]["status"] == 408
    assert (b"cache-control", b"private, no-store") in sent[0]["headers"]


def test_bodies_are_given_up_in_every_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A middleware that outlives an event loop guards the bodies of the next one too."""
    monkeypatch.setattr(bodies, "BODY_TIMEOUT_S", 0.02)
    monkeypatch.setattr(bodies, "_LOOK_EVERY_S", 0.01)
    reader = bodies.Bodies()

    async def never() -> Any:
        await asyncio.Event().wait()

    for _ in range(2):
        with pytest.raises(TimeoutError):
            asyncio.run(reader.read(never))
