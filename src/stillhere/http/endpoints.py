"""The session routes: a request in, a response out. `spec/protocol.md` is the contract.

The order of the guards is the security of it: method, then site, then address, then size, then session; only then is anything read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.wire import MAX_BODY_BYTES, read_beats, unseen, write_answer
from stillhere.errors import BadBeat, ProviderAway, StoreError
from stillhere.http.assets import CLIENT, read_assets
from stillhere.http.bearer import challenge_of
from stillhere.http.config import HttpConfig, Route
from stillhere.http.cookies import read_secret
from stillhere.http.devices import is_robot, make_ready
from stillhere.http.events import EVENT_STREAM, UNBUFFERED
from stillhere.http.explaining import asks_why, explained
from stillhere.http.limits import RateLimit
from stillhere.http.messages import Headers, Request, Response
from stillhere.http.origin import Peer, is_allowed_site, is_foreign, peer_of
from stillhere.http.people import listed, revoked, signed_out_headers
from stillhere.http.problems import NO_SESSION, bad_body, over, problem, provider_away, too_many
from stillhere.http.refreshing import keys, refreshed
from stillhere.http.signing_in import FORM, begun, finished, logout_link, refuse_lost_callback, signed_out_there
from stillhere.manager import NO_SESSION as NOBODY
from stillhere.words import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stillhere.core.wire import Beat
    from stillhere.manager import SessionManager, Verdict
    from stillhere.streams import Stream

JSON: Final = ("content-type", "application/json")

NEVER_CACHED: Final = (("cache-control", "private, no-store"), ("vary", "Cookie, Origin"))

_NO_SNIFFING: Final = ("x-content-type-options", "nosniff")

ANSWER_HEADERS: Final[Headers] = (JSON, *NEVER_CACHED, _NO_SNIFFING)
"""What nearly every answer carries: that a session lives, and how it stands."""

_METHODS: Final[dict[Route, tuple[str, ...]]] = {
    "beat": ("POST",),
    "look": ("GET", "HEAD"),
    "end": ("POST",),
    "client": ("GET", "HEAD"),
    "events": ("GET",),
    "socket": ("GET",),
    "refresh": ("POST",),
    "keys": ("GET", "HEAD"),
    "login": ("GET",),
    "callback": ("GET",),
    "backchannel": ("POST",),
    "list": ("GET", "HEAD"),
    "revoke": ("POST",),
}

_STREAMS: Final = frozenset({"events", "socket"})

_TOKENS: Final = frozenset({"refresh", "login", "callback", "backchannel"})

_PUBLIC: Final = frozenset({"client", "keys"})
"""What is the same for everybody, and may be cached."""

_PEOPLE: Final = frozenset({"list", "revoke"})

_MEDIA_TYPES: Final = ("application/json", "text/plain")

_ASKED_FOR: Final = ("cache-control", "content-type", "expires", "pragma", "x-heartbeat", "x-stillhere")
"""Headers that a client of an allowed origin may send; some send all three that once kept caches away."""

_FULL_RETRY_S: Final = 30
"""When a stream is worth another try where there are too many; until then a page beats."""


class SessionEndpoints:
    """Answers the session routes.

    Args:
        manager: the sessions.
        config: how the routes are offered. Default: `HttpConfig()`.
    """

    def __init__(self, manager: SessionManager, config: HttpConfig | None = None) -> None:
        """Count nothing yet; read the client once."""
        self.manager = manager
        self.config = config or HttpConfig()
        self._routes = self.config.paths()
        self._by_session = RateLimit(self.config.beats_per_minute)
        self._by_address = RateLimit(self.config.messages_per_minute)
        self._assets = read_assets()
        if manager.credentials is not None and manager.credentials.signing_in is not None:
            refuse_lost_callback(manager.credentials.signing_in.redirect_uri, self._routes)
        make_ready()
        self._routes |= dict.fromkeys((f"{self.config.prefix}/{name}" for name in self._assets), "client")

    @property
    def client_url(self) -> str:
        """Address of the client with its version, cacheable for a year."""
        return f"{self.config.prefix}/client.js?v={self._assets[CLIENT].version}"

    def too_slow(self, timeout_s: int) -> Response:
        """Answer 408 to a message whose body does not arrive."""
        response = problem(408, f"The body did not arrive within {timeout_s} s.", headers=(("connection", "close"),))
        return uncached(response)

    def owns(self, path: str) -> bool:
        """Tell whether a path is a session route, or lies where only session routes may be."""
        return path in self._routes or path.startswith(f"{self.config.prefix}/")

    def route_of(self, path: str) -> Route | None:
        """Tell which session route a path is."""
        return self._routes.get(path)

    async def open(self, request: Request, route: Route, wake: Callable[[], None]) -> Stream | Response:
        """Open a stream, for an adapter that can carry one.

        Args:
            request: what asks for it.
            route: what the adapter can carry it as: `events` or `socket`.
            wake: called whenever there is something to take from it; it must not wait.

        Returns:
            The stream, to be closed when its connection is gone; or the answer that refuses it.
        """
        if self._routes.get(request.path) != route:
            return _finished(problem(404, "There is no such stream."), request)
        peer = peer_of(request, self.config)
        opened: Stream | Response | None = self._refused(route, request, peer)
        if opened is None:
            try:
                opened = await self._opened(request, peer, wake)
            except StoreError as error:
                opened = self._unavailable(error, route)
        return self._with_cors(_finished(opened, request), request) if isinstance(opened, Response) else opened

    def _unavailable(self, error: StoreError | ProviderAway, route: Route) -> Response:
        self.manager.metrics.unavailable[route] += 1
        return provider_away(error) if isinstance(error, ProviderAway) else unavailable(error)

    async def _opened(self, request: Request, peer: Peer, wake: Callable[[], None]) -> Stream | Response:
        secret = read_secret(request, peer, self.config)
        named = await self.manager.recognize(secret)
        if named is None:
            return self.judged(NOBODY, request)
        wait_s = self._by_session.wait_s(named[1])
        if wait_s is not None:
            return too_many("This session", wait_s)
        push, config = self.manager.push, self.config
        if push.streams.count >= config.streams_per_process:
            headers: Headers = (("retry-after", str(_FULL_RETRY_S)),)
            return problem(503, "There are too many streams here. Nobody is signed out; beats do without one.", headers=headers)
        since = await push.ready()
        verdict = await self.manager.look(secret)
        if verdict.session is None or verdict.standing is None:
            return self.judged(verdict, request)
        if push.streams.count_of(verdict.session.handle) >= config.streams_per_session:
            headers = (("retry-after", str(_FULL_RETRY_S)),)
            return problem(429, f"This session has {config.streams_per_session} streams open. Close one first.", headers=headers)
        return push.follow(verdict.session, wake, since=since)

    def event_stream(self, request: Request) -> Response:
        """Begin the answer to a request for Server-Sent Events, which is open now."""
        response = Response(status=200, headers=(EVENT_STREAM, *NEVER_CACHED, _NO_SNIFFING, UNBUFFERED))
        return self._with_cors(response, request)

    async def answer(self, request: Request) -> Response:
        """Answer a request to any path; 404 if it is no session route. A stream is not answered but opened."""
        route = self._routes.get(request.path)
        if route is None:
            return _finished(problem(404, "There is no such session route."), request)
        config = self.config
        peer = peer_of(request, config)
        if config.allowed_origins and request.method == "OPTIONS" and self._is_listed(request):
            return self._with_cors(_preflight(_METHODS[route], config), request)
        response = self._refused(route, request, peer)
        if response is None:
            if route in _PUBLIC:
                return self._asset(request) if route == "client" else _for_method(keys(self.manager), request)
            try:
                response = await (self._of_person if route in _PEOPLE else self._answered)(route, request, peer)
            except (StoreError, ProviderAway) as error:
                response = self._unavailable(error, route)
        if response.headers is not ANSWER_HEADERS or request.method == "HEAD":
            response = _finished(response, request)
        return self._with_cors(response, request) if config.allowed_origins else response

    def _refused(self, route: Route, request: Request, peer: Peer) -> Response | None:
        """Guard a route, before anything is read; None if the request may pass."""
        method, body = request.method, request.body
        if method not in _METHODS[route]:
            allow = ", ".join(_METHODS[route])
            return problem(405, f"This route answers {allow} only.", headers=(("allow", allow),))
        if route in _PUBLIC:
            return None
        # Anybody's page can shake hands with a WebSocket, and then read it: the browser leaves it to us to ask where it comes from.
        # A provider posts from its server: what it says proves itself, and there is no cookie in it.
        changes = (method == "POST" and route != "backchannel") or route == "socket"
        if (changes and not is_allowed_site(request, peer, self.config)) or (route == "events" and is_foreign(request, peer, self.config)):
            return problem(403, "This request came from another site. Send it from a page of this one, or list that origin as allowed.")
        wait_s = self._by_address.wait_s(peer.network)
        if wait_s is not None:
            return too_many("This address", wait_s)
        return _refused_body(request, (FORM,) if route == "backchannel" else _MEDIA_TYPES) if body else None

    async def _answered(self, route: Route, request: Request, peer: Peer) -> Response:
        secret = read_secret(request, peer, self.config)
        if route == "look":
            verdict = await self.manager.look(secret)
            response = self.judged(verdict, request)
            return await explained(self.manager, verdict, response) if asks_why(request) else response
        if route in _STREAMS:
            return problem(404, "A stream was not asked for as one, or this server carries none. Ask how the session stands instead.")
        if route in _TOKENS:
            return await self._with_tokens(route, request, peer)
        try:
            beats = read_beats(request.body)
        except BadBeat as error:
            refused: Response | None = bad_body(error)
            beats = []
        else:
            refused = None
            if route == "end":
                return await self._ended(secret, beats if request.body else (), request, peer)
        named = await self.manager.recognize(secret)
        if named is not None:
            wait_s = self._by_session.wait_s(named[1], cost=len(beats) or 1)
            if wait_s is not None:
                return too_many("This session", wait_s)
        if is_robot(request.header("user-agent")):
            beats = unseen(beats)
        return refused or self.judged(await self.manager.take(named, beats, withheld=request.is_withheld), request)

    async def _with_tokens(self, route: Route, request: Request, peer: Peer) -> Response:
        if route == "refresh":
            return await refreshed(self.manager, request, peer, self.config, self._by_session)
        if route == "login":
            return await begun(self.manager, request, peer, self.config)
        if route == "callback":
            return await finished(self.manager, request, peer, self.config)
        return await signed_out_there(self.manager, request)

    async def _of_person(self, route: Route, request: Request, peer: Peer) -> Response:
        secret = read_secret(request, peer, self.config)
        named = self.manager.named(secret)
        wait_s = None if named is None else self._by_session.wait_s(named[1])
        if wait_s is not None:
            return too_many("This session", wait_s)
        verdict = NOBODY if named is None else await self.manager.look(secret)
        if verdict.session is None or verdict.standing is None:
            return self.judged(verdict, request)
        if route == "list":
            return await listed(self.manager, verdict.session)
        return await revoked(self.manager, verdict.session, request, peer, self.config)

    def judged(self, verdict: Verdict, request: Request) -> Response:
        """Answer how a session stands: 200, or 401 if it is over."""
        if verdict.standing is None:
            return over(verdict.session, verdict.ending, challenge=challenge_of(request, self.config))
        expires_at = None if verdict.access_expires_at is None else instant(verdict.access_expires_at)
        body = write_answer(verdict.standing, verdict.next_beat_ms, self.manager.policy.touch_interval, access_expires_at=expires_at)
        return Response(status=200, headers=ANSWER_HEADERS, body=body)

    async def _ended(self, secret: str | None, beats: Sequence[Beat], request: Request, peer: Peer) -> Response:
        link = await logout_link(self.manager, secret)  # asked first: what the session holds is taken back when it ends
        verdict = await self.manager.end(secret, beats=() if request.is_withheld else beats)
        reason = NO_SESSION if verdict.ending is None else verdict.ending.by.value
        headers = (JSON, *signed_out_headers(request, peer, self.config))
        told: dict[str, object] = {"success": True, "reason": reason}
        if link is not None:
            told["logoutUrl"] = link
        return Response(status=200, headers=headers, body=msgspec.json.encode(told))

    def _asset(self, request: Request) -> Response:
        name = request.path.removeprefix(f"{self.config.prefix}/")
        return _for_method(self._assets.get(name, self._assets[CLIENT]).answer(request), request)

    def _is_listed(self, request: Request) -> bool:
        return request.header("origin") in self.config.allowed_origins

    def _with_cors(self, response: Response, request: Request) -> Response:
        if not self._is_listed(request):
            return response
        origin = request.header("origin") or ""
        more = (
            ("access-control-allow-origin", origin),
            ("access-control-allow-credentials", "true"),
            ("access-control-expose-headers", "retry-after"),  # or a client of another origin could not keep to it
        )
        return msgspec.structs.replace(response, headers=(*response.headers, *more))


def _refused_body(request: Request, media_types: tuple[str, ...]) -> Response | None:
    if len(request.body) > MAX_BODY_BYTES:
        return problem(413, f"The body must not be larger than {MAX_BODY_BYTES} bytes. Send fewer beats at a time.")
    told = request.headers.get("content-type", media_types[0])
    if told in media_types or request.method != "POST":
        return None
    media_type = told.partition(";")[0].strip().lower()
    if media_type and media_type not in media_types:
        return problem(415, f"Send the body as {' or '.join(media_types)}, not {media_type!r}.")
    return None


def unavailable(error: StoreError) -> Response:
    """Answer 503: nothing is known of the session, nobody is signed out, try again."""
    return problem(
        503,
        "The session store cannot be reached. Nobody is signed out; try again in a moment.",
        headers=(("retry-after", str(error.retry_after)),),
    )


def _preflight(methods: tuple[str, ...], config: HttpConfig) -> Response:
    allowed = _ASKED_FOR if not config.bearer else ("authorization", *_ASKED_FOR)
    headers = (
        ("access-control-allow-methods", ", ".join(methods)),
        ("access-control-allow-headers", ", ".join(allowed)),
        ("access-control-max-age", "86400"),
        *NEVER_CACHED,
    )
    return Response(status=204, headers=headers)


def uncached(response: Response) -> Response:
    """Add what every answer of a session route carries."""
    return msgspec.structs.replace(response, headers=(*response.headers, *NEVER_CACHED, _NO_SNIFFING))


def _finished(response: Response, request: Request) -> Response:
    """Add what every answer of a session route carries, and drop the body of an answer to HEAD."""
    if response.headers is ANSWER_HEADERS:
        return _for_method(response, request)
    return _for_method(uncached(response), request)


def _for_method(response: Response, request: Request) -> Response:
    if request.method != "HEAD":
        return response
    headers = (*response.headers, ("content-length", str(len(response.body))))
    return Response(status=response.status, headers=headers)
