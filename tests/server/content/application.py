"""A small application to stand behind the gate, that can be slow, break off, stream, and tell what it was sent."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST: Final = 8_000_000
"""Bytes that the gate before it lets through in one request."""

PAGE: Final = b"<!doctype html><title>App</title><body><p>Hello.</p></body></html>"


class Application(ThreadingHTTPServer):
    """The application.

    Attributes:
        go_on: what waits goes on when it is set.
        gone: set when a browser was seen to have gone away in the middle of a stream.
        asked: paths that were asked for.
        url: where it is.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.go_on = threading.Event()
        self.gone = threading.Event()
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that were reset: that is what is tested."""


class Handler(BaseHTTPRequestHandler):
    """Answers by path."""

    protocol_version = "HTTP/1.1"
    server: Application

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the signature is the library's
        """Say nothing."""

    def handle_any(self) -> None:
        """Answer whatever the method."""
        parts = urlsplit(self.path)
        self.server.asked.append(self.path)
        handler = getattr(self, f"show_{parts.path.strip('/').replace('-', '_')}", None) or self.show_echo
        handler({name: values[0] for name, values in parse_qs(parts.query).items()})

    def __getattr__(self, name: str) -> Any:
        """Find the library's `do_GET` and the like."""
        if name.startswith("do_"):
            return self.handle_any
        raise AttributeError(name)

    def say(self, body: bytes, *headers: tuple[str, str], status: int = 200, media_type: str = "text/html; charset=utf-8") -> None:
        """Answer."""
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> tuple[int, str]:
        """Read the body piece by piece; tell its length and hash."""
        seen, size = hashlib.sha256(), 0
        for piece in self._pieces():
            seen.update(piece)
            size += len(piece)
        return size, seen.hexdigest()

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().strip() or b"0", 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left > 0 and (piece := self.rfile.read(min(left, 65_536))):
            left -= len(piece)
            yield piece

    def show_echo(self, query: dict[str, str]) -> None:
        """Tell what came."""
        del query
        size, seen = self.body()
        told = {
            "method": self.command,
            "target": self.requestline.split(" ")[1],
            "headers": self.headers.items(),
            "size": size,
            "sha256": seen,
        }
        self.say(json.dumps(told).encode(), media_type="application/json")

    def show_page(self, query: dict[str, str]) -> None:
        """Show a page."""
        del query
        self.say(PAGE, ("ETag", '"v1"'), ("Cache-Control", "public, max-age=60, s-maxage=600"))

    def show_strict(self, query: dict[str, str]) -> None:
        """Show a page with a policy of its own."""
        del query
        self.say(PAGE, ("Content-Security-Policy", "default-src 'self'"), ("Cross-Origin-Opener-Policy", "unsafe-none"))

    def show_fragment(self, query: dict[str, str]) -> None:
        """Give a piece of a page."""
        del query
        self.say(b"<tr><td>1</td></tr>")

    def show_zipped(self, query: dict[str, str]) -> None:
        """Show a page, zipped if the browser takes that, or in any case."""
        if "gzip" in self.headers.get("Accept-Encoding", "") or "always" in query:
            self.say(gzip.compress(PAGE), ("Content-Encoding", "gzip"))
        else:
            self.say(PAGE)

    def show_slow(self, query: dict[str, str]) -> None:
        """Say nothing for long."""
        del query
        self.server.go_on.wait(30)
        self.say(b"late")

    def show_pause(self, query: dict[str, str]) -> None:
        """Begin, and then say nothing for long."""
        self._begin(query.get("type", "text/plain"), 1_000)
        self.wfile.write(b"0123456789")
        self.server.go_on.wait(30)

    def show_close(self, query: dict[str, str]) -> None:
        """Break off without a word."""
        del query
        self.close_connection = True

    def show_half(self, query: dict[str, str]) -> None:
        """Break off in the middle."""
        del query
        self._begin("text/plain", 1_000)
        self.wfile.write(b"0123456789")
        self.close_connection = True

    def show_nonsense(self, query: dict[str, str]) -> None:
        """Speak something else than HTTP."""
        del query
        self.wfile.write(b"220 mail.example ESMTP\r\n\r\n")
        self.close_connection = True

    def show_error(self, query: dict[str, str]) -> None:
        """Fail."""
        del query
        self.say(PAGE, status=500)

    def show_go(self, query: dict[str, str]) -> None:
        """Send the browser on."""
        self.say(b"", ("Location", query["to"]), status=302)

    def show_cookies(self, query: dict[str, str]) -> None:
        """Set cookies: its own, and ones that are not its own."""
        own = ("cart=1; Path=/", "theme=dark; Path=/; HttpOnly")
        self.say(b"ok", *(("Set-Cookie", cookie) for cookie in (*own, *query.get("more", "").split("|")) if cookie))

    def show_hops(self, query: dict[str, str]) -> None:
        """Send headers that are for one hop."""
        del query
        self.say(b"ok", ("Connection", "keep-alive, X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"), ("X-Kept", "1"))

    def show_events(self, query: dict[str, str]) -> None:
        """Stream an event, wait until the test has seen it, then stream until the browser is gone."""
        del query
        self._begin("text/event-stream", None)
        self._chunk(b"data: first\n\n")
        self.server.go_on.wait(30)
        self._chunk(b"data: second\n\n")
        try:
            while not self.server.gone.wait(0.02):
                self._chunk(b": still here\n\n")
        except OSError:
            self.server.gone.set()

    def _begin(self, media_type: str, length: int | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Transfer-Encoding" if length is None else "Content-Length", "chunked" if length is None else str(length))
        self.end_headers()

    def _chunk(self, piece: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.flush()


@contextmanager
def running() -> Iterator[Application]:
    """Run the application until the block ends."""
    application = Application()
    thread = threading.Thread(target=application.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield application
    finally:
        application.go_on.set()
        application.gone.set()
        application.shutdown()
        application.server_close()
        thread.join()
