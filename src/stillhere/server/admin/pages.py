"""The dashboard's pages: the door, and the one page behind it, which asks for everything it shows by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from starlette.routing import Route

from stillhere.adapters.asgi import request_of
from stillhere.core.paths import local_path
from stillhere.errors import InsecureTransport
from stillhere.http.cookies import delete_cookies, read_secret, refuse_unsafe_way, set_cookies
from stillhere.http.origin import is_allowed_site, peer_of
from stillhere.server.admin.guard import FAILURES_PER_MINUTE, named, seen_at, stranger
from stillhere.server.admin.query import operator_of
from stillhere.server.gate import Forms
from stillhere.server.pages import go, with_headers

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stillhere.http.messages import Headers
    from stillhere.server.admin.audit import Audit
    from stillhere.server.admin.guard import Guard, Tokens
    from stillhere.server.admin.query import Operator
    from stillhere.server.pages import Pages

HOME: Final = "/admin"

SECTIONS: Final = ("visits", "visitors", "pages", "time", "mirrors", "audit", "wall")
"""Words after `/admin/` that the dashboard's own page knows; what follows them is for it to read."""

_NOT_THE_TOKEN: Final = "That is not the token. It is the one the server was started with, or printed when it started."  # noqa: S105  # a sentence


def way_back(text: str | None) -> str:
    """Let a way back through only if it leads to a page of the dashboard; anything else leads to its front page."""
    path = local_path(text)
    behind = (path or "").partition("?")[0].partition("#")[0]
    is_page = behind == HOME or any(behind == f"{HOME}/{section}" or behind.startswith(f"{HOME}/{section}/") for section in SECTIONS)
    # A browser goes up at `..` before it asks, also where the dots are written as %2e; a proxy may do so where the slash is.
    goes_up = not {".", ".."}.isdisjoint(unquote(behind).split("/"))
    return path if path is not None and is_page and not goes_up else HOME


class Doors:
    """The door, and the page behind it.

    Args:
        pages: renders.
        guard: lets people in.
        tokens: open the dashboard.
        audit: records who came in and who did not.
        by_openid: whether operators may sign in at a provider.
    """

    def __init__(self, pages: Pages, guard: Guard, tokens: Tokens, audit: Audit, *, by_openid: bool = False) -> None:
        """Count nothing yet."""
        self._pages = pages
        self._guard = guard
        self._tokens = tokens
        self._audit = audit
        self._by_openid = by_openid
        self._forms = Forms(pages, tries_per_minute=FAILURES_PER_MINUTE)

    def routes(self) -> list[Route]:
        """List the routes of the door."""
        return [Route("/admin/login", self.login, methods=["GET", "POST"]), Route("/admin/logout", self.leave, methods=["POST"])]

    def shells(self) -> list[Route]:
        """List the addresses of the page behind it."""
        shown = self._guard.page(self.dashboard)
        paths = [HOME, *(f"{HOME}/{section}" for section in SECTIONS), *(f"{HOME}/{section}/{{rest:path}}" for section in SECTIONS)]
        return [Route(path, shown) for path in paths]

    async def login(self, request: Request) -> Response:
        """Ask for the token, and let in whoever has one."""
        if request.method != "POST":
            return self._form(request.query_params.get("next"))
        asked = request_of(request.scope)
        peer = peer_of(asked, self._guard.http)
        form = await self._forms.read(request, asked, peer, self._guard.http)
        if not isinstance(form, dict):
            return form
        found = self._tokens.whose(form.get("token", "").strip())
        if found is None:
            await self._audit.refused(stranger(peer), "sign-in refused", detail="wrong token")
            return self._form(form.get("next"), status=403, error=_NOT_THE_TOKEN)
        try:
            refuse_unsafe_way(peer)
        except InsecureTransport as error:
            return self._pages.error(403, "Not safe here", f"{error}.")
        return with_headers(go(way_back(form.get("next"))), await self.let_in(found, request))

    async def let_in(self, operator: Operator, request: Request, *, detail: str | None = None) -> Headers:
        """Begin an operator's session; gives the headers that set its cookie."""
        secret, peer = await self._guard.begin(operator, request)
        await self._audit.note(seen_at(operator, peer), "sign-in", detail=detail)
        return set_cookies(secret, peer, self._guard.http)

    async def leave(self, request: Request) -> Response:
        """Sign the operator out."""
        asked = request_of(request.scope)
        peer = peer_of(asked, self._guard.http)
        if not is_allowed_site(asked, peer, self._guard.http):
            return self._pages.error(403, "Not from here", "This request came from another site.")
        secret = read_secret(asked, peer, self._guard.http)
        before = await self._guard.operators.look(secret)
        if before.session is not None and before.is_alive:
            await self._guard.operators.end(secret)
            await self._audit.note(named(before.session, peer), "sign-out")
        return with_headers(go("/admin/login"), delete_cookies(asked, peer, self._guard.http))

    async def dashboard(self, request: Request) -> Response:
        """Show the dashboard; it asks for the numbers itself."""
        operator = operator_of(request.scope)
        return self._pages.show("admin.html", operator=operator.name, role=operator.role, signs_out=operator.signs_out)

    def _form(self, following: str | None, *, status: int = 200, error: str | None = None) -> Response:
        return self._pages.show(
            "admin_login.html",
            status=status,
            error=error,
            next=way_back(following),
            by_token=bool(self._tokens),
            by_openid=self._by_openid,
        )
