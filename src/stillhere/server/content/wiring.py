"""What the program shows behind its gate, as the settings say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from stillhere.errors import SettingsError
from stillhere.server.content.folder import Folder
from stillhere.server.content.guard import Guard
from stillhere.server.content.inject import tag_of
from stillhere.server.content.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from starlette.responses import Response

    from stillhere.adapters.asgi import App, Receive, Scope, Send
    from stillhere.server.pages import Pages
    from stillhere.server.settings import Settings

Endpoint = Callable[[Request], Awaitable["Response"]]

GATE: Final = "/gate"
"""Where the gate is if something is behind it, which then has `/`."""

STATIC: Final = "/gate/static"
"""Where the program's own style sheets and scripts are then, for `/static` is likely to be the application's."""

WORKER_POLICY: Final = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
"""The part of the viewer that reads PDFs decodes some pictures by WebAssembly. It has no page, no cookie to read and nobody else to ask."""


def is_content(settings: Settings) -> bool:
    """Tell whether something is shown behind the gate.

    Raises:
        SettingsError: if it is two things at once.
    """
    if settings.folder is not None and settings.upstream is not None:
        raise SettingsError("folder and upstream are both set, and only one can be behind the gate; leave one out")
    return settings.folder is not None or settings.upstream is not None


def one_by_one(routes: Sequence[Route]) -> list[Route]:
    """Make one route of those with the same path, which answers every method, so that none goes on to what is behind the gate."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for route in routes:
        by_path.setdefault(route.path, {}).update(dict.fromkeys(route.methods or (), route.endpoint))
    return [Route(path, _ByMethod(endpoints)) for path, endpoints in by_path.items()]


class _ByMethod:
    """Answers a request by its method, and 405 to those that are not there."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        endpoint = self._endpoints.get(request.method)
        if endpoint is None:
            raise HTTPException(405, headers={"allow": ", ".join(sorted(self._endpoints))})
        response = await endpoint(request)
        await response(scope, receive, send)


def static_routes(at: str) -> list[Mount]:
    """Serve the program's style sheets and scripts."""
    files = StaticFiles(packages=[("stillhere.server", "static")])
    viewer = _Vendored(packages=[("stillhere.server", "static/vendor/pdfjs")])
    return [Mount(f"{at}/vendor/pdfjs", viewer), Mount(at, files)]


class _Vendored(StaticFiles):
    """The parts of pdf.js, one of which runs as a worker and brings its own policy."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file."""
        response = await super().get_response(path, scope)
        response.headers["content-security-policy"] = WORKER_POLICY
        return response


class Content:
    """What is behind the gate, guarded.

    Args:
        settings: the program's.
        pages: renders.
        client_url: where the client is.
        routes: the program's own, which go first.

    Attributes:
        app: the guarded application.
    """

    def __init__(self, settings: Settings, pages: Pages, client_url: str, routes: Sequence[BaseRoute]) -> None:
        """Find the folder, or read the application's address.

        Raises:
            SettingsError: if there is no such folder, or something in it would be hidden by a page of the program.
        """
        own = {route.path.split("/")[1] for route in routes if isinstance(route, Route | Mount)}
        tag = (tag_of(client_url, GATE), client_url.partition("?")[0]) if settings.inject else None
        self._upstream: Upstream | None = None
        if settings.folder is not None:
            _refuse_hidden(settings.folder, {*own, "view", settings.prefix.split("/")[1]})
            behind: App = Folder(settings.folder, pages, site_name=settings.site_name, tag=tag, downloads=settings.download)
        else:
            spans = {"timeout": settings.upstream_timeout, "most_bytes": settings.upstream_body}
            behind = self._upstream = Upstream(settings.upstream or "", pages, settings.http(), tag=tag, **spans)
        self.app = Guard(behind, gate=GATE, open_paths=settings.open_paths, own=own)

    async def close(self) -> None:
        """Close connections to the application."""
        if self._upstream is not None:
            await self._upstream.close()


def _refuse_hidden(folder: Path, taken: Collection[str]) -> None:
    if not folder.is_dir():
        raise SettingsError(f"there is no folder {folder}; name one with --folder")
    for entry in sorted(folder.iterdir()):
        if entry.name in taken:
            raise SettingsError(f"{entry} would be hidden by the program's own /{entry.name}; give it another name")
