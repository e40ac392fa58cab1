"""The floor: an ASGI application that knows nobody and answers every beat with the same bytes and headers as stillhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stillhere.adapters.asgi import Receive, Scope, Send

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


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the request, answer."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
