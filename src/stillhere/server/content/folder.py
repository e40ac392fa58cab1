"""A folder behind the gate: its pages, documents in a viewer that counts each of their pages, a listing where there is no index."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request

from stillhere.adapters.asgi import session_of
from stillhere.server.content.files import media_type_of, send_file
from stillhere.server.content.guard import wants_page
from stillhere.server.content.html import send_page
from stillhere.server.content.lasting import SessionOver
from stillhere.server.content.listing import crumbs_of, is_pdf, rows_of
from stillhere.server.content.safe import Root
from stillhere.server.pages import go

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.responses import Response

    from stillhere.adapters.asgi import Receive, Scope, Send
    from stillhere.server.content.safe import Found
    from stillhere.server.pages import Pages

INDEX: Final = "index.html"

VIEWER_POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

_VIEWED: Final = re.compile(r"/view(/.+\.pdf)(?:/([1-9][0-9]{0,5}))?\Z", re.IGNORECASE)


class Folder:
    """Shows a folder, as an ASGI application inside of `Guard`.

    Args:
        folder: the folder; it must be there.
        pages: renders.
        site_name: what the top of the folder is called.
        tag: what is put into HTML that lacks the client, and what that mentions; None to leave all as it is.
        downloads: whether the viewer offers the file itself.
    """

    def __init__(self, folder: Path, pages: Pages, *, site_name: str, tag: tuple[bytes, str] | None, downloads: bool) -> None:
        """Find the folder."""
        self._root = Root(folder)
        self._pages = pages
        self._site_name = site_name
        self._tag = tag
        self._downloads = downloads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one request.

        Raises:
            HTTPException: 404 for what is not there, 405 for what only reads may do.
        """
        request = Request(scope)
        if request.method not in {"GET", "HEAD"}:
            raise HTTPException(405, headers={"allow": "GET, HEAD"})
        try:
            response = await self._answer(request)
        except OSError:  # it may not be read, or was taken away since it was found
            raise HTTPException(404) from None
        with suppress(SessionOver):  # the answer stays unfinished, so that the server breaks off: nobody takes a part for the whole
            await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.scope["path"]
        viewed = _VIEWED.match(path)
        if viewed is not None:
            return await self._view(request, viewed[1], viewed[2])
        found = await asyncio.to_thread(self._root.find, path)
        if found is None or (path.endswith("/") and not found.is_folder):
            raise HTTPException(404)
        if found.is_folder:
            return await self._folder(request, path, found)
        if is_pdf(path) and wants_page(request.scope) and not (self._downloads and "download" in request.query_params):
            return go(quote(f"/view{path}"))
        if media_type_of(path) == "text/html":
            return await send_page(self._root, found, request, tag=self._tag)
        attachment = "download" in request.query_params
        return await send_file(self._root, found, request, attachment=attachment)

    async def _folder(self, request: Request, path: str, found: Found) -> Response:
        if not path.endswith("/"):
            return go(quote(f"{path}/"))
        index = await asyncio.to_thread(self._root.find, f"{path}{INDEX}")
        if index is not None and not index.is_folder:
            return await send_page(self._root, index, request, tag=self._tag)
        rows, count = await asyncio.to_thread(rows_of, self._root, found.file, path)
        crumbs = crumbs_of(path, self._site_name)
        return self._pages.show("folder.html", crumbs=crumbs, rows=rows, count=count, subject=_who(request))

    async def _view(self, request: Request, path: str, number: str | None) -> Response:
        found = await asyncio.to_thread(self._root.find, path)
        if found is None or found.is_folder:
            raise HTTPException(404)
        if number is None:
            return go(quote(f"/view{path}/1"))
        response = self._pages.show(
            "viewer.html",
            crumbs=crumbs_of(path, self._site_name),
            name=path.rpartition("/")[2],
            file=quote(path),
            number=int(number),
            downloads=self._downloads,
            subject=_who(request),
        )
        response.headers["content-security-policy"] = VIEWER_POLICY
        return response


def _who(request: Request) -> str:
    session = session_of(request.scope).session
    return "" if session is None else session.subject
