"""Carries streams over ASGI: Server-Sent Events and WebSocket. Idle, a stream is one task that waits for its client to go away."""

from __future__ import annotations

import asyncio
import logging
import signal
from abc import ABC, abstractmethod
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from stillhere.adapters.carry import encoded, request_of, send_response
from stillhere.http.events import (
    COME_BACK_CODE,
    ENDED_CODE,
    REFUSED_CODE,
    TOO_LARGE_CODE,
    write_event,
    write_frame,
    write_retry,
)
from stillhere.http.limits import RateLimit
from stillhere.http.messages import Response

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from stillhere.adapters.carry import Receive, Scope, Send
    from stillhere.http.endpoints import SessionEndpoints
    from stillhere.http.messages import Request
    from stillhere.streams import Stream, Telling

logger = logging.getLogger("stillhere")

LARGEST_FRAME: Final = 1_024
"""Characters of a frame from a browser. Nothing in it is read."""

FRAMES_PER_MINUTE: Final = 60
"""How many of them are put up with."""


class StreamCarrier:
    """Carries the streams of an application.

    Args:
        endpoints: the session routes.
    """

    def __init__(self, endpoints: SessionEndpoints) -> None:
        """Carry none yet."""
        self._endpoints = endpoints
        self._frames = RateLimit(FRAMES_PER_MINUTE)
        endpoints.manager.push.stop_when = is_server_stopping

    def takes(self, scope: Scope) -> bool:
        """Tell whether a connection asks for a stream."""
        if scope["type"] == "websocket":
            return True
        return bool(scope["method"] == "GET" and self._endpoints.route_of(scope["path"]) == "events")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one, until its client goes away or there is nothing more to tell."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._events(scope, receive, send)

    async def _events(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoints, request = self._endpoints, request_of(scope)
        line = _EventLine(send, endpoints, request)
        opened = await endpoints.open(request, "events", line.wake)
        if isinstance(opened, Response):
            await send_response(opened, send)
        else:
            await line.carry(opened, receive)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        line = _SocketLine(send, self._endpoints, self._frames)
        opened = await self._endpoints.open(request_of(scope), "socket", line.wake)
        if isinstance(opened, Response):
            await _refuse(opened, scope, send)
        else:
            await line.carry(opened, receive)


class _Line(ABC):
    """The way from a stream to its page. Its reader waits for the page to go away; a writer lives only while there is something to tell."""

    __slots__ = ("_endpoints", "_is_over", "_reader", "_send", "_stream", "_writer")

    def __init__(self, send: Send, endpoints: SessionEndpoints) -> None:
        self._send = send
        self._endpoints = endpoints
        self._stream: Stream | None = None
        reader = asyncio.current_task()
        assert reader is not None  # noqa: S101  # a coroutine that runs has a task
        self._reader = reader
        self._writer: asyncio.Task[None] | None = None
        self._is_over = False

    @abstractmethod
    async def _begin(self) -> None:
        """Tell the client that the stream is open."""

    @abstractmethod
    async def _read(self, receive: Receive) -> None:
        """Wait until the client goes away."""

    @abstractmethod
    async def _tell(self, telling: Telling) -> None:
        """Tell one thing."""

    async def carry(self, stream: Stream, receive: Receive) -> None:
        """Carry a stream until its client goes away, or it is over."""
        try:
            await self._begin()
            self._stream = stream
            self.wake()
            await self._read(receive)
        except asyncio.CancelledError:
            if not self._is_over or self._reader.uncancel():
                raise
        finally:
            stream.close()
            if self._writer is not None:
                self._writer.cancel()

    def wake(self) -> None:
        """Have told what is to be told, in a task of its own: a page that reads slowly holds up nobody else."""
        if self._stream is not None and self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write(self._stream))

    async def _write(self, stream: Stream) -> None:
        try:
            while (telling := stream.take()) is not None:
                await self._tell(telling)
                if telling.is_last:
                    self._end()
                    return
        except OSError:  # the page is gone (ASGI 2.4)
            self._end()
        except Exception:
            logger.exception("a stream failed")
            self._end()
        finally:
            self._writer = None

    def _end(self) -> None:
        """Have the reader stop: not every server tells it that an answer is complete."""
        self._is_over = True
        self._reader.cancel()


class _EventLine(_Line):
    """Server-Sent Events."""

    __slots__ = ("_first", "_request")

    def __init__(self, send: Send, endpoints: SessionEndpoints, request: Request) -> None:
        super().__init__(send, endpoints)
        self._request: Request | None = request
        self._first = b""

    async def _begin(self) -> None:
        assert self._request is not None  # noqa: S101  # it is begun once
        begin = self._endpoints.event_stream(self._request)
        await self._send({"type": "http.response.start", "status": begin.status, "headers": encoded(begin)})
        self._first = write_retry(self._endpoints.manager.push.streams.opened)
        self._request = None  # many streams stay for hours; what they came with need not

    async def _read(self, receive: Receive) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            if message.get("body"):  # a GET has none; who sends one anyway may never come to an end
                await self._send({"type": "http.response.body", "body": b""})
                return

    async def _tell(self, telling: Telling) -> None:
        body = self._first + write_event(telling, touch_ms=self._endpoints.manager.policy.touch_interval)
        self._first = b""
        await self._send({"type": "http.response.body", "body": body, "more_body": not telling.is_last})


class _SocketLine(_Line):
    """A WebSocket."""

    __slots__ = ("_frames",)

    def __init__(self, send: Send, endpoints: SessionEndpoints, frames: RateLimit) -> None:
        super().__init__(send, endpoints)
        self._frames = frames

    async def _begin(self) -> None:
        await self._send({"type": "websocket.accept"})

    async def _read(self, receive: Receive) -> None:
        while (message := await receive())["type"] == "websocket.receive":
            if len(message.get("text") or message.get("bytes") or "") > LARGEST_FRAME:
                code = TOO_LARGE_CODE
            elif self._frames.wait_s(str(id(self))) is not None:
                code = REFUSED_CODE
            else:
                continue
            await self._send({"type": "websocket.close", "code": code})
            return

    async def _tell(self, telling: Telling) -> None:
        text = write_frame(telling, touch_ms=self._endpoints.manager.policy.touch_interval)
        if text is not None:
            await self._send({"type": "websocket.send", "text": text})
        if telling.is_last:
            await self._send({"type": "websocket.close", "code": COME_BACK_CODE if text is None else ENDED_CODE})


async def _refuse(response: Response, scope: Scope, send: Send) -> None:
    """Refuse a handshake: with the answer itself where the server can carry it, else with a code that few clients are shown."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": ENDED_CODE if response.status == HTTPStatus.UNAUTHORIZED else REFUSED_CODE})
        return

    async def send_refusal(message: MutableMapping[str, Any]) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    await send_response(response, send_refusal)


def is_server_stopping() -> bool:
    """Tell whether the server that runs this process was told to stop.

    Uvicorn waits for open answers to end, and tells an application that it stops only after that. What it has set to handle SIGTERM
    belongs to it, and it knows. Other servers: call `push.stop`.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(server, "should_exit", False) is True
