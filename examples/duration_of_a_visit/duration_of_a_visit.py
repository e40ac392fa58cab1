"""How long did they really stay? A gate asks who somebody is, and a script that was there before stillhere says that they still are.

Run it, then open http://localhost:8000:

    python duration_of_a_visit.py

`heartbeat.js` is not changed. It posts to a path of its own, without a body, and asks `document.cookie` whether anybody is signed in. Two
settings serve it, and a policy that takes its word: a page on screen keeps its session, for the script says nothing of input.

Visits are in visits.db. For them to be rows in NocoDB, too, as `emailOfAccessor`, `sessionStartTime` and `sessionEndTime`, run beside it:

    export STILLHERE_NOCODB_TOKEN=... STILLHERE_NOCODB_URL=https://... STILLHERE_NOCODB_TABLE=m...
    stillhere mirrors run --store sqlite:///visits.db
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from stillhere import BeatsExtend, Policy, SessionManager, minutes
from stillhere.adapters.asgi import SessionMiddleware, session_of
from stillhere.http.config import HttpConfig
from stillhere.http.origin import is_allowed_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

HERE = Path(__file__).parent
PAGE = "/portfolio/confidential"

sessions = SessionManager("sqlite:///visits.db", policy=Policy(idle_timeout=minutes(20), beats_extend=BeatsExtend.ALWAYS))
offered = HttpConfig(extra_paths={"beat": ("/api/session-heartbeat",)}, marker_cookie="session_record_id")


async def gate(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
    """Ask who it is."""
    return FileResponse(HERE / "gate.html")


async def enter(request: Request) -> Response:
    """Begin a session for whoever filled in our form, and a visit with its first beat."""
    mine = session_of(request.scope)
    email = (await request.form()).get("email")
    if not is_allowed_site(mine.request, mine.peer, offered) or not isinstance(email, str) or "@" not in email:
        return RedirectResponse("/", 303)
    _, cookies = await mine.start(email)
    response = RedirectResponse(PAGE, 303)
    for name, value in cookies:
        response.headers.append(name, value)
    return response


async def confidential(request: Request) -> Response:
    """Show the page to those who said who they are."""
    if session_of(request.scope).session is None:
        return RedirectResponse("/", 303)
    return FileResponse(HERE / "confidential.html", headers={"cache-control": "private, no-cache"})


async def heartbeat(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
    """Serve the script."""
    return FileResponse(HERE / "heartbeat.js")


async def totals(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
    """Tell how long everybody stayed, all visits added up. In earnest, ask who wants to know."""
    assert sessions.archive is not None  # noqa: S101  # a manager made from a URL has one
    visitors = await sessions.archive.visitors(beat_interval=sessions.policy.beat_interval, now=sessions.clock())
    lines = [f"{who.visitor}: {who.visits} visits, {who.open_ms // 60_000} min {who.open_ms // 1_000 % 60} s" for who in visitors]
    return PlainTextResponse("\n".join(lines), headers={"cache-control": "private, no-store"})


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Close the store when the server stops."""
    async with sessions:
        yield


site = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", gate),
        Route("/api/verify-temp-access", enter, methods=["POST"]),
        Route(PAGE, confidential),
        Route("/heartbeat.js", heartbeat),
        Route("/totals", totals),
    ],
)
app = SessionMiddleware(site, sessions, offered, untouched=("/heartbeat.js", "/totals", "/favicon.ico"))

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
