"""ASGI as values: requests from scopes, responses to messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from stillhere.http.endpoints import ANSWER_HEADERS
from stillhere.http.messages import READ_HEADERS, Request, Response

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_READ: Final = {name.encode("ascii"): name for name in READ_HEADERS}

_ANSWER_HEADERS: Final = [(name.encode("ascii"), value.encode("ascii")) for name, value in ANSWER_HEADERS]


def headers_of(scope: Scope) -> dict[str, str]:
    """Read the headers that anybody here reads."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = _READ.get(raw_name)
        if name is not None:
            value = raw_value.decode("latin-1")
            headers[name] = value if name not in headers else f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
    return headers


def request_of(scope: Scope, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Request:
    """Build a request from an ASGI scope; its headers, if they were read already, and its body may be given."""
    client = scope.get("client")
    return Request(
        method=scope.get("method", "GET"),
        path=scope["path"],
        headers=headers_of(scope) if headers is None else headers,
        query=scope["query_string"].decode("latin-1"),
        body=body,
        client=client[0] if client else None,
        scheme=scope.get("scheme", "http"),
    )


async def send_response(response: Response, send: Send) -> None:
    """Send a response."""
    if response.headers is ANSWER_HEADERS:  # nearly every answer: encoded once
        headers = [*_ANSWER_HEADERS, (b"content-length", b"%d" % len(response.body))]
    else:
        headers = encoded(response)
        if response.status not in {204, 304} and not any(name == b"content-length" for name, _ in headers):
            headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def encoded(response: Response) -> list[tuple[bytes, bytes]]:
    """Encode the headers of a response."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
