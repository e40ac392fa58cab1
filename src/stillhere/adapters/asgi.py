"""ASGI: a middleware that answers the session routes and puts the session on every other request. One wrap, no machinery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stillhere.adapters.bodies import BODY_TIMEOUT_S, Bodies, BrokeOff, may_follow
from stillhere.adapters.carry import App, Receive, Scope, Send, headers_of, request_of, send_response
from stillhere.adapters.streams import StreamCarrier
from stillhere.core.policy import RequestsExtend
from stillhere.errors import StillhereError, StoreError
from stillhere.http.cookies import delete_cookies, read_secret, refuse_unsafe_way, set_cookies
from stillhere.http.endpoints import SessionEndpoints, unavailable, uncached
from stillhere.http.origin import is_navigation, peer_of
from stillhere.manager import NO_SESSION, Started, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillhere.core.records import Session
    from stillhere.http.config import HttpConfig
    from stillhere.http.messages import Headers, Request, Response
    from stillhere.manager import SessionManager

__all__ = [
    "SCOPE_KEY",
    "App",
    "Receive",
    "RequestSession",
    "Scope",
    "Send",
    "SessionMiddleware",
    "SessionRoutes",
    "request_of",
    "send_response",
    "session_of",
]

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
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if self.endpoints.owns(path):
            await self._answer(scope, receive, send)
            return
        if scope["type"] != "http" or path in self._untouched or path.startswith(self._untouched_folders):
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
        if scope["type"] not in {"http", "websocket"}:
            raise StillhereError(f"the session routes speak http and websocket only, not {scope['type']}")
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
        self._streams = StreamCarrier(endpoints)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._streams.takes(scope):
            await self._streams(scope, receive, send)
            return
        headers = headers_of(scope)
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
