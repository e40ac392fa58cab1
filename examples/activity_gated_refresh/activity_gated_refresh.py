"""A long form that keeps its session while somebody fills it in, by a React hook that was there before stillhere. Sign-in is at a provider.

Bundle the page and run it, then open http://localhost:8000:

    make example NAME=activity_gated_refresh

`use-heartbeat.ts` is not changed: it posts to a path of its own, and only while the tab is on screen and somebody did something of late. So
the server may take its word: one setting gives that path to the beats, and the policy lets a beat extend.

People sign in at an OpenID provider: yours, if PROVIDER_ISSUER, PROVIDER_CLIENT_ID and PROVIDER_CLIENT_SECRET name it and it has
http://localhost:8000/session/callback for a redirect URI; else one to develop with, which is started along (`provider.mjs`). Its tokens
stay on the server, sealed. The very beats that keep the session keep them fresh: when 30 % of an access token's life are left the next beat
has it replaced, and where nobody does anything nothing is refreshed. The hook beats every 5 minutes, so a token should live for 17 or more.

The session cookie is `SameSite=Strict`, although people come back from another site: the callback sees to that.

The key that seals the tokens is drawn at the first start and kept in `vault.key`; in earnest, give it in the variable VAULT_KEY.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import uvicorn
from development_provider import DevelopmentProvider
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from stillhere import BeatsExtend, Policy, SessionManager, StoreError, minutes
from stillhere.adapters.asgi import SessionMiddleware, session_of
from stillhere.errors import ProviderAway, TokenLapsed
from stillhere.http.config import HttpConfig
from stillhere.tokens import Provider, Tokens, Vault
from stillhere.tokens.vault import VaultKey, read_vault_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

HERE = Path(__file__).parent
PORT = int(os.environ.get("PORT", "8000"))
HOME = f"http://localhost:{PORT}/"
CALLBACK = f"{HOME}session/callback"
PRIVATE = {"cache-control": "private, no-store"}
SWEEP_EVERY_S = 60


def vault_key() -> VaultKey:
    """Read the key that seals the provider's tokens; the first start draws it."""
    told, file = os.environ.get("VAULT_KEY"), HERE / "vault.key"
    if told is None and not file.exists():
        file.touch(mode=0o600)
        file.write_text(f"first:{b64encode(os.urandom(32)).decode()}\n", "utf-8")
    return read_vault_key(file.read_text("utf-8") if told is None else told)


development = (
    None if "PROVIDER_ISSUER" in os.environ else DevelopmentProvider(port=PORT + 1, redirect_uri=CALLBACK, post_logout_redirect_uri=HOME)
)
provider = Provider(
    issuer=os.environ["PROVIDER_ISSUER"] if development is None else development.issuer,
    client_id=os.environ["PROVIDER_CLIENT_ID"] if development is None else development.client_id,
    client_secret=os.environ["PROVIDER_CLIENT_SECRET"] if development is None else development.client_secret,
    redirect_uri=CALLBACK,
    post_logout_redirect_uri=HOME,
    authorize_parameters={"prompt": "consent"},  # or some give no refresh token (OpenID Connect Core section 11)
)
api = os.environ.get("API_URL", f"{provider.issuer}/me")

sessions = SessionManager(
    "sqlite:///sessions.db",
    policy=Policy(idle_timeout=minutes(15), beats_extend=BeatsExtend.ALWAYS),
    tokens=Tokens(provider=provider, vault=Vault([vault_key()])),
)
offered = HttpConfig(extra_paths={"beat": ("/api/auth/heartbeat",)}, same_site="strict")


async def page(request: Request) -> Response:
    """Show the form, or the way in."""
    name = "gate.html" if session_of(request.scope).session is None else "page.html"
    return FileResponse(HERE / name, headers={"cache-control": "private, no-cache"})


async def about_me(request: Request) -> Response:
    """Ask an API in the person's name, here what the provider knows of them. The token never leaves the server."""
    mine = session_of(request.scope)
    try:
        token = await mine.access_token()
    except (ProviderAway, TokenLapsed):
        return JSONResponse({"message": "That cannot be asked just now. Try again in a moment."}, 503, {**PRIVATE, "retry-after": "5"})
    if token is None:
        refused = mine.answer()
        return Response(refused.body, refused.status, dict(refused.headers))
    async with httpx2.AsyncClient() as client:
        answer = await client.get(api, headers={"authorization": f"Bearer {token}"})
    return Response(answer.content, answer.status_code, {**PRIVATE, "content-type": "application/json"})


async def script(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
    """Serve the bundled page."""
    return FileResponse(HERE / "built" / "page.js")


async def sweep() -> None:
    """Record ends that nobody noticed, and take back at the provider what those sessions held."""
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        with suppress(StoreError):
            await sessions.sweep()


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Run the provider to develop with, if there is no other, and close the store when the server stops."""
    async with AsyncExitStack() as stack:
        if development is not None:
            await stack.enter_async_context(development)
        await stack.enter_async_context(sessions)
        sweeping = asyncio.create_task(sweep())
        yield
        sweeping.cancel()


site = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", page),
        Route("/api/me", about_me),
        Route("/page.js", script),
    ],
)
app = SessionMiddleware(site, sessions, offered, untouched=("/page.js", "/favicon.ico"))

if __name__ == "__main__":
    uvicorn.run(app, host="localhost", port=PORT)  # not 127.0.0.1: people come back to `localhost`
