"""The program's web application: session routes, gate, what is behind it, dashboard, health."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from stillhere import __version__
from stillhere.adapters.asgi import SessionMiddleware
from stillhere.core.lists import read_list
from stillhere.errors import SettingsError, StoreError
from stillhere.server.admin import Admin, Audit, Tokens
from stillhere.server.admin.openid import openid_of
from stillhere.server.content.wiring import GATE, STATIC, Content, is_content, one_by_one, static_routes
from stillhere.server.demo import sample_part
from stillhere.server.faults import faults, one_moment
from stillhere.server.gate import Gate, gate_config
from stillhere.server.metrics import metrics_part, metrics_paths
from stillhere.server.mirroring import mirrors_part
from stillhere.server.openapi import openapi
from stillhere.server.pages import Pages, SecurityHeaders
from stillhere.server.parts import Part, Upkeep
from stillhere.server.querying import routes as querying
from stillhere.server.site import Site
from stillhere.server.sweeper import for_ever

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request

    from stillhere.adapters.asgi import App
    from stillhere.http.config import HttpConfig
    from stillhere.manager import SessionManager
    from stillhere.server.admin.query import Query
    from stillhere.server.mirroring import Expiring
    from stillhere.server.settings import Settings

logger = logging.getLogger("stillhere")

READY_FOR_MS = 1_000
"""How long an answer about readiness holds."""

AUDIT_INTERVAL_MS = 3_600_000
"""How often the audit log forgets what is older than its retention."""

UNTOUCHED_WITH_CONTENT = ("/gate/brand/", "/admin/", "/admin", "/healthz", "/readyz", "/openapi.json", "/lab/cover")
"""Paths that need no session, besides static files. The dashboard has its own."""

UNTOUCHED = (*UNTOUCHED_WITH_CONTENT, "/favicon.ico")
"""The same if nothing is behind the gate that could have an icon."""


def build_app(  # all but two by keyword
    manager: SessionManager,
    settings: Settings,
    *,
    admin_token: str | None,
    demo: bool = False,
    sample: bool = False,
    expiring: Expiring | None = None,
) -> App:
    """Build the application.

    Args:
        manager: the sessions; closed when the application shuts down.
        settings: the program's.
        admin_token: opens the dashboard; None if operators sign in otherwise.
        demo: offer the pages to try it on, too.
        sample: keep sample data alive.
        expiring: the manager's hook `on_expiring`, if webhooks are to hear of it.
    """
    http = settings.http()
    has_content = is_content(settings)
    assets = STATIC if has_content else "/static"
    pages = Pages(assets=assets, site_name=settings.site_name, version=__version__, demo=demo, session_prefix=settings.prefix)
    gate = Gate(pages, gate_config(settings, ask_path=GATE if has_content else "/", assets=assets), manager, settings.mailer())
    parts = [_upkeep_of(manager, settings), Part(routes=one_by_one(gate.routes()), close=gate.close), _health(manager), _openapi(http)]
    parts += [metrics_part(manager, settings), mirrors_part(manager, settings, expiring)]
    if sample:
        parts.append(sample_part(manager))
    if demo:
        parts.append(Part(routes=Site(pages, manager).routes()))
    parts.append(_dashboard(manager, settings, pages, admin_token, [query for part in parts for query in part.queries]))
    routes = [route for part in parts for route in part.routes]
    _refuse_collisions(routes, http)
    site = Starlette(
        routes=[*routes, *static_routes(assets)],
        exception_handlers=faults(pages),
        lifespan=_lifespan(parts),
    )
    untouched = (*(UNTOUCHED_WITH_CONTENT if has_content else UNTOUCHED), *metrics_paths(settings), f"{assets}/")
    middleware = SessionMiddleware(site, manager, http, untouched=untouched, when_down=lambda error: one_moment(pages, error.retry_after))
    pages.share(client_url=middleware.endpoints.client_url)
    if has_content:
        content = Content(settings, pages, middleware.endpoints.client_url, site.routes)
        site.mount("", content.app)
        parts.append(Part(close=content.close))
    return SecurityHeaders(middleware)


def _upkeep_of(manager: SessionManager, settings: Settings) -> Part:
    upkeep = [Upkeep("sweep", manager.sweep, settings.sweep_interval)]
    if manager.archive is not None and manager.archive.archiver is not None:
        upkeep.append(Upkeep("archive", manager.archive.catch_up, settings.archive_interval))
    archive = manager.archive
    if archive is not None:
        upkeep.append(Upkeep("summary of days", lambda: archive.summarise(now=manager.clock()), settings.sweep_interval))
    return Part(upkeep=upkeep, close=manager.close)


def _dashboard(manager: SessionManager, settings: Settings, pages: Pages, admin_token: str | None, queries: list[Query]) -> Part:
    assert manager.archive is not None  # noqa: S101  # a manager made from a URL has one; this tells the type checker
    viewer_token = settings.viewer_token.get_secret_value() if settings.viewer_token else None
    audit = Audit(manager.archive.audit, manager.clock, retention=settings.audit_retention)
    manager.archive.internal = read_list(settings.internal_visitors).patterns
    asked = querying(manager, manager.archive, settings)
    admin = Admin(
        pages=pages,
        manager=manager,
        archive=manager.archive,
        http=settings.http(),
        audit=audit,
        tokens=Tokens(admin_token, viewer_token),
        openid=openid_of(settings),
        queries=[*asked, *queries],
        site_name=settings.site_name,
        zone=settings.zone,
    )
    return Part(routes=admin.routes(), upkeep=[Upkeep("audit log", audit.upkeep, AUDIT_INTERVAL_MS)], close=admin.close)


def _openapi(http: HttpConfig) -> Part:
    document = msgspec.json.encode(openapi(http))

    async def openapi_json(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
        return Response(document, media_type="application/json")

    return Part(routes=[Route("/openapi.json", openapi_json)])


def _lifespan(parts: list[Part]) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing:
            for part in parts:
                if part.close is not None:
                    closing.push_async_callback(part.close)
            for part in parts:
                for upkeep in part.upkeep:
                    work = for_ever(upkeep.work, what=upkeep.what, interval_ms=upkeep.interval_ms)
                    closing.push_async_callback(_cancel, asyncio.create_task(work))
            yield

    return lifespan


def _refuse_collisions(routes: list[BaseRoute], http: HttpConfig) -> None:
    taken = {route.path for route in routes if isinstance(route, Route)}
    for path in http.paths():
        if path in taken or path.startswith(("/static/", "/admin/", "/gate/")) or any(own.startswith(f"{http.prefix}/") for own in taken):
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


def _health(manager: SessionManager) -> Part:
    is_ready = Readiness(manager)

    async def alive(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
        return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})

    async def ready(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
        if await is_ready():
            return JSONResponse({"ready": True}, headers={"cache-control": "no-store"})
        return JSONResponse({"ready": False}, 503, headers={"cache-control": "no-store", "retry-after": "2"})

    return Part(routes=[Route("/healthz", alive), Route("/readyz", ready)])
