"""ASGI: a middleware that answers the session routes and puts the session on every other request. One wrap, no machinery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from stillhere.adapters.bodies import BODY_TIMEOUT_S, Bodies, BrokeOff, may_follow
from stillhere.core.policy import RequestsExtend
from stillhere.errors import StillhereError, StoreError
from stillhere.http.cookies import delete_cookies, read_secret, refuse_unsafe_way, set_cookies
from stillhere.http.endpoints import ANSWER_HEADERS, SessionEndpoints, unavailable, uncached
from stillhere.http.messages import READ_HEADERS, Headers, Request, Response
from stillhere.http.origin import is_navigation, peer_of
from stillhere.manager import NO_SESSION, Started, Verdict

if TYPE_CHECKING:
    from stillhere.core.records import Session
    from stillhere.http.config import HttpConfig
    from stillhere.manager import SessionManager

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_READ: Final = {name.encode("ascii"): name for name in READ_HEADERS}

_ANSWER_HEADERS: Final = [(name.encode("ascii"), value.encode("ascii")) for name, value in ANSWER_HEADERS]

SCOPE_KEY: Final = "stillhere"
"""Where a request's scope holds its `RequestSession`."""


class RequestSession:
    """The session of one request.

    Attributes:
        verdict: what was found when the request came.
        request: the request, as the session routes see it.
        endpoints: the session routes.
    """

    def __init__(self, verdict: Verdict, request: Request, endpoints: SessionEndpoints) -> None:
        """Keep what was found."""
        self.verdict = verdict
        self.request = request
        self.endpoints = endpoints
        self.peer = peer_of(request, endpoints.config)

    @property
    def session(self) -> Session | None:
        """The living session, or None."""
        return self.verdict.session if self.verdict.is_alive else None

    def answer(self) -> Response:
        """Answer as the session routes do, for a route of your own: how the session stands, or 401 and why it is over."""
        return uncached(self.endpoints.judged(self.verdict, self.request))

    async def start(self, subject: str, **attributes: object) -> tuple[Started, Headers]:
        """Sign somebody in: begin a session that replaces whatever this browser came with.

        Returns:
            The session, and the `Set-Cookie` headers to answer with. Where the secret id goes into a bearer, send it instead of them.

        Raises:
            InsecureTransport: on plain http to anything but a loopback address.
            StoreError: if the store cannot be reached.
        """
        config = self.endpoints.config
        refuse_unsafe_way(self.peer)  # before anything is kept
        before = read_secret(self.request, self.peer, config)
        started = await self.endpoints.manager.start(subject, attributes=attributes, replaces=before)
        return started, set_cookies(started.secret, self.peer, config)

    async def rotate(self) -> tuple[Started, Headers] | None:
        """Give the session a new id because its person's privileges changed (OWASP ASVS 5.0 item 7.2.4).

        Returns:
            The session and its new secret, and the `Set-Cookie` headers to answer with; None if there is no living session.

        Raises:
            StoreError: if the store cannot be reached.
        """
        config = self.endpoints.config
        secret = read_secret(self.request, self.peer, config)
        rotated = None if secret is None else await self.endpoints.manager.rotate(secret)
        return None if rotated is None else (rotated, set_cookies(rotated.secret, self.peer, config))

    async def end(self) -> Headers:
        """Sign out; the `Set-Cookie` headers to answer with take the id back."""
        config = self.endpoints.config
        await self.endpoints.manager.end(read_secret(self.request, self.peer, config))
        return delete_cookies(self.request, self.peer, config)


class SessionMiddleware:
    """Wraps an ASGI application: answers the session routes, and touches the session of every other request.

    An ordinary request extends as the policy's `requests_extend` says, and never if it carries `X-Heartbeat: true`. Without a cookie the
    store is not asked. If the store cannot be reached the application is not asked either: 503, and the cookie is kept.

    Args:
        app: the application.
        manager: the sessions.
        config: how the session routes are offered. Default: `HttpConfig()`.
        untouched: paths that need no session and beginnings of paths, each ending in `/`: static files, health checks.
        when_down: given the trouble, tells what answers instead of the application while the store cannot be reached.
            Default: problem JSON, 503.
    """

    def __init__(
        self,
        app: App,
        manager: SessionManager,
        config: HttpConfig | None = None,
        *,
        untouched: tuple[str, ...] = (),
        when_down: Callable[[StoreError], App] | None = None,
    ) -> None:
        """Wrap once."""
        self._app = app
        self.endpoints = SessionEndpoints(manager, config)
        self._answer = _Answering(self.endpoints)
        self._when_down = when_down
        self._untouched = frozenset(untouched)
        self._untouched_folders = tuple(path for path in untouched if path.endswith("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if self.endpoints.owns(path):
            await self._answer(scope, receive, send)
            return
        if path in self._untouched or path.startswith(self._untouched_folders):
            await self._app(scope, receive, send)
            return
        request = request_of(scope)
        try:
            verdict = await self._judge(request)
        except StoreError as error:
            if self._when_down is not None:
                await self._when_down(error)(scope, receive, send)
                return
            await send_response(uncached(unavailable(error)), send)
            return
        scope[SCOPE_KEY] = RequestSession(verdict, request, self.endpoints)
        await self._app(scope, receive, send)

    async def _judge(self, request: Request) -> Verdict:
        config, manager = self.endpoints.config, self.endpoints.manager
        if "cookie" not in request.headers and "authorization" not in request.headers:
            return NO_SESSION
        secret = read_secret(request, peer_of(request, config), config)
        return await manager.authenticate(secret, extends=self._extends(request, manager.policy.requests_extend))

    @staticmethod
    def _extends(request: Request, requests_extend: RequestsExtend) -> bool:
        if request.is_withheld or requests_extend is RequestsExtend.NONE:
            return False
        return requests_extend is RequestsExtend.ALL or is_navigation(request)


class SessionRoutes:
    """The session routes as an ASGI application of their own, to be mounted; the middleware needs no mounting.

    Args:
        manager: the sessions.
        config: how the routes are offered. Its `prefix` is the whole path, also where the application is mounted below it.
    """

    def __init__(self, manager: SessionManager, config: HttpConfig | None = None) -> None:
        """Offer the routes."""
        self.endpoints = SessionEndpoints(manager, config)
        self._answer = _Answering(self.endpoints)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one connection."""
        if scope["type"] != "http":
            raise StillhereError(f"the session routes speak http only, not {scope['type']}")
        await self._answer(scope, receive, send)


def session_of(scope: Scope) -> RequestSession:
    """Tell the session of a request by its scope.

    Raises:
        StillhereError: if the middleware is missing.
    """
    found = scope.get(SCOPE_KEY)
    if not isinstance(found, RequestSession):
        raise StillhereError(
            "this request has no session: wrap the application in SessionMiddleware, and keep the path out of `untouched`",
        )
    return found


class _Answering:
    """Carries requests to the session routes and their answers back."""

    def __init__(self, endpoints: SessionEndpoints) -> None:
        self._endpoints = endpoints
        self._bodies = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers_of(scope)
        body = b""
        if may_follow(headers, scope.get("http_version")):
            try:
                body = await self._bodies.read(receive)
            except BrokeOff:
                return
            except TimeoutError:
                await send_response(self._endpoints.too_slow(BODY_TIMEOUT_S), send)
                return
        await send_response(await self._endpoints.answer(request_of(scope, headers, body)), send)


def _headers_of(scope: Scope) -> dict[str, str]:
    """Read the headers that anybody here reads."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = _READ.get(raw_name)
        if name is not None:
            value = raw_value.decode("latin-1")
            headers[name] = value if name not in headers else f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
    return headers


def request_of(scope: Scope, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Request:
    """Build a request from an ASGI scope; its headers, if they were read already, and its body may be given."""
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=scope["path"],
        headers=_headers_of(scope) if headers is None else headers,
        query=scope["query_string"].decode("latin-1"),
        body=body,
        client=client[0] if client else None,
        scheme=scope.get("scheme", "http"),
    )


async def send_response(response: Response, send: Send) -> None:
    """Send a response."""
    if response.headers is ANSWER_HEADERS:  # nearly every answer: encoded once
        headers = [*_ANSWER_HEADERS, (b"content-length", b"%d" % len(response.body))]
    else:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
        if response.status not in {204, 304} and not any(name == b"content-length" for name, _ in headers):
            headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
