"""Who may open the dashboard: operators with a cookie of its own, programs with a token, or whoever an application says.

Without one of them nothing is answered, not even a count.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from hmac import compare_digest
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec
from starlette.requests import Request

from stillhere.adapters.asgi import request_of
from stillhere.core.addresses import shortened
from stillhere.core.policy import Policy, hours, minutes
from stillhere.errors import StoreError
from stillhere.http.cookies import read_secret
from stillhere.http.devices import network_of
from stillhere.http.endpoints import unavailable
from stillhere.http.limits import RateLimit
from stillhere.http.origin import is_allowed_site, peer_of
from stillhere.http.problems import problem, too_many
from stillhere.manager import SessionManager
from stillhere.server.admin.answers import carried
from stillhere.server.admin.query import SCOPE_KEY, Operator
from stillhere.server.pages import go
from stillhere.stores.protocol import Noting

if TYPE_CHECKING:
    from starlette.responses import Response

    from stillhere.core.records import Session
    from stillhere.http.config import HttpConfig
    from stillhere.http.messages import Request as HttpRequest
    from stillhere.http.messages import Response as Problem
    from stillhere.http.origin import Peer
    from stillhere.server.admin.audit import Audit
    from stillhere.server.admin.query import Handler, Query, Role

Who = Callable[[Request], Awaitable[Operator | None]]
"""An application's own check: tells who asks, or None for somebody who may not see the dashboard."""

OPERATOR_POLICY: Final = Policy(idle_timeout=hours(8), absolute_timeout=hours(24), warning_timeout=minutes(2))
"""A dashboard may stand on a wall for a working day. Its own polling extends nothing."""

FAILURES_PER_MINUTE: Final = 10
"""Wrong tokens from one address; then even the right one waits."""

LONGEST_BODY: Final = 16_384
"""Bytes that come with something an operator does."""

_NO_OPERATOR: Final = problem(
    401, "Sign in at /admin/login first.", headers=(("www-authenticate", 'Session realm="operator", Bearer realm="operator"'),)
)
_NOT_YOURS: Final = problem(
    401, "Sign in to the application as somebody who may see the dashboard.", headers=(("www-authenticate", 'Session realm="operator"'),)
)
_WRONG_TOKEN: Final = problem(
    401,
    "That token opens nothing here. It is admin_token or viewer_token of the settings.",
    headers=(("www-authenticate", 'Bearer realm="operator", error="invalid_token"'),),
)
_NOT_HERE: Final = problem(403, "This request came from another site.")
_ONLY_SEES: Final = problem(403, "A viewer sees everything and changes nothing. Sign in as an operator for this.")
_ONLY_GET: Final = problem(405, "Ask with GET: this is made, and written down, when it is asked for.", headers=(("allow", "GET"),))
_TOO_MUCH: Final = problem(413, f"That is more than the {LONGEST_BODY:,} bytes that are read here.")

_READS: Final = {"GET", "HEAD"}


class Tokens:
    """The tokens that open the dashboard. Only their hashes are kept.

    Args:
        admin: of operators, or None.
        viewer: of viewers, or None.
    """

    def __init__(self, admin: str | None, viewer: str | None) -> None:
        """Hash them."""
        roles: tuple[tuple[str | None, Operator], ...] = (
            (admin, Operator(name="token:admin", role="operator")),
            (viewer, Operator(name="token:viewer", role="viewer")),
        )
        self._known = [(_hash(token), operator) for token, operator in roles if token is not None]

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._known)

    def whose(self, token: str) -> Operator | None:
        """Tell who comes with a token; it takes as long whichever it is, and whether or not it is one."""
        digest, found = _hash(token), None
        for known, operator in self._known:
            if compare_digest(known, digest):
                found = operator
        return found


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()


class Guard:
    """Stands before every route of the dashboard.

    Args:
        http: how the visitors' session routes are offered; proxies are the same here.
        clock: tells the milliseconds since 1970.
        tokens: open the dashboard.
        audit: records what is done.
        who: an application's own check. Then nobody signs in here, and no token opens anything.

    Attributes:
        http: how the operators' cookie is offered.
        operators: their sessions.
        on_done: called with whatever was done, and how it was asked for.
    """

    def __init__(self, http: HttpConfig, clock: Callable[[], int], *, tokens: Tokens, audit: Audit, who: Who | None = None) -> None:
        """Let nobody in yet."""
        self.http = msgspec.structs.replace(
            http,
            cookie_name="__Host-operator",
            loopback_cookie_name="operator",
            login_cookie_name="__Host-operator-login",
            loopback_login_cookie_name="operator-login",
            marker_cookie=None,
            bearer=False,
            same_site="strict",
            allowed_origins=(),  # those pages may call the session routes; they operate nothing
        )
        self.operators = SessionManager("memory://", policy=OPERATOR_POLICY, clock=clock)
        self._tokens = tokens
        self._audit = audit
        self._who = who
        self._failures = RateLimit(FAILURES_PER_MINUTE)
        self.on_done: Callable[[Query, Request], None] = lambda query, request: None  # noqa: ARG005  # nobody asked yet

    async def operator(self, request: Request, *, extends: bool = True) -> Operator | Problem | None:
        """Tell who asks; None for somebody who is not signed in, a problem for a token that opens nothing.

        Args:
            request: what they ask.
            extends: whether it counts as activity of theirs, unless it says itself that it does not.
        """
        asked = request_of(request.scope)
        peer = peer_of(asked, self.http)
        if self._who is not None:
            told = await self._who(request)
            return None if told is None else msgspec.structs.replace(told, signs_out=False)
        token = _bearer(asked)
        if token is not None:
            return await self._by_token(token, peer)
        verdict = await self.operators.authenticate(read_secret(asked, peer, self.http), extends=extends and not asked.is_withheld)
        return named(verdict.session, peer) if verdict.session is not None and verdict.is_alive else None

    async def _by_token(self, token: str, peer: Peer) -> Operator | Problem:
        wait_s = self._failures.left_s(peer.network)
        if wait_s is not None:
            return too_many("This address", wait_s)
        found = self._tokens.whose(token)
        if found is not None:
            return seen_at(found, peer)
        self._failures.wait_s(peer.network)
        await self._audit.refused(stranger(peer), "sign-in refused", detail="wrong bearer token")
        return _WRONG_TOKEN

    def page(self, handler: Handler) -> Handler:
        """Guard a page: whoever is not signed in is sent to where they can, and comes back."""

        async def guarded(request: Request) -> Response:
            found = await self.operator(request)
            if isinstance(found, Operator):
                request.scope[SCOPE_KEY] = found
                return await handler(request)
            if found is not None:
                return carried(found)
            if self._who is not None:
                return carried(_NOT_YOURS)
            asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return go("/admin/login" if asked == "/admin" else f"/admin/login?next={quote(asked, safe='')}")

        return guarded

    def query(self, query: Query, *, extends: bool = True) -> Handler:
        """Guard a query: who asks, whether they may, and a line in the audit log before anything is done."""

        async def guarded(request: Request) -> Response:
            if not self._is_from_here(request):
                return carried(_NOT_HERE)
            try:
                found = await self.operator(request, extends=extends)
                if not isinstance(found, Operator):
                    return carried(found or (_NO_OPERATOR if self._who is None else _NOT_YOURS))
                request.scope[SCOPE_KEY] = found
                return await self._allowed(query, request, found)
            except StoreError as error:
                return carried(unavailable(error))

        return guarded

    async def _allowed(self, query: Query, request: Request, operator: Operator) -> Response:
        action = query.recorded_as
        if action is not None and request.method == "HEAD":
            return carried(_ONLY_GET)
        if query.role == "operator" and operator.role != "operator":
            await self._audit.refused(operator, f"{action or query.path} refused", _target_of(request, b""))
            return carried(_ONLY_SEES)
        body = b""
        if request.method not in _READS:
            if _length_of(request) > LONGEST_BODY:
                return carried(_TOO_MUCH)
            body = await request.body()  # the handler finds it read
        if action is not None:
            await self._audit.record(operator, action, _target_of(request, body), _detail_of(request, body))
        response = await query.handler(request)
        if action is not None and response.status_code < HTTPStatus.BAD_REQUEST:
            self.on_done(query, request)
        return response

    def _is_from_here(self, request: Request) -> bool:
        """Tell whether a request may change something. One with a bearer may from anywhere: no browser adds that by itself."""
        asked = request_of(request.scope)
        return request.method in _READS or _bearer(asked) is not None or is_allowed_site(asked, peer_of(asked, self.http), self.http)

    async def begin(self, operator: Operator, request: Request) -> tuple[str, Peer]:
        """Begin an operator's session; it replaces the one that the browser has. Gives its secret id."""
        asked = request_of(request.scope)
        peer = peer_of(asked, self.http)
        started = await self.operators.start(
            operator.name, attributes={"role": operator.role}, replaces=read_secret(asked, peer, self.http)
        )
        return started.secret, peer

    async def first(self, name: str, *, until: int, now: int) -> bool:
        """Tell whether nobody has come with a name before: a login that is under way is good once."""
        store = self.operators.store
        assert isinstance(store, Noting)  # noqa: S101  # the memory store can; this tells the type checker
        return await store.first(name, until=until, now=now)

    async def close(self) -> None:
        """Let go of the operators' sessions."""
        await self.operators.close()


def named(session: Session, peer: Peer) -> Operator:
    """Tell whom an operator's session belongs to."""
    role: Role = "operator" if session.attributes["role"] == "operator" else "viewer"
    return seen_at(Operator(name=session.subject, role=role, handle=session.handle, signs_out=True), peer)


def seen_at(operator: Operator, peer: Peer) -> Operator:
    """Add where somebody comes from who came with a token: it says nothing of who holds it, and that says a little."""
    is_token = operator.name.startswith("token:")
    return msgspec.structs.replace(operator, network=network_of(peer.address)) if is_token else operator


def stranger(peer: Peer) -> Operator:
    """Name somebody who did not get in, for the audit log."""
    return Operator(name="nobody", network=network_of(peer.address))


def _bearer(asked: HttpRequest) -> str | None:
    scheme, _, token = (asked.header("authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _length_of(request: Request) -> int:
    """Tell how long a body is at most; one that does not say so is too long."""
    told = request.headers.get("content-length")
    if "transfer-encoding" in request.headers:  # then a length that is told as well counts for nothing (RFC 9112 section 6.3)
        return LONGEST_BODY + 1
    if told is None:
        return 0 if request.scope.get("http_version") in {"1.0", "1.1"} else LONGEST_BODY + 1
    return int(told) if told.isascii() and told.isdigit() and len(told) <= len(str(LONGEST_BODY)) else LONGEST_BODY + 1


def _target_of(request: Request, body: bytes) -> str | None:
    """Tell what something is done to: what the path names, or the subject that the query or the body names.

    A subject is shortened: whoever is erased is not to be kept by the line that says so.
    """
    named_by_path = "/".join(str(value) for value in request.path_params.values())
    subject = _subject_of(request, body)
    return named_by_path or (None if subject is None else shortened(subject))


def _detail_of(request: Request, body: bytes) -> str | None:
    if not request.path_params and _subject_of(request, body) is not None:
        return None
    rest = request.url.query if request.method in _READS else body.decode("utf-8", "replace")
    return rest or None


def _subject_of(request: Request, body: bytes) -> str | None:
    return request.query_params.get("subject") or _member(body, "subject")


def _member(body: bytes, name: str) -> str | None:
    try:
        found = msgspec.json.decode(body, type=dict[str, object]).get(name)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, str) else None
