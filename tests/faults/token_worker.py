"""An application in a process of its own, whose people sign in at a provider; scaled, so that a test need not wait."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qs

import msgspec
import uvicorn

from stillhere.adapters.asgi import SessionMiddleware, session_of
from stillhere.core import refreshing
from stillhere.http.config import HttpConfig
from stillhere.manager import SessionManager
from stillhere.tokens import coordinator, taking_back
from stillhere.tokens.events import TokenEvent, TokenNews
from stillhere.tokens.provider.config import Provider
from stillhere.tokens.provider.transport import HttpxTransport
from stillhere.tokens.settings import Tokens
from stillhere.tokens.vault import Vault, read_vault_key
from tests.tokens.made import access_tokens

if TYPE_CHECKING:
    from stillhere.adapters.asgi import Receive, Scope, Send
    from stillhere.tokens.provider.transport import Call, Reply

VAULT_KEY: Final = f"one:{'A' * 43}="
"""Opens nothing but what tests seal."""

Moment = Literal["leased", "answered", "committed"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a test asks of a worker.

    Attributes:
        store: URL of the store.
        provider: arguments of `Provider`.
        dies: the moment of a refresh at which it kills itself: the lease is written, the answer is there, the new tokens are kept.
        port: where to listen; 0 takes any.
        grace: as of `Tokens`.
        scaled: spans of the coordinator that are shorter here, by their names.
    """

    store: str
    provider: dict[str, Any]
    dies: Moment | None = None
    port: int = 0
    grace: int = 10_000
    scaled: dict[str, int] = msgspec.field(default_factory=dict)


def die() -> None:
    """Be killed as by a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


class MortalTransport(HttpxTransport):
    """Carries calls to the provider, and dies at one of them.

    Args:
        dies: when.
    """

    def __init__(self, dies: Moment | None) -> None:
        super().__init__()
        self._dies = dies

    async def send(self, call: Call) -> Reply:
        """Send it."""
        is_refresh = b"grant_type=refresh_token" in call.body
        if is_refresh and self._dies == "leased":
            die()
        reply = await super().send(call)
        if is_refresh and self._dies == "answered":
            die()
        return reply


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Do by path what a test asks for, and tell what came of it."""
    del receive
    mine = session_of(scope)
    manager = mine.endpoints.manager
    subject = parse_qs(scope["query_string"].decode()).get("subject", [""])[0]
    told: object = None
    cookies: list[tuple[str, str]] = []
    if scope["path"] == "/enter":
        started, cookies_of_it = await mine.start(subject)
        cookies += cookies_of_it
        told = started.session.handle
    elif scope["path"] == "/end-all":
        told = await manager.end_all(subject)
    elif scope["path"] == "/sweep":
        told = await manager.sweep()
    elif scope["path"] == "/token":
        token = await mine.access_token()
        told = None if token is None else sha256(token.encode()).hexdigest()
    elif scope["path"] == "/issue" and mine.session is not None:
        issued = await mine.issue(mine.session)
        assert issued is not None
        told = issued[0].access.text
        cookies += issued[1]
    headers = [(name.encode(), value.encode()) for name, value in cookies]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})


def manager_of(options: Options) -> SessionManager:
    """Put sessions, a provider and tokens of our own together."""

    async def die_when_kept(event: TokenEvent) -> None:
        if options.dies == "committed" and event.news is TokenNews.REFRESHED:
            die()

    tokens = Tokens(
        access=access_tokens(),
        refresh=True,
        provider=Provider(**options.provider),
        vault=Vault([read_vault_key(VAULT_KEY)]),
        transport=MortalTransport(options.dies),
        grace=options.grace,
        on_event=die_when_kept,
    )
    return SessionManager(options.store, tokens=tokens)


async def serve(options: Options) -> None:
    """Serve until a signal comes."""
    manager = manager_of(options)
    config = HttpConfig(bearer=True, beats_per_minute=1_000_000, messages_per_minute=1_000_000)
    listener = socket.create_server(("127.0.0.1", options.port), backlog=512)
    app = SessionMiddleware(application, manager, config)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, ws="none"))
    sys.stdout.write(f"listening at http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve([listener])
    await manager.close()


def main() -> None:
    """Read the options, and serve."""
    options = msgspec.json.decode(sys.argv[1], type=Options)
    for name, value in options.scaled.items():
        rooms = [room for room in (coordinator, taking_back) if hasattr(room, name)]
        assert rooms, f"no room has a {name}"
        for room in rooms:
            setattr(room, name, value)
        if hasattr(refreshing, name):
            setattr(refreshing, name, value)
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
