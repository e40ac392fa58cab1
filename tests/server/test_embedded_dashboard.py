"""The dashboard inside an application, which says who may see it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from stillhere import SessionManager
from stillhere.adapters.asgi import SessionMiddleware
from stillhere.archive.archive import Archive
from stillhere.archive.memory import MemorySource
from stillhere.core.policy import Policy, minutes
from stillhere.errors import SettingsError, StillhereError, StoreError
from stillhere.server.admin import Dashboard, Operator, by_session, dashboard, operator_of
from stillhere.server.admin.query import Query
from stillhere.stores.memory import MemoryStore
from tests.http.doubles import Trouble
from tests.server.test_live_in_process import Line
from tests.support import FakeClock

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stillhere.adapters.asgi import App
    from stillhere.core.records import Session
    from stillhere.server.admin import Role

URL: Final = "http://localhost:8000"


async def by_header(request: Request) -> Operator | None:
    """Tell who asks, as a test says."""
    name, _, role = request.headers.get("x-user", "").partition(":")
    return Operator(name=name, role="operator" if role == "operator" else "viewer", signs_out=True) if name else None


def browser_at(app: Any, **headers: str) -> httpx2.AsyncClient:
    """Open a browser at an application of this process."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url=URL, headers={"origin": URL, **headers}, follow_redirects=True
    )


async def front(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
    """Answer as the application does."""
    return PlainTextResponse("the application")


def mounted(inner: App) -> Starlette:
    """Mount it in an application with a page of its own."""
    return Starlette(routes=[Route("/", front), Mount("/admin", inner)])


def stripping(inner: App) -> App:
    """Mount it as frameworks do that take the place out of the path."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await inner({**scope, "root_path": "/admin", "path": scope["path"].removeprefix("/admin")}, receive, send)

    return app


def at_the_top(inner: App) -> App:
    """Let it be the application."""
    return inner


@pytest.mark.parametrize("mount", [mounted, stripping, at_the_top])
async def test_it_works_wherever_it_is_mounted(mount: Any) -> None:
    """The page, everything that it loads, and the API are there, below `/admin` and nowhere else."""
    app = mount(dashboard(SessionManager("memory://"), who=by_header, site_name="The studio"))
    async with browser_at(app, **{"x-user": "chief:operator"}) as browser:
        page = await browser.get("/admin/visits")
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        loaded = re.findall(r'(?:href|src)="(/[^"]*\.(?:css|js|svg))"', page.text)
        assert loaded
        assert {path.split("/")[1] for path in loaded} == {"admin"}
        assert {(await browser.get(path)).status_code for path in loaded} == {200}
        me = (await browser.get("/admin/api/me")).json()
        assert me == {"operator": "chief", "role": "operator", "signOut": None, "zone": "UTC", "siteName": "The studio"}
        assert (await browser.get("/admin/nothing")).status_code == 404


@pytest.mark.parametrize("path", ["", "/", "/visits", "/visits.csv", "/api/now", "/api/events", "/api/audit"])
async def test_whom_the_application_does_not_name_sees_nothing(path: str) -> None:
    """Without a name from the application it is 401; there is no sign-in here, and no token opens anything."""
    app = mounted(dashboard(SessionManager("memory://"), who=by_header))
    async with browser_at(app, authorization="Bearer None") as browser:
        answer = await browser.get(f"/admin{path}")
        assert answer.status_code == 401
        assert answer.json()["detail"] == "Sign in to the application as somebody who may see the dashboard."
        assert (await browser.get("/admin/login")).status_code == 404
        assert (await browser.post("/admin/logout")).status_code == 404


async def test_a_length_beside_pieces_counts_for_nothing() -> None:
    """A server that lets a request through with both does not have the dashboard read more than it would."""
    app = mounted(dashboard(SessionManager("memory://"), who=by_header))
    async with browser_at(app, **{"x-user": "chief:operator", "content-length": "2", "transfer-encoding": "chunked"}) as browser:
        assert (await browser.post("/admin/api/sessions/abc/end", content=b"x" * 100_000)).status_code == 413


async def test_roles_are_the_applications() -> None:
    """A viewer may not operate, an operator may and is in the log by name; a foreign page may not even with their cookies."""
    manager = SessionManager("memory://")
    session = (await manager.start("reader@fund.example")).session
    async with browser_at(mounted(dashboard(manager, who=by_header))) as browser:
        path = f"/admin/api/sessions/{session.handle}/end"
        assert (await browser.post(path, headers={"x-user": "guest"})).status_code == 403
        foreign = {"x-user": "chief:operator", "origin": "https://evil.example"}
        assert (await browser.post(path, headers=foreign)).status_code == 403
        assert await manager.count() == 1
        assert (await browser.post(path, headers={"x-user": "chief:operator"})).status_code == 200
        assert await manager.count() == 0
        entries = (await browser.get("/admin/api/audit", headers={"x-user": "guest"})).json()["entries"]
        assert [(entry["operator"], entry["action"]) for entry in entries] == [("chief", "end"), ("guest", "end refused")]


async def asked(request: Request) -> Response:
    """Answer who asks."""
    return PlainTextResponse(operator_of(request.scope).name)


async def test_queries_of_its_own() -> None:
    """An application adds what operators may ask, and replaces what there is; without the guard a handler knows nobody."""
    queries = [Query("orders", asked), Query("now", asked), Query("orders/{id}/cancel", asked, role="operator", methods=("POST",))]
    inner = Dashboard(SessionManager("memory://"), who=by_header, queries=queries)
    async with browser_at(mounted(inner), **{"x-user": "chief:operator"}) as browser:
        assert (await browser.get("/admin/api/orders")).text == "chief"
        assert (await browser.get("/admin/api/now")).text == "chief"
        assert (await browser.post("/admin/api/orders/7/cancel", json={"subject": "x"})).text == "chief"
        assert (await browser.post("/admin/api/orders/7/cancel", headers={"x-user": "guest"})).status_code == 403
    kept, _ = await inner.audit.entries()
    assert {(entry.action, entry.target, entry.detail) for entry in kept} == {
        ("cancel", "7", '{"subject":"x"}'),
        ("cancel refused", "7", None),
    }
    with pytest.raises(StillhereError, match="mount this handler"):
        operator_of({})


def role_of(session: Session) -> Role | None:
    """Tell a role by an attribute."""
    role: Role | None = session.attributes.get("role")
    return role


async def signed_in(manager: SessionManager, role: str | None) -> str:
    """Sign an operator of the application in; give their cookie."""
    started = await manager.start("chief@studio.example", attributes={} if role is None else {"role": role})
    return f"session={started.secret}"


async def test_operators_by_their_sessions() -> None:
    """Whom the application names by their session is an operator; watching extends nothing, work does, and the stream ends with it."""
    clock = FakeClock()
    manager = SessionManager("memory://", clock=clock, policy=Policy(idle_timeout=minutes(20)))
    inner = Dashboard(manager, who=by_session(manager, role_of))
    app = SessionMiddleware(mounted(inner), manager, untouched=("/admin", "/admin/"))
    cookie = await signed_in(manager, "operator")
    async with browser_at(app) as browser:
        assert (await browser.get("/admin/api/me", headers={"cookie": await signed_in(manager, None)})).status_code == 401
        assert (await browser.get("/admin/api/me", headers={"cookie": "session=none"})).status_code == 401
        line = Line(app, cookie)
        await line.until("event: now")
        clock.advance(minutes(15))
        assert (await browser.get("/admin/api/now", headers={"cookie": cookie, "x-heartbeat": "true"})).status_code == 200
        clock.advance(minutes(4))
        assert (await browser.get("/admin/api/now", headers={"cookie": cookie})).status_code == 200
        clock.advance(minutes(19))
        assert (await browser.get("/admin/api/now", headers={"cookie": cookie, "x-heartbeat": "true"})).status_code == 200
        handle = cookie.removeprefix("session=").partition(".")[0]
        await manager.end_by_handle(handle)
        await line.until('event: ended\ndata: {"reason":"revoked"}')
        await line.task
        assert (await browser.get("/admin", headers={"cookie": cookie})).status_code == 401
    await inner.close()


async def test_trouble_is_no_refusal() -> None:
    """While the store is away, or the application's own check fails for that, the API says 503 with Retry-After, as a problem."""

    async def failing(request: Request) -> Operator | None:  # noqa: ARG001  # the signature is the dashboard's
        raise StoreError("away", retry_after=9)

    for who, retry_after in ((by_header, "7"), (failing, "9")):
        manager = SessionManager(Trouble(), archive=Archive(MemorySource(MemoryStore())))
        async with browser_at(dashboard(manager, who=who), **{"x-user": "chief:operator"}) as browser:
            answer = await browser.post("/admin/api/sessions/abc/end")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, retry_after)
            assert answer.headers["content-type"] == "application/problem+json"
            if who is failing:
                assert (await browser.get("/admin")).status_code == 503


async def test_without_an_archive_there_is_nothing_to_show() -> None:
    """A manager without visits is refused with a sentence."""
    with pytest.raises(SettingsError, match="no archive"):
        dashboard(SessionManager(MemoryStore()), who=by_header)


async def test_at_the_top_it_takes_part_in_the_lifespan() -> None:
    """A server that starts it by itself is told that it is ready, and that it has stopped."""
    told: list[str] = []
    messages = iter(("lifespan.startup", "lifespan.shutdown"))

    async def receive() -> dict[str, str]:
        return {"type": next(messages)}

    async def send(message: Any) -> None:
        told.append(message["type"])

    await dashboard(SessionManager("memory://"), who=by_header)({"type": "lifespan"}, receive, send)
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
