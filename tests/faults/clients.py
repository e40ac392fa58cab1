"""Real clients, each in a thread of its own, that beat a running program as fast as it answers and remember what it answered."""

from __future__ import annotations

import http.client
import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from tests.support import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support import Program

UNLIMITED: Final = ("--beats-per-minute", "10000000", "--messages-per-minute", "10000000")
"""Flags that keep the rate limits out of the way."""

OURS: Final = {"X-Stillhere": "1", "Content-Type": "application/json"}


def connect(url: str, timeout_s: float = 30) -> http.client.HTTPConnection:
    """Open a connection to the program."""
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout_s)


def sign_in(url: str, email: str) -> str:
    """Go through the gate; tell the cookie."""
    connection = connect(url)
    form = {**OURS, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/gate", urlencode({"email": email, "next": "/"}), form)
    answer = connection.getresponse()
    assert answer.status == 303, answer.read()
    cookie = answer.headers["set-cookie"].partition(";")[0]
    connection.close()
    return cookie


def ask(url: str, method: str, path: str, cookie: str, body: object = None) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send one request on a connection of its own; tell status, headers and body."""
    connection = connect(url)
    connection.request(method, path, None if body is None else json.dumps(body), {**OURS, "Cookie": cookie})
    answer = connection.getresponse()
    told = answer.status, answer.headers, answer.read()
    connection.close()
    return told


class Client(threading.Thread):
    """One visitor with one page open. Beats until the program goes away, then rests until `go_on`.

    Attributes:
        view: name of the view, a new one after each rest.
        answered: for each view, the highest `seq` and `visibleMs` that were answered 200.
        wrong: every answer that was not 200.
        in_flight: `seq` of a request that was sent whole and is not answered yet.
        rests: the program is gone, and this client waits.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.email = f"{name}@fund.example"
        self.cookie = ""
        self.view = ""
        self.answered: dict[str, tuple[int, int]] = {}
        self.wrong: list[tuple[int, bytes]] = []
        self.in_flight: int | None = None
        self.rests = True
        self._url = ""
        self._seq = 0
        self._wake = threading.Event()
        self._over = False
        self._opened_at = 0.0

    def go_on(self, url: str) -> None:
        """Begin a new view, and beat."""
        self.cookie = self.cookie or sign_in(url, self.email)
        self._url = url
        self.view = f"{self.name}-{len(self.answered)}"
        self.answered[self.view] = (0, 0)
        self._opened_at = 0.0
        self.rests = False
        self._wake.set()

    def leave(self) -> None:
        """End the thread."""
        self._over = True
        self._wake.set()
        self.join(timeout=PATIENCE_S)

    def run(self) -> None:
        """Beat, rest, and again."""
        while self._wake.wait() and not self._over:
            self._wake.clear()
            connection = connect(self._url)
            try:
                self._beat_until_it_breaks(connection)
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
                self.in_flight = None
                self.rests = True

    def _beat_until_it_breaks(self, connection: http.client.HTTPConnection) -> None:
        while not self._over:
            self._seq += 1
            visible_ms = self._visible_ms()
            beat = {"view": self.view, "seq": self._seq, "visibleMs": visible_ms, "lifecycle": "active", "idleMs": 0, "page": "/"}
            body = {"beats": [{"kind": "check"}, beat]} if self._seq % 5 == 0 else beat
            connection.request("POST", "/session/beat", json.dumps(body), {**OURS, "Cookie": self.cookie})
            self.in_flight = self._seq
            answer = connection.getresponse()
            content = answer.read()
            self.in_flight = None
            if answer.status == 200:
                self._opened_at = self._opened_at or time.monotonic()
                self.answered[self.view] = (self._seq, visible_ms)
            else:
                self.wrong.append((answer.status, content))

    def _visible_ms(self) -> int:
        """Half of the time since the server is known to know the view: it never has a reason to believe less, however busy the machine."""
        return int((time.monotonic() - self._opened_at) * 500) + 1 if self._opened_at else 1


@contextmanager
def clients(count: int) -> Iterator[list[Client]]:
    """Start so many clients; they rest at first."""
    crowd = [Client(f"visitor{n}") for n in range(count)]
    for client in crowd:
        client.start()
    try:
        yield crowd
    finally:
        for client in crowd:
            client.leave()


def busy(crowd: list[Client], program: Program, *, beats: int) -> None:
    """Let the clients beat until each of them was answered so many times."""
    for client in crowd:
        client.go_on(program.url)
    first = {client: client._seq for client in crowd}
    wait_until(lambda: all(client.answered[client.view][0] >= first[client] + beats for client in crowd), what="answers for every client")
