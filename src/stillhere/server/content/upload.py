"""What a browser sends, piece by piece, and whether it is still there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from stillhere.adapters.asgi import Receive


class BrowserGone(Exception):  # not an error of ours: the browser went away
    """The browser went away before it had sent everything."""


class UploadTooLarge(Exception):  # told to the browser, never raised to callers
    """The browser sent more than it may."""


class Upload:
    """The body of a request on its way through.

    Args:
        receive: gives it.
        most_bytes: that it may have.
        follows: whether there may be a body at all.

    Attributes:
        follows: the same.
        on_progress: called for each piece.
    """

    def __init__(self, receive: Receive, *, most_bytes: int, follows: bool) -> None:
        """Read nothing yet."""
        self._receive = receive
        self._left = most_bytes
        self.follows = follows
        self._is_whole = asyncio.Event()
        self.on_progress: Callable[[], None] = lambda: None
        if not follows:
            self._is_whole.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the body as it comes.

        Raises:
            BrowserGone: if it ends early.
            UploadTooLarge: if there is more than there may be.
        """
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise BrowserGone
            piece, more = message.get("body", b""), message.get("more_body", False)
            self._left -= len(piece)
            if self._left < 0:
                raise UploadTooLarge
            self.on_progress()
            if piece:
                yield piece
        self._is_whole.set()

    async def gone(self) -> None:
        """Wait until the browser has gone away, from the moment on that its body is whole."""
        await self._is_whole.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
