"""Weather between a browser and the program: a real proxy, in which messages are refused, delayed, lost, doubled and held back."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from re import sub
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OF_THE_CONNECTION: Final = {"connection", "keep-alive", "transfer-encoding", "content-length", "upgrade"}
"""Headers that speak of one connection, not of the message."""

TIMEOUT_S: Final = 30


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What happens to messages on session routes. Pages and the client itself always pass.

    Attributes:
        status: answered in place of the program, such as 429 or 503.
        retry_after_s: goes with it.
        delay_s: every answer waits that long.
        loses_answers: the program takes the message in, and nobody hears what it says.
        loses: tells whose answers nobody hears, where it is not everyone's.
        doubles: every message arrives twice.
        holds: tells which messages wait for `release`.
        retry_ms: if not None, streams are told to come back after that long when they break.
    """

    status: int | None = None
    retry_after_s: int = 0
    delay_s: float = 0
    loses_answers: bool = False
    loses: Callable[[Message], bool] | None = None
    doubles: bool = False
    holds: Callable[[Message], bool] | None = None
    retry_ms: int | None = None


FAIR: Final = Weather()


@dataclass
class Message:
    """One request to a session route.

    Attributes:
        at: when it came, in seconds of the monotonic clock.
        method: of the request.
        path: of the request.
        body: as it came.
        status: what the program answered, or the weather in its place; None until then, and if there was nobody to answer.
    """

    at: float
    method: str
    path: str
    body: str
    status: int | None = None
    is_held: bool = False
    may_pass: threading.Event = field(default_factory=threading.Event)
    is_done: threading.Event = field(default_factory=threading.Event)

    def beats(self) -> list[dict[str, Any]]:
        """List the beats in it, as they stand."""
        said = json.loads(self.body) if self.body else {}
        return list(said.get("beats", [said]))


class Between:
    """A proxy on a port of its own.

    Args:
        upstream: URL of the program, which may come and go.

    Attributes:
        url: where browsers find it.
        weather: what happens to messages from now on.
        messages: all that came to session routes.
        pages: paths of all other requests.
    """

    def __init__(self, upstream: str) -> None:
        """Listen."""
        self.upstream = urlsplit(upstream).netloc
        self.weather = FAIR
        self.messages: list[Message] = []
        self.pages: list[str] = []
        self.is_closing = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.url = ""
        self.up()

    def up(self) -> None:
        """Listen; on the port it had before, if it was down."""
        self._server = _Listener(urlsplit(self.url).port or 0, self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def beats(self, since: float = 0) -> list[Message]:
        """List the messages that came to the route of beats since an instant of the monotonic clock."""
        return [message for message in self.messages if message.path == "/session/beat" and message.at >= since]

    def held(self) -> list[Message]:
        """List what is held back, the first first."""
        return [message for message in self.messages if message.is_held and not message.may_pass.is_set()]

    def release(self) -> None:
        """Let what is held back arrive, the last first."""
        for message in reversed(self.held()):
            message.may_pass.set()
            assert message.is_done.wait(TIMEOUT_S), "a message that was let go did not arrive"

    def close(self) -> None:
        """Stop, and let go whoever waits."""
        self.is_closing.set()
        self.weather = FAIR
        self.down()
        for message in self.held():
            message.may_pass.set()


class _Listener(ThreadingHTTPServer):
    request_queue_size = 128  # a browser calls many times at once, and on a busy machine a call that is dropped comes again seconds later

    def __init__(self, port: int, between: Between) -> None:
        self.between = between
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    """Carries one request. Each has a connection of its own, on which no browser tries twice by itself."""

    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_GET(self) -> None:
        """Carry it."""
        self.close_connection = True
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        path = self.path.partition("?")[0]
        # The browser, the program or the test may be gone meanwhile.
        with contextlib.suppress(OSError, HTTPException):
            if not path.startswith("/session/") or path.endswith(".js"):
                self.server.between.pages.append(path)
                self.tell(self.ask(body))
                return
            message = Message(time.monotonic(), self.command, path, body.decode())
            self.server.between.messages.append(message)
            try:
                self.brave(self.server.between.weather, message, body)
            finally:
                message.is_done.set()

    do_POST = do_HEAD = do_GET  # noqa: N815  # the library's names

    def brave(self, weather: Weather, message: Message, body: bytes) -> None:
        """Carry a message through the weather."""
        if weather.holds and weather.holds(message):
            message.is_held = True
            message.may_pass.wait()
        if weather.status is not None:
            message.status = weather.status
            self.reply(weather.status, [("Retry-After", str(weather.retry_after_s))], b"{}")
            return
        for _ in range(weather.doubles):
            self.ask(body).read()
        answer = self.ask(body)
        message.status = answer.status
        self.server.between.is_closing.wait(weather.delay_s)
        if not (weather.loses_answers or (weather.loses and weather.loses(message))):
            self.tell(answer)

    def ask(self, body: bytes) -> HTTPResponse:
        """Ask the program, as who asks us."""
        upstream = HTTPConnection(self.server.between.upstream, timeout=TIMEOUT_S)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in OF_THE_CONNECTION}
        upstream.request(self.command, self.path, body or None, {**headers, "Connection": "close"})
        return upstream.getresponse()

    def tell(self, answer: HTTPResponse) -> None:
        """Hand on the program's answer, a stream as it comes."""
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in OF_THE_CONNECTION]
        if not (answer.getheader("Content-Type") or "").startswith("text/event-stream"):
            self.reply(answer.status, headers, answer.read())
            return
        self.start(answer.status, headers)
        retry_ms = self.server.between.weather.retry_ms
        while part := answer.read1():
            self.wfile.write(part if retry_ms is None else sub(rb"retry: \d+", b"retry: %d" % retry_ms, part))

    def reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""
        self.start(status, [*headers, ("Content-Length", str(len(body)))])
        self.wfile.write(body)

    def start(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Begin to answer."""
        self.send_response_only(status)
        for name, value in [*headers, ("Connection", "close")]:
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def between(upstream: str) -> Iterator[Between]:
    """Run a proxy until the block ends.

    Args:
        upstream: URL of the program.
    """
    proxy = Between(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
