"""The gate before an application of one's own, in its own process."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from stillhere import SessionManager
from stillhere.adapters.asgi import session_of
from stillhere.errors import SettingsError, StoreError
from stillhere.http.config import HttpConfig
from stillhere.server.content import GateMiddleware
from stillhere.server.gate import GateConfig
from tests.server.content.folders import NAVIGATES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

    from starlette.requests import Request
    from starlette.responses import Response

BASE = "http://localhost:8000"


class Own:
    """Somebody's application.

    Attributes:
        asked: who asked for what.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        routes = [Route("/api", self.api, methods=["GET", "POST"]), Route("/{path:path}", self.page)]
        self.app = Starlette(routes=routes)

    async def page(self, request: Request) -> Response:
        """Show a page with a script in it."""
        self._note(request)
        return HTMLResponse("<p>Hello.<script>1</script>")

    async def api(self, request: Request) -> Response:
        """Answer a script, with a policy of its own."""
        self._note(request)
        return JSONResponse({}, headers={"Content-Security-Policy": "default-src 'self'"})

    def _note(self, request: Request) -> None:
        session = session_of(request.scope).session
        self.asked.append((request.url.path, None if session is None else session.subject))


@pytest.fixture
def own() -> Own:
    """Give an application."""
    return Own()


@pytest.fixture
async def manager() -> AsyncIterator[SessionManager]:
    """Give sessions in memory."""
    async with SessionManager("memory://") as manager:
        yield manager


@pytest.fixture
async def browser(own: Own, manager: SessionManager) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a browser at the gated application."""
    app = GateMiddleware(own.app, manager, GateConfig(site_name="Deck"), open_paths=("/about",))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE, headers={"origin": BASE}) as browser:
        yield browser


async def test_who_has_not_passed_sees_the_gate(browser: httpx2.AsyncClient, own: Own) -> None:
    """A page leads to the gate and back, a script gets 401; the application isn't asked."""
    answer = await browser.get("/deck?page=2", headers=NAVIGATES)
    assert (answer.status_code, answer.headers["location"]) == (303, "/gate?next=/deck%3Fpage%3D2")
    for method in ("GET", "POST", "DELETE"):
        answer = await browser.request(method, "/api")
        assert (answer.status_code, answer.json()["reason"]) == (401, "no_session")
    assert own.asked == []


async def test_who_has_passed_sees_the_application(browser: httpx2.AsyncClient, own: Own) -> None:
    """An address opens it; the application learns whose session it is, and its pages may run their own scripts."""
    answer = await browser.post("/gate", data={"email": "reader@fund.example", "next": "/deck"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/deck")
    answer = await browser.get("/deck", headers=NAVIGATES)
    assert answer.text == "<p>Hello.<script>1</script>"
    assert answer.headers.get_list("content-security-policy") == ["frame-ancestors 'self'"]
    answer = await browser.post("/api")
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert own.asked == [("/deck", "reader@fund.example"), ("/api", "reader@fund.example")]
    assert (await browser.get("/session")).json()["state"] == "active"


async def test_the_gate_brings_what_it_looks_like(browser: httpx2.AsyncClient, own: Own) -> None:
    """The gate's page, its style sheets and scripts are there without a session, under its own path and its own strict policy."""
    page = await browser.get("/gate")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    found = re.findall(r'(?:href|src)="(/[^"]*\.(?:css|js|svg))', page.text)
    assert len(found) >= 3
    for path in found:
        assert path.startswith("/gate/")
        assert (await browser.get(path)).status_code == 200
    assert (await browser.get("/gate/nothing")).status_code == 404
    wrong = await browser.put("/gate")
    assert (wrong.status_code, set(wrong.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "POST"})
    assert own.asked == []


async def test_open_paths_are_for_everybody(browser: httpx2.AsyncClient, own: Own) -> None:
    """An open path needs no session; its neighbours do."""
    assert (await browser.get("/about", headers=NAVIGATES)).status_code == 200
    assert (await browser.get("/about/us", headers=NAVIGATES)).status_code == 303
    assert own.asked == [("/about", None)]


@pytest.mark.parametrize("can_say", [True, False])
async def test_a_websocket_is_refused(own: Own, manager: SessionManager, can_say: bool) -> None:  # noqa: FBT001  # a table's column
    """A WebSocket is 501 where the server can say so, else it is closed; the application isn't asked."""
    said: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message)

    scope: dict[str, Any] = {"type": "websocket", "path": "/live", "query_string": b"", "headers": [], "scheme": "ws", "subprotocols": []}
    await GateMiddleware(own.app, manager)({**scope, "extensions": {"websocket.http.response": {}} if can_say else {}}, receive, send)
    assert said[0] == {"type": "websocket.close", "code": 1008} if not can_say else said[0]["status"] == 501
    assert own.asked == []


async def test_startup_and_shutdown_are_the_applications(manager: SessionManager) -> None:
    """The application hears of the start and of the stop, as if there were no gate."""
    heard: list[str] = []

    async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        del receive, send
        heard.append(scope["type"])

    gated = GateMiddleware(app, manager)
    await gated({"type": "lifespan"}, asyncio.Event().wait, asyncio.Event().wait)  # type: ignore[arg-type]  # neither is called
    await gated.close()
    assert heard == ["lifespan"]


async def test_a_store_that_is_away_signs_nobody_out(
    browser: httpx2.AsyncClient, manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store can't be asked, whoever brings a cookie gets 503 and a page; the cookie is kept."""
    await browser.post("/gate", data={"email": "reader@fund.example"})

    async def away(*_: object, **__: object) -> None:
        raise StoreError("away", retry_after=7)

    monkeypatch.setattr(manager, "authenticate", away)
    answer = await browser.get("/deck", headers=NAVIGATES)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert "Nobody is signed out" in answer.text
    assert "set-cookie" not in answer.headers


def test_gate_and_session_routes_may_not_hide_each_other(own: Own) -> None:
    """A gate below the session routes, or the other way round, is refused with a sentence."""
    manager = SessionManager("memory://")
    with pytest.raises(SettingsError, match="another path"):
        GateMiddleware(own.app, manager, GateConfig(path="/session"))
    with pytest.raises(SettingsError, match="another path"):
        GateMiddleware(own.app, manager, config=HttpConfig(prefix="/gate"))


async def test_a_length_beside_pieces_counts_for_nothing(browser: httpx2.AsyncClient) -> None:
    """Some servers let a request through that tells a length and comes in pieces of any number; as a form it is too large, unread."""
    sent = {"content-type": "application/x-www-form-urlencoded", "content-length": "5", "transfer-encoding": "chunked"}
    answer = await browser.post("/gate", content=b"email=a%40b.example&x=" + b"x" * 100_000, headers=sent)
    assert answer.status_code == 413
