"""`/metrics`: what this process counts, for Prometheus. Numbers only, but they say how a site does: by default for this machine alone."""

from __future__ import annotations

import logging
import secrets
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry.metrics import get_meter_provider
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response
from starlette.routing import Route

from stillhere.adapters.asgi import request_of
from stillhere.errors import SettingsError
from stillhere.http.limits import RateLimit
from stillhere.http.origin import peer_of
from stillhere.http.problems import problem, too_many
from stillhere.metrics import COUNT_INTERVAL_MS
from stillhere.prometheus import SessionCollector
from stillhere.server.parts import Part, Upkeep
from stillhere.telemetry import observe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from starlette.requests import Request

    from stillhere.http.messages import Request as Asked
    from stillhere.http.messages import Response as Problem
    from stillhere.http.origin import Peer
    from stillhere.manager import SessionManager
    from stillhere.metrics import Metrics
    from stillhere.server.settings import Settings

logger = logging.getLogger("stillhere")

SCRAPES_PER_MINUTE: Final = 120

PATH: Final = "/metrics"

_FORWARDING: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""Headers that only a proxy sends. Whoever comes through one is not on this machine, however near the proxy is."""

_UNKEPT: Final = {"cache-control": "no-store"}


class MetricsRoute:
    """Answers `/metrics`.

    Args:
        manager: the sessions.
        settings: the program's; they say who may read.

    Raises:
        SettingsError: if `metrics` and `metrics_token` contradict each other.
    """

    def __init__(self, manager: SessionManager, settings: Settings) -> None:
        """Keep the token's hash, not the token."""
        self._manager = manager
        self._settings = settings
        self._http = settings.http()
        token = settings.metrics_token
        if (token is not None) != (settings.metrics == "token"):
            raise SettingsError("metrics = token and metrics_token belong together: set both, or neither")
        self._token_hash = b"" if token is None else _hash(token.get_secret_value())
        self._limit = RateLimit(SCRAPES_PER_MINUTE)
        self._registry = CollectorRegistry()
        self._registry.register(SessionCollector(manager))
        ProcessCollector(registry=self._registry)

    def routes(self) -> list[Route]:
        """List the routes; none, if nobody may read."""
        return [Route(path, self.metrics, methods=["GET"]) for path in metrics_paths(self._settings)]

    async def metrics(self, request: Request) -> Response:
        """Tell every metric, in the format that is asked for."""
        asked = request_of(request.scope)
        peer = peer_of(asked, self._http)
        refused = self._refused(request, asked, peer)
        if refused is not None:
            return Response(refused.body, refused.status, headers={**dict(refused.headers), **_UNKEPT})
        await self._manager.metrics.refresh()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._registry), headers={"content-type": content_type, "vary": "Accept", **_UNKEPT})

    def _refused(self, request: Request, asked: Asked, peer: Peer) -> Problem | None:
        wait_s = self._limit.wait_s(peer.network)
        if wait_s is not None:
            return too_many("This address", wait_s)
        if self._settings.metrics == "loopback" and not (_is_loopback(asked.client) and peer.is_loopback and not _is_forwarded(request)):
            return problem(403, "Metrics are for this machine only. Set metrics to token to read them from elsewhere.")
        if self._settings.metrics == "token" and not self._has_token(asked):
            return problem(401, "Send the metrics token as a bearer.", headers=(("www-authenticate", 'Bearer realm="metrics"'),))
        return None

    def _has_token(self, asked: Asked) -> bool:
        scheme, _, token = (asked.header("authorization") or "").partition(" ")
        return scheme.lower() == "bearer" and secrets.compare_digest(_hash(token.strip()), self._token_hash)


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()


def _is_loopback(address: str | None) -> bool:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def _is_forwarded(request: Request) -> bool:
    return any(name in request.headers for name in _FORWARDING)


def metrics_part(manager: SessionManager, settings: Settings) -> Part:
    """Make the part of the program that tells its metrics.

    Args:
        manager: the sessions.
        settings: the program's.

    Raises:
        SettingsError: if they contradict each other.
    """
    upkeep = [Upkeep("count of the living", Exporting(manager), COUNT_INTERVAL_MS)] if settings.opentelemetry else []
    return Part(routes=MetricsRoute(manager, settings).routes(), upkeep=upkeep)


def metrics_paths(settings: Settings) -> tuple[str, ...]:
    """List the paths that are taken by the metrics: with `metrics` as `off` this one is free, for an application behind the gate."""
    return () if settings.metrics == "off" else (PATH,)


class Exporting:
    """Has OpenTelemetry observe a manager, and the living counted for it.

    Args:
        manager: the sessions.
    """

    def __init__(self, manager: SessionManager) -> None:
        """Observe nothing yet."""
        self._manager = manager
        self._has_begun = False

    async def __call__(self) -> None:
        """Count the living; the first time, begin."""
        if not self._has_begun:
            self._has_begun = True
            if type(get_meter_provider()).__module__.startswith("opentelemetry.metrics."):  # the API's own, which only pretends
                logger.warning("opentelemetry is on, but this process has no meter provider: start it with opentelemetry-instrument")
            observe(self._manager)
        await self._manager.metrics.refresh()


class MirrorState(Protocol):
    """How a mirror stands, as far as metrics tell it."""

    @property
    def name(self) -> str:
        """The mirror's name, from the settings."""
        ...

    @property
    def pending(self) -> int:
        """Changes that wait to be sent."""
        ...

    @property
    def dead(self) -> int:
        """Letters that were given up."""
        ...

    @property
    def lag_ms(self) -> int:
        """How old the oldest change is that waits, or since when nobody looked for any; 0 if none does."""
        ...


def watch_mirrors(metrics: Metrics, ask: Callable[[], Awaitable[Iterable[MirrorState]]]) -> None:
    """Have metrics tell how mirrors stand, by name: as they were when last asked, and nothing while they cannot be asked.

    Args:
        metrics: the manager's.
        ask: asks all mirrors how they stand; called at most every 15 s, when somebody reads.
    """
    known: list[MirrorState] = []

    async def asked() -> None:
        nonlocal known
        found: list[MirrorState] = []
        try:
            found.extend(await ask())
        finally:
            known = found  # at once: whoever reads while mirrors are asked is told what was known before

    metrics.askers.append(asked)
    label = ("mirror",)
    metrics.gauge_source(
        "stillhere_mirror_pending", "Changes that wait for a mirror.", label, lambda: [((one.name,), one.pending) for one in known]
    )
    metrics.gauge_source("stillhere_mirror_dead", "Dead letters of a mirror.", label, lambda: [((one.name,), one.dead) for one in known])
    metrics.gauge_source(
        "stillhere_mirror_lag_seconds",
        "How old the oldest change is that waits for a mirror, or how long ago anybody looked for any, if none drains it.",
        label,
        lambda: [((one.name,), one.lag_ms / 1000) for one in known],
    )
