"""A page that keeps its session while it is open: for an editor, a form, a long read.

Run it, then open http://localhost:8000:

    python keep_alive.py

`keepalive.js` is not changed: every five minutes it posts to `/keepalive`, without a body. One setting gives that path to the beats, and
the policy says that a beat keeps the session. By default it would not: a page is not a person, and only input extends.

Beside it goes the other way to the same end, the silent refresh: `refresh.js` keeps an access token of five minutes in memory, and a minute
before it is over asks `/auth/refresh` for the next. What it asks with is a cookie that no script can read (`HttpOnly`, `SameSite=Strict`)
and that is another one after every use. A refresh extends nothing: who keeps the session are the pings, the token only says whose it is.

The third way needs nothing here: `/session/events` and `/session/socket` tell an open page how its session stands.

The key that signs the tokens is drawn at the first start and kept in `token-key.jwk`; in earnest, give it in the variable TOKEN_KEY, as PEM
or JWK.
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
from stillhere.tokens import AccessTokens, SigningKeys, Tokens
from stillhere.tokens.keys import Algorithm, SigningKey, draw_key, read_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

HERE = Path(__file__).parent


def signing_key() -> SigningKey:
    """Read the key that signs tokens; the first start draws it."""
    told, file = os.environ.get("TOKEN_KEY"), HERE / "token-key.jwk"
    if told is None and not file.exists():
        file.touch(mode=0o600)
        file.write_text(draw_key(Algorithm.EDDSA, random_bytes=os.urandom).private_jwk(), "utf-8")
    return read_key(file.read_bytes() if told is None else told)


access = AccessTokens(SigningKeys([signing_key()]), issuer="editor", audience="editor", lifetime=minutes(5))
sessions = SessionManager(
    "sqlite:///sessions.db",
    policy=Policy(idle_timeout=minutes(30), beats_extend=BeatsExtend.ALWAYS),
    tokens=Tokens(access=access, refresh=True),
)
offered = HttpConfig(extra_paths={"beat": ("/keepalive",), "refresh": ("/auth/refresh",)}, bearer=True)


async def page(request: Request) -> Response:
    """Show the page, or the way in."""
    name = "gate.html" if session_of(request.scope).session is None else "page.html"
    return FileResponse(HERE / name, headers={"cache-control": "private, no-cache"})


async def enter(request: Request) -> Response:
    """Begin a session, with its first refresh token in a cookie. In earnest, ask for a password."""
    mine = session_of(request.scope)
    response = RedirectResponse("/", 303)
    if is_allowed_site(mine.request, mine.peer, offered):
        started, cookies = await mine.start("somebody")
        given = await mine.issue(started.session)
        for name, value in cookies if given is None else (*cookies, *given[1]):
            response.headers.append(name, value)
    return response


async def profile(request: Request) -> Response:
    """Answer those who are signed in, by cookie or by access token; tell the others why they are not."""
    mine = session_of(request.scope)
    if mine.session is not None:
        return JSONResponse({"userId": mine.session.subject}, headers={"cache-control": "private, no-store"})
    refused = mine.answer()
    return Response(refused.body, refused.status, dict(refused.headers))


async def script(request: Request) -> Response:
    """Serve a script."""
    return FileResponse(HERE / request.url.path.removeprefix("/"))


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
        Route("/refresh.js", script),
    ],
)
app = SessionMiddleware(site, sessions, offered, untouched=("/keepalive.js", "/refresh.js", "/favicon.ico"))

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
