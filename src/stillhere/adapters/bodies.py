"""Bodies of messages: read whole, but never more than may be, and not for longer than an honest one takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from stillhere.core.wire import MAX_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

BODY_TIMEOUT_S: Final = 10
"""How long the body of a message may take; it is small, and an honest one is here at once."""

_LOOK_EVERY_S: Final = 1

_SAY_SO: Final = frozenset({"1.0", "1.1"})


class BrokeOff(Exception):  # not an error of ours: the client went away
    """The client went away before its body was whole."""


class Bodies:
    """Reads bodies, and gives up on those that do not come.

    One timer looks at all that are being read, once a second, and only while there are any: a timer for each would cost more than
    reading does.
    """

    def __init__(self) -> None:
        """Read nothing yet."""
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._given_up: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> bytes:
        """Read a body, but never more of it than is needed to know that it is too large.

        Raises:
            TimeoutError: if it was not here in time.
            BrokeOff: if the client went away.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine that runs has a task
        self._reading[task] = loop.time() + BODY_TIMEOUT_S
        if self._timer is None or self._loop is not loop:
            self._loop = loop
            self._timer = loop.call_later(_LOOK_EVERY_S, self._look, loop)
        try:
            return await _whole(receive)
        except asyncio.CancelledError:
            if task not in self._given_up:
                raise
            task.uncancel()
            raise TimeoutError from None
        finally:
            del self._reading[task]
            self._given_up.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, until_s in self._reading.items():
            if now >= until_s and task not in self._given_up:
                self._given_up.add(task)
                task.cancel()
        self._timer = loop.call_later(_LOOK_EVERY_S, self._look, loop) if self._reading else None


async def _whole(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False) and len(body) <= MAX_BODY_BYTES:
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise BrokeOff
    return body[: MAX_BODY_BYTES + 1]


def may_follow(headers: Mapping[str, str], http_version: str | None) -> bool:
    """Tell whether a body may follow: in HTTP/1 only where a header announces it (RFC 9112 section 6.3), later versions need not say."""
    return http_version not in _SAY_SO or headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
