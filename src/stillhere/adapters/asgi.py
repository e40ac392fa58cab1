"""ASGI: a middleware that answers the session routes and puts the session on every other request. One wrap, no machinery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stillhere.adapters.bodies import BODY_TIMEOUT_S, Bodies, BrokeOff, may_follow
from stillhere.adapters.carry import App, Receive, Scope, Send, headers_of, request_of, send_response
from stillhere.adapters.streams import StreamCarrier
from stillhere.core.people import REMEMBERED
from stillhere.core.policy import RequestsExtend
from stillhere.errors import SettingsError, StillhereError, StoreError
from stillhere.http.cookies import delete_cookies, read_secret, refuse_unsafe_way, set_cookies, set_refresh_cookie
from stillhere.http.devices import remembered
from stillhere.http.endpoints import SessionEndpoints, unavailable, uncached
from stillhere.http.origin import is_navigation, peer_of
from stillhere.http.problems import not_fresh
from stillhere.manager import NO_SESSION, Started, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillhere.core.records import Session
    from stillhere.http.config import HttpConfig
    from stillhere.http.messages import Headers, Request, Response
    from stillhere.manager import SessionManager
    from stillhere.tokens.credentials import Issued

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

    async def start(self, subject: str, fence: int | None = None, /, **attributes: object) -> tuple[Started, Headers]:
        """Sign somebody in: begin a session that replaces whatever this browser came with.

        Args:
            subject: who.
            fence: their generation from before you checked who they are (`SessionManager.people.generation`). Default: as it is now.
            attributes: what your application wants to keep with it. `stillhere` is ours: device and network, as the settings
                `remember_device` and `remember_network` say.

        Returns:
            The session, and the `Set-Cookie` headers to answer with. Where the secret id goes into a bearer, send it instead of them.

        Raises:
            InsecureTransport: on plain http to anything but a loopback address.
            SignInRefused: if all their sessions were ended meanwhile, or there are as many as there may be.
            ValueError: if an attribute is called `stillhere`, or something is what no store can keep.
            StoreError: if the store cannot be reached.
        """
        config = self.endpoints.config
        refuse_unsafe_way(self.peer)  # before anything is kept
        if REMEMBERED in attributes:
            raise ValueError(f"the attribute {REMEMBERED!r} is kept for what a sign-in is remembered by; give yours another name")
        kept = {**attributes, **remembered(self.request, self.peer, config)}
        before = read_secret(self.request, self.peer, config)
        started = await self.endpoints.manager.start(subject, attributes=kept, replaces=before, fence=fence)
        return started, set_cookies(started.secret, self.peer, config)

    async def reauthenticated(self) -> tuple[Started, Headers] | None:
        """Take note that this person proved again who they are, which you have checked; the session gets a new id.

        Returns:
            As `rotate`.

        Raises:
            StoreError: if the store cannot be reached.
        """
        return await self.step_up(0)

    async def step_up(self, for_ms: int) -> tuple[Started, Headers] | None:
        """Let this person do what asks for more, for a while, after they proved again who they are, which you have checked.

        It lapses by itself, and dies with the session and with its id; a plain `rotate` takes it back.

        Args:
            for_ms: for how long, milliseconds.

        Returns:
            As `rotate`.

        Raises:
            ValueError: if the span is negative, or longer than 400 days.
            StoreError: if the store cannot be reached.
        """
        config = self.endpoints.config
        secret = read_secret(self.request, self.peer, config)
        started = await self.endpoints.manager.reauthenticated(secret, step_up_ms=for_ms)
        return None if started is None else (started, set_cookies(started.secret, self.peer, config))

    async def is_fresh(self, within_ms: int | None = None) -> bool:
        """Tell whether somebody is signed in, and proved lately who they are. Answer with `ask_again` if not.

        Args:
            within_ms: what lately means, milliseconds. Default: the policy's `fresh_timeout`.

        Raises:
            StoreError: if the store cannot be reached.
        """
        return self.session is not None and await self.endpoints.manager.people.is_fresh(self.session, within_ms)

    async def has_stepped_up(self) -> bool:
        """Tell whether somebody is signed in who has stepped up.

        Raises:
            StoreError: if the store cannot be reached.
        """
        return self.session is not None and await self.endpoints.manager.people.has_stepped_up(self.session)

    def ask_again(self, within_ms: int | None = None) -> Response:
        """Answer 403 and that this asks for a fresh sign-in, as `POST /session/revoke` does.

        Args:
            within_ms: how long ago it may be, milliseconds. Default: the policy's `fresh_timeout`.
        """
        max_age_ms = self.endpoints.manager.policy.fresh_timeout if within_ms is None else within_ms
        return uncached(not_fresh(max_age_ms, bearer=self.endpoints.config.bearer))

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

    async def issue(self, session: Session, **claims: object) -> tuple[Issued, Headers] | None:
        """Issue access and refresh tokens for a session that just began, or has a new id; see `Tokens`.

        Args:
            session: as `start` or `rotate` gave it.
            claims: your own, for the access token. They are signed, not hidden.

        Returns:
            The tokens, and the `Set-Cookie` headers that give a browser its refresh token; where the client keeps that itself, send it
            instead of them. None if the session is over.

        Raises:
            InsecureTransport: on plain http to anything but a loopback address.
            SettingsError: if the manager has no `tokens`.
            StoreError: if the store cannot be reached.
        """
        refuse_unsafe_way(self.peer)
        credentials = self.endpoints.manager.credentials
        if credentials is None or credentials.access is None:
            raise SettingsError("there are no access tokens here: give SessionManager `tokens=Tokens(access=...)`")
        issued = await credentials.issue(session, claims)
        if issued is None:
            return None
        return issued, () if issued.refresh is None else set_refresh_cookie(issued.refresh, self.peer, self.endpoints.config)

    async def access_token(self) -> str | None:
        """Get the provider's access token, for a call of your own in the person's name; refreshed if it is time and a person is there.

        A request marked with `X-Heartbeat: true` uses the token while it lasts and refreshes nothing.

        Returns:
            It, or None if nobody is signed in, or not by a provider.

        Raises:
            TokenLapsed: if it is over, and nobody is there for whom it may be refreshed.
            ProviderAway: if it is over, and the provider is in trouble.
            StoreError: if the store cannot be reached.
        """
        session, credentials = self.session, self.endpoints.manager.credentials
        if session is None or credentials is None:
            return None
        may_refresh = not self.request.is_withheld and credentials.was_active(session)
        return await credentials.access_token(session, may_refresh=may_refresh)

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
            self.endpoints.manager.metrics.unavailable["touch"] += 1
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
        extends, is_withheld = self._extends(request, manager.policy.requests_extend), request.is_withheld
        return await manager.authenticate(secret, extends=extends and not is_withheld, withheld=extends and is_withheld)

    @staticmethod
    def _extends(request: Request, requests_extend: RequestsExtend) -> bool:
        """Tell whether a request extends, unless it is withheld."""
        if requests_extend is RequestsExtend.NONE:
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
