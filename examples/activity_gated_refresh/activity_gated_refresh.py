"""A long form that keeps its session while somebody fills it in, by a React hook that was there before stillhere.

Bundle the page and run it, then open http://localhost:8000:

    make example NAME=activity_gated_refresh

`use-heartbeat.ts` is not changed: it posts to a path of its own, and only while the tab is on screen and somebody did something of late. So
the server may take its word: one setting gives that path to the beats, and the policy lets a beat extend.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from stillhere import BeatsExtend, Policy, SessionManager, minutes
from stillhere.adapters.asgi import SessionMiddleware, session_of
from stillhere.http.config import HttpConfig
from stillhere.http.origin import is_allowed_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

HERE = Path(__file__).parent

sessions = SessionManager("sqlite:///sessions.db", policy=Policy(idle_timeout=minutes(15), beats_extend=BeatsExtend.ALWAYS))
offered = HttpConfig(extra_paths={"beat": ("/api/auth/heartbeat",)})


async def page(request: Request) -> Response:
    """Show the form, or the way in."""
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


async def script(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
    """Serve the bundled page."""
    return FileResponse(HERE / "built" / "page.js")


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
        Route("/page.js", script),
    ],
)
app = SessionMiddleware(site, sessions, offered, untouched=("/page.js", "/favicon.ico"))

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
