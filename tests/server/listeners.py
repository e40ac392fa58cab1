"""Listeners at streams of a running program, each in a thread of its own, that remember what they heard and when."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Event, Ping, RejectConnection, RejectData, Request, TextMessage

from tests.support import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KINDS: Final = ("events", "socket")


class Heard(NamedTuple):
    """One event.

    Attributes:
        at: when, seconds of the monotonic clock.
        event: its name.
        data: what it said.
    """

    at: float
    event: str
    data: dict[str, Any]

    @property
    def at_ms(self) -> float:
        """When, by the system's clock, which programs on this machine read, too."""
        return (time.time() - time.monotonic() + self.at) * 1_000


class Listener(threading.Thread):
    """Listens at one stream until it is closed.

    Args:
        url: the program's.
        cookie: as the browser sends it.
        headers: more headers.

    Attributes:
        status: what the program answered at first; 101 for an open WebSocket.
        answer: the headers of that answer.
        problem: the problem, if it refused.
        heard: events, in order.
        comments: when comments came.
        closed: None while it is open; then a WebSocket's code, 0 for an answer that ended as it should, -1 for one that broke off.
    """

    def __init__(self, url: str, cookie: str | None, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.sent = {"Origin": url, **({} if cookie is None else {"Cookie": cookie}), **(headers or {})}
        self.status: int | None = None
        self.answer: dict[str, str] = {}
        self.problem: dict[str, Any] = {}
        self.heard: list[Heard] = []
        self.comments: list[float] = []
        self.closed: int | None = None
        self.line = socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 80), timeout=60)

    def names(self) -> list[str]:
        """Tell the names of the events heard so far."""
        return [heard.event for heard in self.heard]

    def wait_open(self) -> None:
        """Wait until the stream is open and its state was told."""
        wait_until(lambda: bool(self.heard) or self.closed is not None, what=f"a first event on {type(self).__name__}")
        assert self.names()[:1] == ["state"], (self.status, self.problem)

    def wait(self, event: str, *, timeout_s: float = PATIENCE_S) -> Heard:
        """Wait for an event; give the first of its name."""
        wait_until(lambda: event in self.names(), what=f"{event} on a stream that heard {self.names()}, {self.closed}", timeout_s=timeout_s)
        return next(heard for heard in self.heard if heard.event == event)

    def wait_closed(self, *, timeout_s: float = PATIENCE_S) -> int:
        """Wait until the stream is closed; tell how."""
        wait_until(lambda: self.closed is not None, what=f"the end of a stream that heard {self.names()}", timeout_s=timeout_s)
        assert self.closed is not None
        return self.closed

    def break_off(self) -> None:
        """Go away as a killed browser does: with a reset, and no word."""
        with suppress(OSError):
            self.line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.line.shutdown(socket.SHUT_RD)
        self.join(timeout=PATIENCE_S)

    def run(self) -> None:
        """Listen."""
        closed = -1
        try:
            closed = self._listen()
        except (OSError, ValueError, http.client.HTTPException):
            pass
        finally:
            self.line.close()
            self.closed = closed

    def _listen(self) -> int:
        raise NotImplementedError

    def _hear(self, event: str, data: Any) -> None:
        self.heard.append(Heard(time.monotonic(), event, data))


class EventListener(Listener):
    """Listens as an `EventSource` does.

    Attributes:
        path: where.
    """

    path = "/session/events"

    def _listen(self) -> int:
        connection = http.client.HTTPConnection("", timeout=60)
        connection.sock = self.line
        connection.request("GET", self.path, headers={"Host": urlsplit(self.url).netloc, "Accept": "text/event-stream", **self.sent})
        with connection.getresponse() as answer:
            return self._read(answer)

    def _read(self, answer: http.client.HTTPResponse) -> int:
        self.status, self.answer = answer.status, {name.lower(): value for name, value in answer.getheaders()}
        if answer.status != 200:
            self.problem = json.loads(answer.read())
            return 0
        event, rest = "", b""
        while piece := answer.read1(65_536):  # unlike `readline` it tells an answer that breaks off from one that ends
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                name, _, value = line.decode().partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    self._hear(event, json.loads(value))
                elif line.startswith(b":"):
                    self.comments.append(time.monotonic())
        return 0


class DashboardListener(EventListener):
    """Listens as the dashboard does."""

    path = "/admin/api/events"


class SocketListener(Listener):
    """Listens as a `WebSocket` does."""

    def _listen(self) -> int:
        self._speaks = WSConnection(ConnectionType.CLIENT)
        headers = [(name.lower().encode(), value.encode()) for name, value in self.sent.items()]
        self.say(Request(host=urlsplit(self.url).netloc, target="/session/socket", extra_headers=headers))
        body = b""
        while piece := self.line.recv(65_536):
            self._speaks.receive_data(piece)
            for event in self._speaks.events():
                if isinstance(event, AcceptConnection):
                    self.status = 101
                elif isinstance(event, RejectConnection):
                    self.status, self.answer = event.status_code, {name.decode(): value.decode() for name, value in event.headers}
                elif isinstance(event, RejectData):
                    body += event.data
                    self.problem = json.loads(body) if event.body_finished else {}
                elif isinstance(event, TextMessage):
                    told = json.loads(event.data)
                    assert told.keys() == {"event", "data"}
                    self._hear(told["event"], told["data"])
                elif isinstance(event, Ping):
                    self.comments.append(time.monotonic())
                    self.say(event.response())
                elif isinstance(event, CloseConnection):
                    with suppress(OSError):
                        self.say(event.response())
                    return event.code
        return 0 if self.problem else -1

    def say(self, event: Event) -> None:
        """Say something."""
        self.line.sendall(self._speaks.send(event))


def listener(kind: str, url: str, cookie: str | None, **options: Any) -> Listener:
    """Begin to listen."""
    made = (EventListener if kind == "events" else SocketListener)(url, cookie, **options)
    made.start()
    return made


@contextmanager
def listening(kind: str, url: str, cookie: str | None, **options: Any) -> Iterator[Listener]:
    """Listen at an open stream, until the end of the block."""
    made = listener(kind, url, cookie, **options)
    try:
        made.wait_open()
        yield made
    finally:
        made.break_off()
