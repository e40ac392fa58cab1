"""What is answered instead of a page: nothing there, not this way, and one moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from stillhere.errors import StoreError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stillhere.server.pages import Pages

Handler = Callable[["Request", Exception], Awaitable["Response"]]


def faults(pages: Pages) -> dict[Any, Handler]:
    """List what Starlette calls when there is no page, no such method, or no store."""

    async def not_found(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the signature is Starlette's
        if request.url.path.startswith("/admin/"):
            words = "This address leads nowhere in the dashboard."
            return pages.error(404, "Nothing here", words, start=("/admin", "Go to the dashboard"))
        return pages.error(404, "Nothing here", "This address leads nowhere. Begin at the front page.")

    async def not_allowed(request: Request, error: Exception) -> Response:
        response = pages.error(405, "Not this way", f"This address does not answer {request.method}.")
        if isinstance(error, HTTPException) and error.headers:
            response.headers.update(error.headers)
        return response

    async def store_down(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the signature is Starlette's
        return one_moment(pages, error.retry_after if isinstance(error, StoreError) else 2)

    return {404: not_found, 405: not_allowed, StoreError: store_down}


def one_moment(pages: Pages, retry_after: int) -> Response:
    """Say that the store is away, and when to try again."""
    why = "The session store cannot be reached. Nobody is signed out; try again shortly."
    return pages.error(503, "One moment", why, retry_after=retry_after)
