"""An application as others write them: pages that poll and play, an API that says which headers came, and a list of what was asked."""

from __future__ import annotations

import asyncio
import io
import math
import wave
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from stillhere.adapters.asgi import session_of
from tests.e2e.stand import Stand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from stillhere import Policy, Session
    from stillhere.adapters.asgi import App, Receive, Scope, Send

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self' http://localhost:* blob: data:; media-src 'self'; "
    "frame-src 'self' http://localhost:*; require-trusted-types-for 'script'"
)
"""As strict as a site can be, but for the other origin that tests call."""

_ANY_SITE: Final = {"access-control-allow-origin": "*"}

_POLLER: Final = """
const { open, send, setRequestHeader } = XMLHttpRequest.prototype
window.natives = { fetch, open, send, setRequestHeader }
setInterval(() => fetch("/api/poll"), 1000)
"""


class Asked(NamedTuple):
    """One request to the API or a session route."""

    method: str
    host: str
    path: str
    heartbeat: str | None


class Application(Stand):
    """The application.

    Attributes:
        asked: what the API and the session routes were asked, in order.
    """

    def __init__(self, policy: Policy, pages: Mapping[str, str], clock: Callable[[], int] | None = None) -> None:
        """Keep what pages there are: HTML by path."""
        super().__init__(policy, clock)
        self.asked: list[Asked] = []
        self._pages = pages
        routes = [
            Route("/enter", self._enter),
            Route("/api/redirect", self._redirect),
            Route("/download", self._redirect),
            Route("/api/{name}", self._answer, methods=["GET", "POST", "OPTIONS"]),
            Route("/tone.wav", self._play),
            Route("/poller.js", self._poll),
            Route("/{path:path}", self._page),
        ]
        self._routes = Starlette(routes=routes)

    @property
    def other_url(self) -> str:
        """The same machine as another origin."""
        return self.url.replace("127.0.0.1", "localhost")

    @property
    def session(self) -> Session:
        """What the server knows of the session that began last."""
        found = asyncio.run_coroutine_threadsafe(self._manager.store.get(self._handle), self._loop).result(timeout=20)
        assert found is not None
        return found

    @property
    def visible_ms(self) -> int:
        """What the server has counted of all visits."""
        archive = self._manager.archive
        assert archive is not None
        asked = archive.totals(since=0, beat_interval=self._manager.policy.beat_interval, now=self._manager.clock())
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result(timeout=20).visible_ms

    def heartbeats(self, path: str = "/api/poll") -> set[str | None]:
        """Tell which values of `X-Heartbeat` came to a path."""
        return {asked.heartbeat for asked in self.asked if asked.path == path}

    def _watch(self, app: App) -> App:
        watched = super()._watch(app)

        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            path, headers = scope["path"], Headers(scope=scope)
            if path.startswith(("/api/", "/session/", "/download")):
                self.asked.append(Asked(scope["method"], headers["host"], path, headers.get("x-heartbeat")))
            await (watched if path.startswith("/session/") else app)(scope, receive, send)

        return noting

    async def _show(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._routes(scope, receive, send)

    async def _enter(self, request: Request) -> Response:
        started, cookies = await session_of(request.scope).start("reader@studio.example")
        self._handle = started.session.handle
        response = RedirectResponse(request.query_params["then"], 303)
        response.raw_headers.extend((name.encode(), value.encode()) for name, value in cookies)
        return response

    async def _page(self, request: Request) -> Response:
        html = self._pages.get(request.url.path)
        page = f'<!doctype html><html lang="en"><title>A page</title>{html or "Nothing here."}'
        return HTMLResponse(page, 404 if html is None else 200, {"content-security-policy": _POLICY})

    async def _answer(self, request: Request) -> Response:
        return JSONResponse({**request.headers, "body": (await request.body()).decode()}, headers=_ANY_SITE)

    async def _redirect(self, request: Request) -> Response:
        return RedirectResponse(request.query_params["to"], 302, _ANY_SITE)

    async def _play(self, request: Request) -> Response:  # noqa: ARG002  # every route gets its request
        return Response(_TONE, media_type="audio/wav")

    async def _poll(self, request: Request) -> Response:  # noqa: ARG002  # every route gets its request
        return Response(_POLLER, media_type="text/javascript")


def _tone(seconds: int = 60, rate: int = 8_000) -> bytes:
    """Make a sound: each second the same, just loud enough to be one."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(rate)
        sound.writeframes(bytes(128 + round(20 * math.sin(2 * math.pi * 440 * n / rate)) for n in range(rate)) * seconds)
    return file.getvalue()


_TONE: Final = _tone()
