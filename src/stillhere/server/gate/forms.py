"""Takes in forms: how large they may be, where from, and where one may be sent back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from stillhere.http.limits import RateLimit
from stillhere.http.origin import is_allowed_site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stillhere.http.config import HttpConfig
    from stillhere.http.messages import Request as HttpRequest
    from stillhere.http.origin import Peer
    from stillhere.server.pages import Pages

MAX_FORM_BYTES: Final = 8_192
MAX_FORM_FIELDS: Final = 10
LONGEST_PATH: Final = 2_048
TRIES_PER_MINUTE: Final = 60


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
        # Not every server refuses a request with both; the length that is told counts for nothing then (RFC 9112 section 6.3).
        told = None if "transfer-encoding" in request.headers else asked.header("content-length")
        if int(told or MAX_FORM_BYTES + 1) > MAX_FORM_BYTES:
            return self._error(413, "Too much", "That is more than this form asks for. Open the page and try again.")
        fields = await _urlencoded(request)
        if fields is None:
            return self._error(400, "Not our form", "That cannot be read as the form of this page. Open the page and try again.")
        return fields
