"""An ordinary page in Starlette, without sessions and with stillhere's middleware. Environment: BENCH_STORE."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stillhere.adapters.asgi import SessionMiddleware, session_of
from stillhere.http.config import HttpConfig
from stillhere.manager import SessionManager

if TYPE_CHECKING:
    from starlette.requests import Request


async def nobody(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
    """Greet nobody."""
    return JSONResponse({"user": "nobody"})


async def somebody(request: Request) -> Response:
    """Greet whoever is signed in."""
    session = session_of(request.scope).session
    return JSONResponse({"user": None if session is None else session.subject})


bare = Starlette(routes=[Route("/hello", nobody)])


def sessions() -> SessionMiddleware:
    """Build the page with sessions."""
    manager = SessionManager(os.environ["BENCH_STORE"])
    return SessionMiddleware(Starlette(routes=[Route("/hello", somebody)]), manager, HttpConfig(messages_per_minute=10**9))
