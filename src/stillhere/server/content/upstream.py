"""An application elsewhere, behind the gate: requests go there, answers come back, both piece by piece."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx2

from stillhere.adapters.asgi import send_response, session_of
from stillhere.adapters.bodies import may_follow
from stillhere.errors import SettingsError
from stillhere.http.bearer import bearer_of
from stillhere.http.endpoints import uncached
from stillhere.http.problems import problem
from stillhere.server.content.crossing import VIA, Raw, as_header, as_target, is_html, own_cookies, to_application, to_browser
from stillhere.server.content.guard import asked_of, header_of, wants_page
from stillhere.server.content.inject import Injector
from stillhere.server.content.lasting import LOOK_INTERVAL_S, is_over
from stillhere.server.content.upload import BrowserGone, Upload, UploadTooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stillhere.adapters.asgi import Receive, RequestSession, Scope, Send
    from stillhere.http.config import HttpConfig
    from stillhere.server.pages import Pages

logger = logging.getLogger("stillhere")

CONNECT_TIMEOUT_S: Final = 5

MOST_CONNECTIONS: Final = 1_000
IDLE_CONNECTIONS: Final = 50

_WORDS: Final = {
    400: ("Not an address", "This address cannot be read. Begin at the front page."),
    413: ("Too much", "That is more than may be sent at once."),
    502: ("The application cannot be reached", "It is down, restarting, or broke off. You are still signed in; try again in a moment."),
    504: (
        "The application does not answer",
        "It was asked and has said nothing for too long. You are still signed in; try again in a moment.",
    ),
    508: (
        "Going round in circles",
        "The application behind this gate is this gate. Whoever runs it must set `upstream` to the application.",
    ),
}


class _Refused(Exception):  # becomes an answer, never raised to callers
    """A request that gets no answer from the application.

    Attributes:
        status: what it gets instead.
    """

    def __init__(self, status: int) -> None:
        """Keep the status."""
        super().__init__(status)
        self.status = status


class Upstream:
    """Carries requests to an application, as an ASGI application inside of `Guard`.

    Args:
        url: the application's origin: scheme, host, port.
        pages: renders.
        config: our cookies' names.
        tag: what is put into HTML that lacks the client, and what that mentions; None to leave all as it is.
        timeout: how long the application may be silent, milliseconds. Server-sent events may be silent for ever.
        most_bytes: that one request may bring.

    Raises:
        SettingsError: if the address is no origin of http or https.
    """

    def __init__(self, url: str, pages: Pages, config: HttpConfig, *, tag: tuple[bytes, str] | None, timeout: int, most_bytes: int) -> None:
        """Read the address; connect to nothing yet."""
        self._origin = read_origin(url)
        self._pages = pages
        self._own = own_cookies(config)
        self._config = config
        self._tag = tag
        self._timeout_s = timeout / 1_000
        self._most_bytes = most_bytes
        limits = httpx2.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=IDLE_CONNECTIONS)
        self._transport = httpx2.AsyncHTTPTransport(limits=limits, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one request, until it is answered, its browser has gone away, or its session is over."""
        mine = session_of(scope)
        upload = Upload(receive, most_bytes=self._most_bytes, follows=may_follow(mine.request.headers, scope.get("http_version")))
        work = asyncio.ensure_future(self._exchange(scope, mine, upload, send))
        gone = asyncio.ensure_future(upload.gone())
        over = asyncio.ensure_future(_over(mine))
        try:
            await asyncio.wait({work, gone, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks = [task for task in (work, gone, over) if not task.done()]
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
        if not work.cancelled():
            work.result()

    async def _exchange(self, scope: Scope, mine: RequestSession, upload: Upload, send: Send) -> None:
        try:
            response = await self._ask(scope, mine, upload)
        except BrowserGone:
            return
        except _Refused as refused:
            await self._refuse(refused.status, scope, send)
            return
        try:
            await self._answer(response, scope, send)
        finally:
            await response.aclose()

    async def _ask(self, scope: Scope, mine: RequestSession, upload: Upload) -> httpx2.Response:
        if VIA.decode() in header_of(scope, b"via"):
            raise _Refused(508)
        if int(mine.request.header("content-length") or 0) > self._most_bytes:
            raise _Refused(413)
        request = self._request(scope, mine, upload)
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                upload.on_progress = lambda: limit.reschedule(asyncio.get_running_loop().time() + self._timeout_s)
                return await self._transport.handle_async_request(request)
        except UploadTooLarge as error:
            raise _Refused(413) from error
        except (TimeoutError, httpx2.TimeoutException) as error:
            logger.warning("the application at %s does not answer", self._origin)
            raise _Refused(504) from error
        except httpx2.TransportError as error:
            logger.warning("the application at %s cannot be reached: %s", self._origin, _why(error))
            raise _Refused(502) from error

    def _request(self, scope: Scope, mine: RequestSession, upload: Upload) -> httpx2.Request:
        target = asked_of(scope)
        if not target.startswith("/"):
            raise _Refused(400)
        peer = mine.peer
        said = {
            b"x-forwarded-for": peer.address,
            b"x-forwarded-proto": peer.scheme,
            b"x-forwarded-host": mine.request.header("host") or "",
        }
        if mine.session is not None:
            said |= {b"x-stillhere-subject": as_header(mine.session.subject), b"x-stillhere-session": mine.session.handle}
        is_page = self._tag is not None and wants_page(scope)
        drops = b"" if bearer_of(mine.request, self._config) is None else b"authorization"
        headers = to_application(scope["headers"], said, self._own, is_page=is_page, drops=drops)
        # Pieces come in their own time, so only the way to the application has a timeout here.
        extensions = {
            "timeout": {"connect": CONNECT_TIMEOUT_S, "pool": CONNECT_TIMEOUT_S, "read": None, "write": None},
            # As it came: the library would write quotes and slashes its own way, and the application judge another path than the guard.
            "target": as_target(target),
        }
        content = upload.pieces() if upload.follows else None
        return httpx2.Request(scope["method"], f"{self._origin}/", headers=headers, content=content, extensions=extensions)

    async def _answer(self, response: httpx2.Response, scope: Scope, send: Send) -> None:
        told: Raw = response.headers.raw
        is_injected = self._tag is not None and response.status_code == HTTPStatus.OK and is_html(told)
        headers = to_browser(told, self._own, self._origin, is_injected=is_injected)
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        injector = Injector(*self._tag) if self._tag is not None and is_injected and scope["method"] != "HEAD" else None
        try:
            async for piece in self._pieces(response):
                going = piece if injector is None else injector.feed(piece)
                if going:
                    await send({"type": "http.response.body", "body": going, "more_body": True})
        except (TimeoutError, httpx2.TransportError) as error:
            # The answer stays unfinished, so that the server breaks off, too: nobody takes a half for a whole.
            logger.warning("the application at %s broke off in the middle of an answer: %s", self._origin, _why(error))
            return
        await send({"type": "http.response.body", "body": b"" if injector is None else injector.finish()})

    async def _pieces(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        is_endless = response.headers.get("content-type", "").startswith("text/event-stream")
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)  # noqa: S101  # what an asynchronous transport gives
        pieces = aiter(stream)
        while True:
            async with asyncio.timeout(None if is_endless else self._timeout_s):
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield piece

    async def _refuse(self, status: int, scope: Scope, send: Send) -> None:
        title, advice = _WORDS[status]
        if wants_page(scope):
            await self._pages.error(status, title, advice)(scope, _nothing, send)
        else:
            await send_response(uncached(problem(status, advice)), send)


async def _over(mine: RequestSession) -> None:
    """Wait until the session of a long answer is over, so that a stream does not outlive it."""
    while True:
        await asyncio.sleep(LOOK_INTERVAL_S)
        if await is_over(mine):
            return


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


async def _nothing() -> dict[str, object]:
    return {"type": "http.disconnect"}


def read_origin(url: str) -> str:
    """Read the address of an application.

    Raises:
        SettingsError: if it is no origin of http or https.
    """
    refused = SettingsError(f"upstream {url!r} is not the address of an application; write it like http://127.0.0.1:3000, without a path")
    try:
        parts = urlsplit(url)
        is_origin = bool(parts.hostname) and "@" not in parts.netloc and (parts.port is None or parts.port > 0)
    except ValueError:
        raise refused from None
    if not is_origin or parts.scheme not in {"http", "https"} or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise refused
    return f"{parts.scheme}://{parts.netloc}"
