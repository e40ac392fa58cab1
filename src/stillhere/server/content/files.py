"""Files as answers: types, ranges, validators, and headers that keep what is no page from running anything."""

from __future__ import annotations

import asyncio
import re
from mimetypes import MimeTypes
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from stillhere.adapters.asgi import session_of
from stillhere.server.content.lasting import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from io import BufferedReader

    from starlette.requests import Request

    from stillhere.server.content.safe import Found, Root

PIECE_BYTES: Final = 262_144

KEPT: Final = "private, no-cache"
"""What is behind the gate may be kept by its reader's browser, which asks each time whether it may still show it."""

FILE_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'; font-src 'self' data:; frame-ancestors 'self'"
)
"""For all files but pages: a picture or a document that holds a script cannot run it."""

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")

_ZIPPED: Final = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz", "br": "application/octet-stream"}

_TEXTS: Final = frozenset({"application/json", "application/xml", "text/javascript", "image/svg+xml"})

# The library's own list: one that the machine brings would answer differently on each.
_TYPES: Final = MimeTypes()
_MORE: Final = {
    ".md": "text/plain",
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".log": "text/plain",
    ".webmanifest": "application/json",
}


def media_type_of(name: str) -> str:
    """Tell the media type of a file by its name; `application/octet-stream` if nobody knows."""
    _, dot, ending = name.lower().rpartition(".")
    media_type, packed = _TYPES.guess_type(name.lower())
    media_type = _MORE.get(dot + ending, media_type)
    if packed is not None:
        return _ZIPPED.get(packed, "application/octet-stream")
    if media_type is None:
        return "application/octet-stream"
    is_text = media_type.startswith("text/") or media_type in _TEXTS
    return f"{media_type}; charset=utf-8" if is_text and media_type != "text/html" else media_type


def range_of(header: str | None, size: int) -> range | None:
    """Read which bytes are asked for; None for all of them, also if it asks for several ranges at once or cannot be read.

    Several ranges may be answered with the whole (RFC 9110 section 14.2); none of our readers asks so, and who does may ask for thousands.

    Returns:
        An empty range if there is nothing there.
    """
    found = _RANGE.match(header) if header else None
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        return range(max(0, size - int(found[2])), size)
    first = int(found[1])
    last = min(int(found[2]), size - 1) if found[2] else size - 1
    if found[2] and int(found[2]) < first:
        return None
    return range(first, last + 1)


def is_known(tag: str, header: str | None) -> bool:
    """Tell whether the browser has this very version (RFC 9110 section 13.1.2)."""
    if header is None:
        return False
    return header.strip() == "*" or tag in (part.strip().removeprefix("W/") for part in header.split(","))


async def send_file(root: Root, found: Found, request: Request, *, attachment: bool = False) -> Response:
    """Answer with a file, or the part of it that is asked for.

    Args:
        root: the folder that it is in.
        found: the file.
        request: by `GET` or `HEAD`. The answer breaks off with `SessionOver` once its session is over.
        attachment: have the browser keep it instead of showing it.

    Raises:
        OSError: if it can't be read, or is no longer there.
    """
    # Before anything is said, so that it can still be said that it is gone.
    opened, found = await asyncio.to_thread(root.open, found)
    response = _answer(opened, found, request, attachment=attachment)
    if not isinstance(response, StreamingResponse):
        opened.close()
    return response


def _answer(opened: BufferedReader, found: Found, request: Request, *, attachment: bool) -> Response:
    asked, tag = request.headers, f'"{found.mark}"'
    media_type = media_type_of(found.file.name)
    headers = {**headers_of(media_type), "etag": tag, "accept-ranges": "bytes"}
    if attachment:
        headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(found.file.name, safe='')}"
    if is_known(tag, asked.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    wanted = range_of(asked.get("range"), found.size) if asked.get("if-range") in {None, tag} else None
    status = 200
    if wanted is not None:
        if not wanted:
            return Response(status_code=416, headers={**headers, "content-range": f"bytes */{found.size}"})
        status = 206
        headers["content-range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{found.size}"
    part = range(found.size) if wanted is None else wanted
    headers |= {"content-length": str(len(part)), "content-type": media_type}
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_pieces(opened, part, Watch(session_of(request.scope))), status, headers)


def headers_of(media_type: str) -> Mapping[str, str]:
    """Tell the headers that every file of this type gets.

    Pages, to which the guard gives theirs, may run what they like; and browsers' PDF viewers start under no strict policy.
    """
    is_free = media_type.partition(";")[0] in {"text/html", "application/pdf"}
    return {"cache-control": KEPT, "vary": "Cookie", **({} if is_free else {"content-security-policy": FILE_POLICY})}


async def _pieces(opened: BufferedReader, part: range, watch: Watch) -> AsyncIterator[bytes]:
    try:
        await asyncio.to_thread(opened.seek, part.start)
        left = len(part)
        while left > 0 and (piece := await asyncio.to_thread(opened.read, min(left, PIECE_BYTES))):
            await watch.look()
            left -= len(piece)
            yield piece
    finally:
        opened.close()
