"""The gate: asks who somebody is before anything is shown. A GET opens nothing, so link scanners leave no trace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from stillhere.adapters.asgi import session_of
from stillhere.core.records import EndedBy, Ending
from stillhere.core.rules import open_session
from stillhere.errors import InsecureTransport
from stillhere.http.limits import RateLimit
from stillhere.http.origin import is_allowed_site
from stillhere.http.problems import over_sentence
from stillhere.server.pages import go, with_headers

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stillhere.core.policy import Policy
    from stillhere.http.config import HttpConfig
    from stillhere.http.messages import Request as HttpRequest
    from stillhere.http.origin import Peer
    from stillhere.server.pages import Pages
    from stillhere.server.settings import Settings

MAX_FORM_BYTES: Final = 8_192
MAX_FORM_FIELDS: Final = 10
LONGEST_PATH: Final = 2_048
TRIES_PER_MINUTE: Final = 60

# One @, nothing that could end a line or a header, a domain of labels. Whether the address exists only a message could tell.
_EMAIL = re.compile(
    r"[^@\s\x00-\x20\x7f\ud800-\udfff<>\"(),:;\\\[\]]{1,64}@(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\Z"
)


def read_email(text: str) -> str | None:
    """Read an e-mail address as typed: trimmed, its domain in lower case and ASCII; None if it is none."""
    local, at, domain = text.strip().rpartition("@")
    try:
        ascii_domain = domain.lower() if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    email = f"{local}{at}{ascii_domain}"
    return email if _EMAIL.match(email) else None


def safe_path(path: str | None) -> str | None:
    """Let a way back through only if it stays on this site: a path, no host, nothing that a browser might read as one.

    Source: RFC 9700 section 4.11, OWASP ASVS 5.0 item 3.7.2.
    """
    if not path or not path.startswith("/") or path.startswith(("//", "/\\")) or len(path) > LONGEST_PATH:
        return None
    return path if all("!" <= character <= "~" and character != "\\" for character in path) else None


async def _urlencoded(request: Request) -> dict[str, str] | None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return None
    try:
        async with request.form(max_files=0, max_fields=MAX_FORM_FIELDS) as form:
            return {name: value for name, value in form.items() if isinstance(value, str)}
    except (HTTPException, ClientDisconnect):
        return None


class Forms:
    """Takes in the forms of our own pages, and refuses all else with a page that says why.

    Args:
        pages: renders.
        tries_per_minute: forms that one client address may send.
    """

    def __init__(self, pages: Pages, *, tries_per_minute: int) -> None:
        """Count nothing yet."""
        self._error = pages.error
        self._tries = RateLimit(tries_per_minute)

    async def read(self, request: Request, asked: HttpRequest, peer: Peer, config: HttpConfig) -> dict[str, str] | Response:
        """Read a form's fields, or answer why not: from another site, too many, too large, or no such form."""
        if not is_allowed_site(asked, peer, config):
            return self._error(403, "Not from here", "This form was sent from another site. Open the page itself and try again.")
        wait_s = self._tries.wait_s(peer.network)
        if wait_s is not None:
            why = f"Too many tries from this address. Try again in {wait_s} seconds."
            return self._error(429, "Slow down", why, retry_after=wait_s)
        if int(asked.header("content-length") or MAX_FORM_BYTES + 1) > MAX_FORM_BYTES:
            return self._error(413, "Too much", "That is more than this form asks for. Open the page and try again.")
        fields = await _urlencoded(request)
        if fields is None:
            return self._error(400, "Not our form", "That cannot be read as the form of this page. Open the page and try again.")
        return fields


class Timeouts(msgspec.Struct, frozen=True):
    """The policy's timeouts in seconds, for pages."""

    idle_seconds: int
    absolute_seconds: int
    warning_seconds: int


def timeouts_of(policy: Policy) -> Timeouts:
    """Tell pages the timeouts."""
    return Timeouts(policy.idle_timeout // 1000, policy.absolute_timeout // 1000, policy.warning_timeout // 1000)


class Gate:
    """The gate's routes.

    Args:
        pages: renders.
        settings: the program's.
        policy: the sessions'.
    """

    def __init__(self, pages: Pages, settings: Settings, policy: Policy) -> None:
        """Count nothing yet."""
        self._pages = pages
        self._settings = settings
        self._policy = policy
        self._forms = Forms(pages, tries_per_minute=TRIES_PER_MINUTE)

    def routes(self) -> list[Route]:
        """List the routes."""
        return [Route("/", self.ask), Route("/gate", self.enter, methods=["POST"])]

    async def ask(self, request: Request) -> Response:
        """Show the form, and why the last session ended if it did."""
        mine = session_of(request.scope)
        return self._form(
            following=safe_path(request.query_params.get("next")),
            notice=self._notice(mine.verdict.ending, request.query_params.get("reason")),
            signed_in_as=mine.session.subject if mine.session else None,
        )

    async def enter(self, request: Request) -> Response:
        """Begin a session for the address given, and go on to where the visitor came for."""
        mine = session_of(request.scope)
        form = await self._forms.read(request, mine.request, mine.peer, mine.endpoints.config)
        if not isinstance(form, dict):
            return form
        typed, following = form.get("email", ""), safe_path(form.get("next"))
        email = read_email(typed)
        if email is None:
            return self._form(
                following, status=422, email=typed[:300], error="Please enter an e-mail address, such as you@company.example."
            )
        try:
            _, cookies = await mine.start(email)
        except InsecureTransport as error:
            return self._pages.error(403, "Not safe here", f"{error}.")
        return with_headers(go(following or self._settings.after_gate), cookies)

    def _form(
        self,
        following: str | None,
        *,
        status: int = 200,
        notice: str | None = None,
        error: str | None = None,
        email: str = "",
        signed_in_as: str | None = None,
    ) -> Response:
        return self._pages.show(
            "gate.html",
            status=status,
            next=following or "",
            after_gate=self._settings.after_gate,
            notice=notice,
            error=error,
            email=email,
            timeouts=timeouts_of(self._policy),
            signed_in_as=signed_in_as,
        )

    def _notice(self, ending: Ending | None, reason: str | None) -> str | None:
        by = ending.by if ending is not None else reason
        if by not in tuple(EndedBy):
            return None
        # The sentence names the timeouts; a session under today's policy has the same ones.
        like = open_session("", "", "", {}, policy=self._policy, now=0)
        return over_sentence(like, Ending(at=0, by=EndedBy(by)))
