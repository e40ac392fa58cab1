"""The floor: an ASGI application that knows nobody and answers every beat with the same bytes and headers as stillhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stillhere.adapters.asgi import Receive, Scope, Send

ALIVE_INTERVAL_S = 25

BODY = (
    b'{"state":"active","expiresInMs":1200000,"idleInMs":1200000,"absoluteInMs":86399000,"warnInMs":1080000,"nextBeatMs":180000,'
    b'"canExtend":true,"accessTokenExpiresAt":null,"success":true}'
)
HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"private, no-store"),
    (b"vary", b"Cookie, Origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-length", str(len(BODY)).encode()),
]


async def stream(receive: Receive, send: Send) -> None:
    """Open a stream, and show now and then that it is alive, as simply as an application can."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream"), *HEADERS[1:-1]]})
    await send({"type": "http.response.body", "body": b"event: state\ndata: " + BODY + b"\n\n", "more_body": True})
    waiting = asyncio.ensure_future(_gone(receive))
    while not (await asyncio.wait([waiting], timeout=ALIVE_INTERVAL_S))[0]:
        await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the request, answer."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/session/events":
        await stream(receive, send)
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
