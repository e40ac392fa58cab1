"""Lets through who passed the gate, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException

from stillhere.adapters.asgi import SCOPE_KEY, RequestSession, send_response
from stillhere.server.pages import go

if TYPE_CHECKING:
    from collections.abc import Collection, MutableMapping

    from stillhere.adapters.asgi import App, Receive, Scope, Send

MOST_HEADER_BYTES: Final = 65_536
"""An honest browser sends a tenth of it; servers differ in what they let through."""

_FREE: Final = ((b"content-security-policy", b"frame-ancestors 'self'"), (b"cross-origin-opener-policy", b"same-origin-allow-popups"))

_READS: Final = frozenset({"GET", "HEAD"})

_CROOKED: Final = ("..", "//", "/.", "\\", "%", ";")
"""What may make a path mean another one to whoever reads it next. Such a path is never open."""

NO_SOCKETS: Final = "WebSockets are not carried through the gate. Let the page use Server-Sent Events, or serve the socket elsewhere."


class Guard:
    """Shows an application to those who have a session, inside of `SessionMiddleware`.

    Somebody without one who goes to a page is sent to the gate and comes back; a script gets the 401 of the session routes; a WebSocket is
    refused, for it would outlive the session that opened it.

    Args:
        app: the application.
        gate: path of the gate.
        open_paths: paths for everybody, and beginnings of paths, each ending in `/`.
        own: first segments of paths that are never the application's, such as `admin`.
    """

    def __init__(self, app: App, *, gate: str = "/gate", open_paths: tuple[str, ...] = (), own: Collection[str] = ()) -> None:
        """Wrap once."""
        self._app = app
        self._gate = gate
        self._open = frozenset(path for path in open_paths if not path.endswith("/"))
        self._open_folders = tuple(path for path in open_paths if path.endswith("/"))
        self._own = frozenset(own)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one connection.

        Raises:
            HTTPException: 404 for a path that is not the application's, 431 for more headers than anybody needs.
        """
        if scope["type"] == "websocket":
            await refuse_socket(scope, receive, send)
            return
        mine, path = scope.get(SCOPE_KEY), scope["path"]
        if not isinstance(mine, RequestSession) or path.partition("/")[2].partition("/")[0] in self._own:
            raise HTTPException(404)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
            raise HTTPException(431)
        if mine.session is not None or self._is_open(path):
            await self._app(scope, receive, _freely(send))
        elif wants_page(scope):
            await go(f"{self._gate}?next={quote(asked_of(scope), safe='/')}")(scope, receive, send)
        else:
            await send_response(mine.answer(), send)

    def _is_open(self, path: str) -> bool:
        is_listed = path in self._open or path.startswith(self._open_folders)
        return is_listed and not any(sign in path for sign in _CROOKED)


def _freely(send: Send) -> Send:
    """Let the application's own pages load and run what they like, where they say nothing about it; only its own site may frame them."""

    async def send_freely(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            present = {name.lower() for name, _ in headers}
            message["headers"] = [*headers, *(header for header in _FREE if header[0] not in present)]
        await send(message)

    return send_freely


def header_of(scope: Scope, name: bytes) -> str:
    """Read a header of a request; an empty string if it has none."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def wants_page(scope: Scope) -> bool:
    """Tell whether a person goes somewhere: Fetch Metadata says so, or a browser without it asks for HTML."""
    if scope["method"] not in _READS:
        return False
    mode = header_of(scope, b"sec-fetch-mode")
    return mode == "navigate" if mode else "text/html" in header_of(scope, b"accept")


def asked_of(scope: Scope) -> str:
    """Tell path and query of a request as they came."""
    raw_path = scope.get("raw_path")
    path = quote(scope["path"]) if raw_path is None else raw_path.decode("latin-1").partition("?")[0]
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


async def refuse_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 501 to a WebSocket, or close it where the server can't say so."""
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"private, no-store")]
    await send({"type": "websocket.http.response.start", "status": 501, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": f"{NO_SOCKETS}\n".encode()})
