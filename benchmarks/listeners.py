"""Many clients of streams in one process: each a connection that reads, answers pings, and remembers when it was told of an end."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal, cast

from benchmarks.measure import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.services.process import Server

Kind = Literal["events", "socket"]

AT_ONCE: Final = 100
"""Connections that are opened together; no browser waits in a longer row."""

PATIENCE_S: Final = 20

_UPGRADE: Final = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)

_PING, _PONG = b"\x89", b"\x8a\x84\0\0\0\0"
"""Beginning of a ping of four bytes, and what goes before them in its pong: masked, by nothing."""


class Listener(asyncio.Protocol):
    """One client.

    Attributes:
        is_open: done when the first event is there.
        ended_at: done when it was told of the end: seconds of the monotonic clock.
        signs: how often the server showed that the line is alive.
    """

    __slots__ = ("_request", "_transport", "ended_at", "is_open", "signs")

    def __init__(self, request: bytes) -> None:
        """Ask for nothing yet."""
        loop = asyncio.get_running_loop()
        self._request = request
        self._transport: asyncio.Transport | None = None
        self.is_open: asyncio.Future[None] = loop.create_future()
        self.ended_at: asyncio.Future[float] = loop.create_future()
        self.signs = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a stream."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are, but do not say so
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Look what it is; a server writes its events in one piece."""
        if not self.is_open.done():
            if b"expiresInMs" in data:
                self.is_open.set_result(None)
            elif b" 200 " not in data and b" 101 " not in data:
                self.is_open.set_exception(BenchmarkError(f"no stream: {data[:200]!r}"))
        elif data.startswith(_PING) and self._transport is not None:
            self.signs += 1
            self._transport.write(_PONG + data[2:6])
        elif b"reason" in data and not self.ended_at.done():
            self.ended_at.set_result(time.monotonic())
        elif b":\n\n" in data:
            self.signs += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        for future in (self.is_open, self.ended_at):
            if not future.done():
                future.set_exception(BenchmarkError(f"a stream broke off: {exc}"))
                future.exception()  # also if nobody waits for it

    def close(self) -> None:
        """Go away."""
        if self._transport is not None:
            self._transport.close()


async def listen(server: Server, cookies: Iterable[str], kind: Kind = "events") -> list[Listener]:
    """Open a stream for each cookie; give the listeners when all have heard how their sessions stand."""
    loop, listeners, waiting = asyncio.get_running_loop(), list[Listener](), iter(cookies)
    headers = f"Host: 127.0.0.1:{server.port}\r\nOrigin: http://127.0.0.1:{server.port}\r\n{_UPGRADE if kind == 'socket' else ''}"
    while some := list(islice(waiting, AT_ONCE)):
        opened = [Listener(f"GET /session/{kind} HTTP/1.1\r\n{headers}Cookie: {cookie}\r\n\r\n".encode()) for cookie in some]
        for one in opened:
            await loop.create_connection(lambda one=one: one, "127.0.0.1", server.port)  # type: ignore[misc]  # it is called before the next
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(one.is_open for one in opened))
        listeners += opened
    return listeners
