"""A React application that keeps its token in the page and is signed out after 20 minutes without use, or after 24 hours in any case.

Bundle the page and run it, then open http://localhost:8000; any address and the password `open sesame` will do:

    make example NAME=bearer_timeout

The page was there before stillhere and is not changed: it sends its token as a bearer, checks it every minute with `X-Heartbeat: true`,
which extends nothing, and signs out at a path of its own.

The token is a JWT of ours that names the session. The page never asks for another, so it lasts as long as a session can. That is safe here,
for a token alone opens nothing: the session is asked at every request, and a token whose session was signed out, idle for too long or
ended from elsewhere is refused at once. It would not be safe with a service that reads the token and does not ask. What it does not help
against is a foreign script in the page, which finds the token in `localStorage`: where you can, prefer the cookie, or tokens of minutes
that are kept in memory (`keep_alive`).

The key that signs is drawn at the first start and kept in `token-key.jwk`; in earnest, give it in the variable TOKEN_KEY, as PEM or JWK.
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
from stillhere.tokens import AccessTokens, SigningKeys, Tokens
from stillhere.tokens.keys import Algorithm, SigningKey, draw_key, read_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

HERE = Path(__file__).parent
PRIVATE = {"cache-control": "private, no-store"}

LONGEST = hours(24)


def signing_key() -> SigningKey:
    """Read the key that signs tokens; the first start draws it."""
    told, file = os.environ.get("TOKEN_KEY"), HERE / "token-key.jwk"
    if told is None and not file.exists():
        file.touch(mode=0o600)
        file.write_text(draw_key(Algorithm.EDDSA, random_bytes=os.urandom).private_jwk(), "utf-8")
    return read_key(file.read_bytes() if told is None else told)


access = AccessTokens(SigningKeys([signing_key()]), issuer="clinic", audience="clinic", lifetime=LONGEST)
sessions = SessionManager(
    "sqlite:///sessions.db",
    policy=Policy(idle_timeout=minutes(20), absolute_timeout=LONGEST),
    tokens=Tokens(access=access),
)
offered = HttpConfig(extra_paths={"end": ("/v1/auth/logout",)}, bearer=True)


class Login(msgspec.Struct):
    """What the page sends to sign in."""

    email: str
    password: str


def user(email: str) -> dict[str, str]:
    """Tell the page about somebody."""
    return {"id": email, "name": email.partition("@")[0], "email": email, "role": "reader", "clinicId": "1", "clinicName": "First"}


async def login(request: Request) -> Response:
    """Begin a session and hand the page a token of it, in the body instead of a cookie. In earnest, look the password up."""
    try:
        asked = msgspec.json.decode(await request.body(), type=Login)
    except msgspec.DecodeError:
        return JSONResponse({"message": "Send an e-mail address and a password."}, 422, PRIVATE)
    if asked.password != "open sesame":  # noqa: S105  # the example's, and told to everybody
        return JSONResponse({"message": "That is not right."}, 403, PRIVATE)
    mine, about = session_of(request.scope), user(asked.email)
    started, _ = await mine.start(asked.email)
    given = await mine.issue(started.session, role=about["role"])
    if given is None:
        return JSONResponse({"message": "Somebody ended that session at once. Try again."}, 409, PRIVATE)
    issued, _ = given
    return JSONResponse({"token": issued.access.text, "user": about}, headers=PRIVATE)


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
