"""What is answered instead of a page: nothing there, not this way, and one moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from stillhere.errors import StoreError
from stillhere.http.problems import problem

if TYPE_CHECKING:
    from starlette.requests import Request

    from stillhere.server.pages import Pages

Handler = Callable[["Request", Exception], Awaitable["Response"]]


API: Final = "/admin/api/"
"""Below it programs ask, and are answered as programs."""


def faults(pages: Pages) -> dict[Any, Handler]:
    """List what Starlette calls when there is no page, no such method, or no store."""

    async def not_found(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the signature is Starlette's
        if request.url.path.startswith(API):
            return _problem(404, "There is no such question; /openapi.json lists those that there are.")
        if request.url.path.startswith("/admin/"):
            words = "This address leads nowhere in the dashboard."
            return pages.error(404, "Nothing here", words, start=("/admin", "Go to the dashboard"))
        return pages.error(404, "Nothing here", "This address leads nowhere. Begin at the front page.")

    async def not_allowed(request: Request, error: Exception) -> Response:
        words = f"This address does not answer {request.method}."
        response = _problem(405, words) if request.url.path.startswith(API) else pages.error(405, "Not this way", words)
        if isinstance(error, HTTPException) and error.headers:
            response.headers.update(error.headers)
        return response

    async def store_down(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the signature is Starlette's
        return one_moment(pages, error.retry_after if isinstance(error, StoreError) else 2)

    return {404: not_found, 405: not_allowed, StoreError: store_down}


def _problem(status: int, words: str) -> Response:
    found = problem(status, words)
    return Response(found.body, found.status, headers={**dict(found.headers), "cache-control": "private, no-store"})


def one_moment(pages: Pages, retry_after: int) -> Response:
    """Say that the store is away, and when to try again."""
    why = "The session store cannot be reached. Nobody is signed out; try again shortly."
    return pages.error(503, "One moment", why, retry_after=retry_after)
