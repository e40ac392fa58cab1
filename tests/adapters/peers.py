"""A client of a stream, and the server between it and the application, spoken by hand."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from stillhere.adapters.asgi import SessionMiddleware
from tests.adapters.apps import application
from tests.http.doubles import HOST, OWN, Web
from tests.manager.doubles import settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

    from stillhere.adapters.asgi import App
    from stillhere.http.config import HttpConfig
    from stillhere.manager import Started


class Peer:
    """A client, and the server between it and the application.

    Attributes:
        sent: what the application sent.
        reads: clear it to let nothing more through, as a client does that does not read.
        gone: what `send` raises when the client is gone; None for a server that swallows it.
        tells_the_end: the server tells the application that an answer is complete.
    """

    def __init__(self, kind: str, secret: str | None = None, **scope: Any) -> None:
        self.kind = kind
        self.sent: list[MutableMapping[str, Any]] = []
        self.inbox: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()
        self.gone: Exception | None = None
        self.tells_the_end = True
        cookie = [] if secret is None else [(b"cookie", f"__Host-session={secret}".encode())]
        self.scope: dict[str, Any] = {
            "path": f"/session/{kind}",
            "query_string": b"",
            "client": ("203.0.113.9", 5000),
            "headers": [(b"host", HOST.encode()), (b"origin", OWN.encode()), *cookie],
            **({"type": "http", "method": "GET", "scheme": "https"} if kind == "events" else {"type": "websocket", "scheme": "wss"}),
            **scope,
        }
        self.says({"type": "http.request", "body": b"", "more_body": False} if kind == "events" else {"type": "websocket.connect"})
        self.task: asyncio.Task[None] | None = None

    def says(self, message: MutableMapping[str, Any]) -> None:
        """Let the client say something."""
        self.inbox.put_nowait(message)

    def leaves(self) -> None:
        """Let the client go away."""
        self.says({"type": "http.disconnect"} if self.kind == "events" else {"type": "websocket.disconnect", "code": 1001})

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if self.gone is not None:
            raise self.gone
        await self.reads.wait()
        self.sent.append(message)
        is_complete = message["type"] == "http.response.body" and not message.get("more_body")
        if self.tells_the_end and (is_complete or message["type"] == "websocket.close"):
            self.leaves()

    async def call(self, app: App) -> None:
        """Connect to an application."""
        self.task = asyncio.create_task(app(self.scope, self.inbox.get, self._send), name="peer")  # type: ignore[arg-type]  # a coroutine
        await settle()

    def is_served(self) -> bool:
        """Tell whether the application still holds the connection."""
        assert self.task is not None
        return not self.task.done()

    def heard(self) -> list[str | int]:
        """Tell the events that arrived, and with what it was closed: a WebSocket's code, or 0 for the end of an answer."""
        heard: list[str | int] = []
        for message in self.sent:
            if message["type"] == "websocket.send":
                heard.append(json.loads(message["text"])["event"])
            elif message["type"] == "websocket.close":
                heard.append(message["code"])
            elif message["type"] == "http.response.body":
                heard += [line.removeprefix("event: ") for line in message["body"].decode().split("\n") if line.startswith("event: ")]
                heard += [] if message.get("more_body") else [0]
        return heard


@asynccontextmanager
async def site(config: HttpConfig | None = None) -> AsyncIterator[tuple[Web, SessionMiddleware]]:
    """Set up an application with sessions; no task may be left when its streams are closed."""
    before = asyncio.all_tasks()
    web = Web(config)
    yield web, SessionMiddleware(application, web.manager, config)
    await web.manager.close()
    await settle()
    assert asyncio.all_tasks() == before
    assert (web.manager.push.streams.count, web.manager.push.streams.followed) == (0, {})


async def tick(web: Web, span_ms: int = 0) -> None:
    """Let time pass and everything run."""
    web.clock.advance(span_ms)
    web.manager.push.tick()
    await settle()


async def connected(kind: str, web: Web, app: App, started: Started | None = None) -> Peer:
    """Connect somebody who is signed in."""
    peer = Peer(kind, (started or await web.sign_in()).secret)
    await peer.call(app)
    return peer
