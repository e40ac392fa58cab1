"""The demo's pages: one worth reading, and a laboratory that shows the session at work."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import JSONResponse
from starlette.routing import Route

from stillhere.adapters.asgi import session_of
from stillhere.core.records import EndedBy
from stillhere.http.origin import is_allowed_site
from stillhere.server.gate import timeouts_of
from stillhere.server.pages import go

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stillhere.manager import SessionManager
    from stillhere.server.pages import Pages


class Site:
    """The gated pages' routes.

    Args:
        pages: renders.
        manager: the sessions.
    """

    def __init__(self, pages: Pages, manager: SessionManager) -> None:
        """Keep both."""
        self._pages = pages
        self._manager = manager

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/confidential", self.confidential),
            Route("/lab", self.lab),
            Route("/lab/cover", self.cover),
            Route("/lab/end", self.end_from_elsewhere, methods=["POST"]),
        ]

    async def confidential(self, request: Request) -> Response:
        """Show the page worth reading, to those who passed the gate."""
        return self._gated(request, "confidential.html")

    async def lab(self, request: Request) -> Response:
        """Show the laboratory, to those who passed the gate."""
        return self._gated(request, "lab.html")

    async def cover(self, request: Request) -> Response:  # noqa: ARG002  # every route gets its request
        """Show the page that hides the laboratory's tab for a while."""
        return self._pages.show("cover.html")

    async def end_from_elsewhere(self, request: Request) -> Response:
        """End the caller's session as an operator would, without telling the page."""
        mine = session_of(request.scope)
        if not is_allowed_site(mine.request, mine.peer, mine.endpoints.config):
            return JSONResponse({"detail": "This request came from another site."}, 403)
        if mine.session is not None:
            await self._manager.end_by_handle(mine.session.handle, EndedBy.REVOKED)
        return JSONResponse({"ended": mine.session is not None}, headers={"cache-control": "private, no-store"})

    def _gated(self, request: Request, template: str) -> Response:
        mine = session_of(request.scope)
        if mine.session is None:
            return go(f"/?next={quote(request.url.path)}")
        return self._pages.show(template, subject=mine.session.subject, timeouts=timeouts_of(self._manager.policy))
