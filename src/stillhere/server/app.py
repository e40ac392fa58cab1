"""The program's web application: session routes, gate, dashboard, health."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from stillhere import __version__
from stillhere.adapters.asgi import SessionMiddleware
from stillhere.errors import SettingsError, StoreError
from stillhere.server.admin import Admin
from stillhere.server.gate import Gate
from stillhere.server.openapi import openapi
from stillhere.server.pages import Pages, SecurityHeaders
from stillhere.server.site import Site
from stillhere.server.sweeper import for_ever

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from stillhere.adapters.asgi import App
    from stillhere.http.config import HttpConfig
    from stillhere.manager import SessionManager
    from stillhere.server.settings import Settings

Handler = Callable[["Request", Exception], Awaitable[Response]]

logger = logging.getLogger("stillhere")

READY_FOR_MS = 1_000
"""How long an answer about readiness holds."""

UNTOUCHED = ("/static/", "/admin/", "/admin", "/healthz", "/readyz", "/openapi.json", "/lab/cover", "/favicon.ico")
"""Paths that need no session. The dashboard has its own."""


def build_app(manager: SessionManager, settings: Settings, *, admin_token: str, demo: bool = False) -> App:
    """Build the application.

    Args:
        manager: the sessions; closed when the application shuts down.
        settings: the program's.
        admin_token: opens the dashboard.
        demo: offer the pages to try it on, too.
    """
    http = settings.http()
    assert manager.archive is not None  # noqa: S101  # a manager made from a URL has one; this tells the type checker
    pages = Pages(site_name=settings.site_name, version=__version__, demo=demo, session_prefix=settings.prefix)
    admin = Admin(pages, manager, manager.archive, admin_token, http)
    routes = [*Gate(pages, settings, manager.policy).routes(), *admin.routes(), *_health(manager)]
    if demo:
        routes += Site(pages, manager).routes()
    document = msgspec.json.encode(openapi(http))

    async def openapi_json(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
        return Response(document, media_type="application/json")

    routes.append(Route("/openapi.json", openapi_json))
    _refuse_collisions(routes, http)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing:
            closing.push_async_callback(manager.close)
            closing.push_async_callback(admin.close)
            upkeep = [for_ever(manager.sweep, what="sweep", interval_ms=settings.sweep_interval)]
            if manager.archive is not None and manager.archive.archiver is not None:
                upkeep.append(for_ever(manager.archive.catch_up, what="archive", interval_ms=settings.archive_interval))
            for work in upkeep:
                closing.push_async_callback(_cancel, asyncio.create_task(work))
            yield

    site = Starlette(
        routes=[*routes, Mount("/static", StaticFiles(packages=[("stillhere.server", "static")]))],
        exception_handlers={404: _not_found(pages), 405: _not_allowed(pages), StoreError: _store_down(pages)},
        lifespan=lifespan,
    )
    middleware = SessionMiddleware(site, manager, http, untouched=UNTOUCHED, when_down=lambda error: _one_moment(pages, error.retry_after))
    pages.share(client_url=middleware.endpoints.client_url)
    return SecurityHeaders(middleware)


def _refuse_collisions(routes: list[Route], http: HttpConfig) -> None:
    taken = {route.path for route in routes}
    for path in http.paths():
        if path in taken or path.startswith(("/static/", "/admin/")) or any(own.startswith(f"{http.prefix}/") for own in taken):
            raise SettingsError(f"the session route {path} would hide a page of the program; choose another prefix or path")


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Readiness:
    """Whether the store answers, asked at most once a second however often one asks here.

    Args:
        manager: the sessions.
    """

    def __init__(self, manager: SessionManager) -> None:
        """Nothing is known yet."""
        self._manager = manager
        self._known_at = -READY_FOR_MS
        self._is_ready = False
        self._asking = asyncio.Lock()

    async def __call__(self) -> bool:
        """Tell it, as of a moment ago."""
        async with self._asking:
            now = self._manager.clock()
            if now - self._known_at >= READY_FOR_MS:
                try:
                    await self._manager.store.ping()
                    self._is_ready = True
                except StoreError as error:
                    self._is_ready = False
                    logger.warning("not ready: %s", error)
                self._known_at = now
            return self._is_ready


def _health(manager: SessionManager) -> list[Route]:
    is_ready = Readiness(manager)

    async def alive(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
        return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})

    async def ready(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
        if await is_ready():
            return JSONResponse({"ready": True}, headers={"cache-control": "no-store"})
        return JSONResponse({"ready": False}, 503, headers={"cache-control": "no-store", "retry-after": "2"})

    return [Route("/healthz", alive), Route("/readyz", ready)]


def _not_found(pages: Pages) -> Handler:
    async def answer(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the signature is Starlette's
        return pages.error(404, "Nothing here", "This address leads nowhere. Begin at the front page.")

    return answer


def _not_allowed(pages: Pages) -> Handler:
    async def answer(request: Request, error: Exception) -> Response:
        response = pages.error(405, "Not this way", f"This address does not answer {request.method}.")
        if isinstance(error, HTTPException) and error.headers:
            response.headers.update(error.headers)
        return response

    return answer


def _store_down(pages: Pages) -> Handler:
    async def answer(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the signature is Starlette's
        return _one_moment(pages, error.retry_after if isinstance(error, StoreError) else 2)

    return answer


def _one_moment(pages: Pages, retry_after: int) -> Response:
    why = "The session store cannot be reached. Nobody is signed out; try again shortly."
    return pages.error(503, "One moment", why, retry_after=retry_after)
