"""`GET events`: the dashboard's stream, from an operator's sign-in to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response

from stillhere.adapters.asgi import request_of
from stillhere.adapters.streams import is_server_stopping
from stillhere.core.rules import ending
from stillhere.errors import StoreError
from stillhere.http.cookies import read_secret
from stillhere.http.events import EVENT_STREAM, SIGN_OF_LIFE, UNBUFFERED, write_retry
from stillhere.http.origin import is_foreign, peer_of
from stillhere.http.problems import problem
from stillhere.server.admin.answers import carried
from stillhere.server.admin.live import Listener, Live, write
from stillhere.server.admin.query import operator_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from stillhere.manager import SessionManager
    from stillhere.server.admin.guard import Guard

logger = logging.getLogger("stillhere")

TICK_S: Final = 1.0
"""How often a stream looks whether its operator is still signed in, and whether the server stops."""

CHECK_INTERVAL_S: Final = 15.0
"""How often it looks at a session that is not in this process; the store tells of its end before."""

ALIVE_INTERVAL_S: Final = 15.0
"""How often a stream shows that it is alive."""

RETRY_AFTER_S: Final = 60

Over = Callable[[], Awaitable[str | None]]
"""Tells why an operator's session is over, or None while it lives."""


class Events:
    """Answers `GET events`.

    Args:
        live: looks who is here.
        guard: knows the operators' sessions.
        manager: the visitors' sessions, which may be those of an application's own operators, too.
    """

    def __init__(self, live: Live, guard: Guard, manager: SessionManager) -> None:
        """Carry none yet."""
        self._live = live
        self._guard = guard
        self._manager = manager
        self._opened = 0

    async def show(self, request: Request) -> Response:
        """Open a stream."""
        asked = request_of(request.scope)
        peer = peer_of(asked, self._guard.http)
        if is_foreign(asked, peer, self._guard.http):
            return carried(problem(403, "This request came from another site."))
        if request.method == "HEAD":
            return Response(headers=dict((EVENT_STREAM, UNBUFFERED, ("cache-control", "private, no-store"))))
        operator = operator_of(request.scope)
        handle = None if operator.signs_out else operator.handle
        listener = self._live.listen(operator.handle or f"{operator.name} {operator.network}", handle)
        if listener is None:
            why = "There are too many open streams of the dashboard. Close some of its pages."
            return carried(problem(429, why, headers=(("retry-after", str(RETRY_AFTER_S)),)))
        self._opened += 1
        over: Over = self._never
        interval_s = CHECK_INTERVAL_S
        if operator.signs_out:
            over, interval_s = self._signed_in_here(read_secret(asked, peer, self._guard.http)), TICK_S
        elif operator.handle is not None:
            over = self._signed_in_there(operator.handle)
        return _Stream(self._live, listener, over, interval_s, number=self._opened)

    @staticmethod
    async def _never() -> str | None:
        return None

    def _signed_in_here(self, secret: str | None) -> Over:
        async def over() -> str | None:
            verdict = await self._guard.operators.look(secret)
            return None if verdict.is_alive else "no_session" if verdict.ending is None else verdict.ending.by

        return over

    def _signed_in_there(self, handle: str) -> Over:
        async def over() -> str | None:
            try:
                session = await self._manager.store.get(handle)
            except StoreError:
                return None
            found = None if session is None else ending(session, now=self._manager.clock())
            return "no_session" if session is None else None if found is None else found.by

        return over


class _Stream(Response):
    """One stream. Its reader waits for the page to go away; its writer tells."""

    def __init__(self, live: Live, listener: Listener, over: Over, interval_s: float, *, number: int) -> None:
        super().__init__(headers=dict((EVENT_STREAM, UNBUFFERED, ("cache-control", "private, no-store"))))
        del self.headers["content-length"]
        self._live = live
        self._listener = listener
        self._over = over
        self._interval_s = interval_s
        self._number = number

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # the signature is ASGI's
        """Carry it until its page goes away, or there is nothing more to tell."""
        tasks: list[asyncio.Task[None]] = []
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            loop = asyncio.get_running_loop()
            tasks = [loop.create_task(self._write(send)), loop.create_task(_until_gone(receive))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._live.leave(self._listener)
            for task in tasks:
                task.cancel()
            for found in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(found, Exception):
                    logger.error("a stream of the dashboard failed", exc_info=found)

    async def _write(self, send: Send) -> None:
        with suppress(OSError):  # the page is gone (ASGI 2.4)
            last = await self._tell(send)
            await send({"type": "http.response.body", "body": last})

    async def _tell(self, send: Send) -> bytes:
        """Tell what there is to tell; give the last word."""
        now = asyncio.get_running_loop().time
        body = write_retry(self._number) + SIGN_OF_LIFE
        alive_at, check_at = now() + ALIVE_INTERVAL_S, now() + self._interval_s
        while not is_server_stopping():
            if self._listener.is_suspect or now() >= check_at:
                self._listener.is_suspect = False
                why = await self._over()
                if why is not None:
                    return write("ended", msgspec.json.encode({"reason": why}))
                check_at = now() + self._interval_s
            body += self._listener.take()
            if body or now() >= alive_at:
                await send({"type": "http.response.body", "body": body or SIGN_OF_LIFE, "more_body": True})
                body, alive_at = b"", now() + ALIVE_INTERVAL_S
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._listener.woken.wait()
        return b""


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
