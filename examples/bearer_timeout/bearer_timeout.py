"""A React application that keeps its token in the page and is signed out after 20 minutes without use, or after 24 hours in any case.

Bundle the page and run it, then open http://localhost:8000; any address and the password `open sesame` will do:

    make example NAME=bearer_timeout

The page was there before stillhere and is not changed: it sends its token as a bearer, checks it every minute with `X-Heartbeat: true`,
which extends nothing, and signs out at a path of its own. Two settings serve it. The token is the session's secret id; where you can,
prefer the cookie.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from stillhere import Policy, SessionManager, hours, minutes
from stillhere.adapters.asgi import SessionMiddleware, session_of
from stillhere.http.config import HttpConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

HERE = Path(__file__).parent
PRIVATE = {"cache-control": "private, no-store"}

sessions = SessionManager("sqlite:///sessions.db", policy=Policy(idle_timeout=minutes(20), absolute_timeout=hours(24)))
offered = HttpConfig(extra_paths={"end": ("/v1/auth/logout",)}, bearer=True)


class Login(msgspec.Struct):
    """What the page sends to sign in."""

    email: str
    password: str


def user(email: str) -> dict[str, str]:
    """Tell the page about somebody."""
    return {"id": email, "name": email.partition("@")[0], "email": email, "role": "reader", "clinicId": "1", "clinicName": "First"}


async def login(request: Request) -> Response:
    """Begin a session and hand its secret id to the page, in the body instead of a cookie. In earnest, look the password up."""
    try:
        asked = msgspec.json.decode(await request.body(), type=Login)
    except msgspec.DecodeError:
        return JSONResponse({"message": "Send an e-mail address and a password."}, 422, PRIVATE)
    if asked.password != "open sesame":  # noqa: S105  # the example's, and told to everybody
        return JSONResponse({"message": "That is not right."}, 403, PRIVATE)
    started, _ = await session_of(request.scope).start(asked.email)
    return JSONResponse({"token": started.secret, "user": user(asked.email)}, headers=PRIVATE)


async def me(request: Request) -> Response:
    """Tell who is signed in, or why nobody is. A request like any other: it extends, unless it says `X-Heartbeat: true`."""
    mine = session_of(request.scope)
    if mine.session is not None:
        return JSONResponse(user(mine.session.subject), headers=PRIVATE)
    refused = mine.answer()
    return Response(refused.body, refused.status, dict(refused.headers))


async def page(request: Request) -> Response:
    """Serve the page, or its script."""
    return FileResponse(HERE / ("built/page.js" if request.url.path == "/page.js" else "page.html"))


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Close the store when the server stops."""
    async with sessions:
        yield


site = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/v1/auth/login", login, methods=["POST"]),
        Route("/v1/auth/me", me),
        Route("/page.js", page),
        Route("/", page),
    ],
)
app = SessionMiddleware(site, sessions, offered)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
