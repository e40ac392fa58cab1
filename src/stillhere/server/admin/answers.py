"""Answers of the dashboard's API: JSON, files and problems, private and never kept."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response, StreamingResponse

from stillhere.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.types import Send

    from stillhere.http.messages import Response as Problem

logger = logging.getLogger("stillhere")


def json_answer(body: object) -> Response:
    """Answer with JSON."""
    return Response(msgspec.json.encode(body), media_type="application/json", headers={"cache-control": "private, no-store"})


def carried(answer: Problem) -> Response:
    """Carry an answer of `http/`, such as a problem."""
    response = Response(answer.body, answer.status, headers={"cache-control": "private, no-store"})
    response.raw_headers.extend((name.encode(), value.encode()) for name, value in answer.headers)
    return response


async def download(body: AsyncIterator[bytes], name: str, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a file that is made while it is sent. What goes wrong before its first piece is there is raised, to be answered instead.

    Args:
        body: the file, piece by piece.
        name: under which it is saved.
        media_type: of the file.
        headers: more headers.
    """
    first = await anext(body, b"")

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for piece in body:
            yield piece

    disposition = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "private, no-store"}
    return _Download(whole(), media_type=media_type, headers={**disposition, **(headers or {})})


class _Download(StreamingResponse):
    """A file that ends only if it is whole: if the store goes away meanwhile, the server closes the connection before the end."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except StoreError as error:
            logger.warning("a file broke off while it was sent: %s", error)
