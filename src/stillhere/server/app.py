"""The program's web application: session routes, gate, dashboard, health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from stillhere import __version__
from stillhere.adapters.asgi import SessionMiddleware
from stillhere.errors import StoreError
from stillhere.server.admin import Admin
from stillhere.server.gate import Gate
from stillhere.server.openapi import openapi
from stillhere.server.pages import Pages, SecurityHeaders
from stillhere.server.site import Site
from stillhere.server.sweeper import sweep_for_ever

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from stillhere.adapters.asgi import App
    from stillhere.manager import SessionManager
    from stillhere.server.settings import Settings

Handler = Callable[["Request", Exception], Awaitable[Response]]

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

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(sweep_for_ever(manager, interval_ms=settings.sweep_interval))
        try:
            yield
        finally:
            sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await sweeper
            await admin.close()
            await manager.close()

    site = Starlette(
        routes=[
            *routes,
            Route("/openapi.json", openapi_json),
            Mount("/static", StaticFiles(packages=[("stillhere.server", "static")])),
        ],
        exception_handlers={404: _not_found(pages), 405: _not_allowed(pages), StoreError: _store_down(pages)},
        lifespan=lifespan,
    )
    return SecurityHeaders(SessionMiddleware(site, manager, http, untouched=UNTOUCHED))


def _health(manager: SessionManager) -> list[Route]:
    async def alive(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
        return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})

    async def ready(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
        try:
            await manager.store.ping()
        except StoreError as error:
            return JSONResponse({"ready": False, "why": str(error)}, 503, headers={"cache-control": "no-store", "retry-after": "2"})
        return JSONResponse({"ready": True}, headers={"cache-control": "no-store"})

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
        retry_after = error.retry_after if isinstance(error, StoreError) else 2
        why = "The session store cannot be reached. Nobody is signed out; try again shortly."
        return pages.error(503, "One moment", why, retry_after=retry_after)

    return answer
