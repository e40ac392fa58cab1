"""HTML of a folder as an answer: with the client put in, and piece by piece if it is long."""

from __future__ import annotations

import asyncio
import zlib
from codecs import getincrementaldecoder
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from starlette.responses import Response, StreamingResponse

from stillhere.adapters.asgi import session_of
from stillhere.server.content.files import PIECE_BYTES, headers_of, is_known
from stillhere.server.content.inject import Injector
from stillhere.server.content.lasting import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from io import BufferedReader

    from starlette.requests import Request

    from stillhere.server.content.safe import Found, Root

MOST_WHOLE: Final = 5_000_000
"""Bytes of a page that is answered with at once, and its length told. A longer one is never in memory as a whole."""


async def send_page(root: Root, found: Found, request: Request, *, tag: tuple[bytes, str] | None) -> Response:
    """Answer with a page.

    Args:
        root: the folder that it is in.
        found: the page.
        request: by `GET` or `HEAD`. The answer breaks off with `SessionOver` once its session is over.
        tag: what is put in if it lacks the client, and what that mentions; None to leave it as it is.

    Raises:
        OSError: if it can't be read, or is no longer there.
    """
    # Before anything is said, so that it can still be said that it is gone.
    opened, found = await asyncio.to_thread(root.open, found)
    with ExitStack() as closing:
        closing.callback(opened.close)
        known_as = f'"{found.mark}{"" if tag is None else f"-{zlib.crc32(tag[0]):x}"}"'
        headers = {**headers_of("text/html"), "etag": known_as}
        if is_known(known_as, request.headers.get("if-none-match")):
            return Response(status_code=304, headers=headers)
        headers["content-type"] = f"text/html{await asyncio.to_thread(_charset, opened)}"
        injector = None if tag is None else Injector(*tag)
        if found.size <= MOST_WHOLE:
            page = await asyncio.to_thread(opened.read)
            return Response(page if injector is None else injector.feed(page) + injector.finish(), headers=headers)
        if request.method == "HEAD":
            return StreamingResponse(iter(()), headers=headers)
        closing.pop_all()
        return StreamingResponse(_pieces(opened, injector, Watch(session_of(request.scope))), headers=headers)


def _charset(opened: BufferedReader) -> str:
    """Tell the encoding of a page, if it is certain; a page in another one says so itself."""
    decoder = getincrementaldecoder("utf-8")()
    try:
        while piece := opened.read(PIECE_BYTES):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return ""
    finally:
        opened.seek(0)
    return "; charset=utf-8"


async def _pieces(opened: BufferedReader, injector: Injector | None, watch: Watch) -> AsyncIterator[bytes]:
    try:
        while piece := await asyncio.to_thread(opened.read, PIECE_BYTES):
            await watch.look()
            yield piece if injector is None else injector.feed(piece)
        if injector is not None:
            yield injector.finish()
    finally:
        opened.close()
