"""A real HTTP server in a thread, answered by a function: what stand-ins for others' systems are made with."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

METHODS: Final = ("GET", "POST", "PATCH", "DELETE")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request: header names are in small letters, the target is path and query as sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The query, read."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}


def answer(status: int, content: object, **headers: str) -> Answered:
    """Answer with JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answered(status=status, body=msgspec.json.encode(content), headers={"content-type": "application/json", **named})


class HttpThread:
    """Serves until it is stopped; stopped, nobody listens at its port, and it can start again there.

    Args:
        answers: gives the answer, or None to close the connection without a word. Called in many threads.

    Attributes:
        url: where it listens.
    """

    def __init__(self, answers: Callable[[Asked], Answered | None]) -> None:
        self._answers = answers
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen. No harm if it does."""
        if self._server is None:
            self._server = _Server(("127.0.0.1", self._port), _handler(self._answers))
            self._port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening. No harm if it does not."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _handler(answers: Callable[[Asked], Answered | None]) -> type[BaseHTTPRequestHandler]:
    def answered(self: BaseHTTPRequestHandler) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        found = answers(Asked(method=self.command, target=self.path, headers=headers, body=body))
        self.close_connection = True
        if found is None:
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(found.status)
        for name, value in {**found.headers, "content-length": str(len(found.body)), "connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(found.body)

    verbs: dict[str, Any] = {f"do_{method}": answered for method in METHODS}
    return type("Handler", (BaseHTTPRequestHandler,), {**verbs, "log_message": lambda *_: None})


@contextlib.contextmanager
def http_thread(answers: Callable[[Asked], Answered | None]) -> Iterator[HttpThread]:
    """Serve until the block ends."""
    server = HttpThread(answers)
    try:
        yield server
    finally:
        server.stop()
