"""A page that keeps its session while it is open: for an editor, a form, a long read.

Run it, then open http://localhost:8000:

    python keep_alive.py

`keepalive.js` is not changed: every five minutes it posts to `/keepalive`, without a body. One setting gives that path to the beats, and
the policy says that a beat keeps the session. By default it would not: a page is not a person, and only input extends.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from stillhere import BeatsExtend, Policy, SessionManager, minutes
from stillhere.adapters.asgi import SessionMiddleware, session_of
from stillhere.http.config import HttpConfig
from stillhere.http.origin import is_allowed_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

HERE = Path(__file__).parent

sessions = SessionManager("sqlite:///sessions.db", policy=Policy(idle_timeout=minutes(30), beats_extend=BeatsExtend.ALWAYS))
offered = HttpConfig(extra_paths={"beat": ("/keepalive",)})


async def page(request: Request) -> Response:
    """Show the page, or the way in."""
    name = "gate.html" if session_of(request.scope).session is None else "page.html"
    return FileResponse(HERE / name, headers={"cache-control": "private, no-cache"})


async def enter(request: Request) -> Response:
    """Begin a session. In earnest, ask for a password."""
    mine = session_of(request.scope)
    response = RedirectResponse("/", 303)
    if is_allowed_site(mine.request, mine.peer, offered):
        _, cookies = await mine.start("somebody")
        for name, value in cookies:
            response.headers.append(name, value)
    return response


async def profile(request: Request) -> Response:
    """Answer those who are signed in; tell the others why they are not."""
    mine = session_of(request.scope)
    if mine.session is not None:
        return JSONResponse({"userId": mine.session.subject}, headers={"cache-control": "private, no-store"})
    refused = mine.answer()
    return Response(refused.body, refused.status, dict(refused.headers))


async def script(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
    """Serve the script."""
    return FileResponse(HERE / "keepalive.js")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Close the store when the server stops."""
    async with sessions:
        yield


site = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", page),
        Route("/login", enter, methods=["POST"]),
        Route("/profile", profile),
        Route("/keepalive.js", script),
    ],
)
app = SessionMiddleware(site, sessions, offered, untouched=("/keepalive.js", "/favicon.ico"))

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
