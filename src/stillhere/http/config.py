"""How the session routes are offered: names, origins, limits. One frozen record."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from stillhere.errors import SettingsError

Route = Literal[
    "beat", "look", "end", "client", "events", "socket", "refresh", "keys", "login", "callback", "backchannel", "list", "revoke"
]  # fmt: skip

_COOKIE_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]+\Z")

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How the session routes are offered.

    Attributes:
        prefix: path that the session routes begin with. Default `/session`.
        extra_paths: more paths for a route, so that existing clients need no change: `{"beat": ["/keepalive"]}`. Routes are `beat`,
            `look`, `end`, `client`, `events`, `socket`, `refresh`, `keys`, `login`, `callback`, `backchannel`, `list`, `revoke`.
            Default none.
        cookie_name: name of the cookie over https. Default `__Host-session`; with that prefix browsers guarantee `Secure`, `Path=/` and
            no `Domain`. On http on a loopback address it is `loopback_cookie_name`.
        loopback_cookie_name: default `session`.
        marker_cookie: name of one more cookie, which scripts can read: it holds the session's public handle, is set and taken back
            with the session cookie, and is never read here. For scripts that ask whether a session is there. Default none.
        refresh_cookie_name: name of the cookie that holds a refresh token of ours; `SameSite=Strict`, whatever the session's is. Default
            `__Host-refresh`.
        loopback_refresh_cookie_name: the same on http on a loopback address. Default `refresh`.
        login_cookie_name: what the names of the cookies begin with that remember a login at a provider while it is under way;
            `SameSite=Lax`, for people come back from there. Default `__Host-login`.
        loopback_login_cookie_name: the same on http on a loopback address. Default `login`.
        bearer: also take the secret id, or an access token, from `Authorization: Bearer`; a request that has one is judged by it alone. A
            page that keeps the id where scripts can read it loses it to any foreign script; prefer the cookie where you can. Default off.
        same_site: `lax` (default) or `strict`.
        allowed_origins: other origins that may call the session routes with credentials, exact (`https://app.example`). Default none.
        trusted_proxies: networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed (`10.0.0.0/8`). Default none.
        beats_per_minute: messages that one session may send. Default 240.
        messages_per_minute: messages that one client address may send; many people can share one. Default 6,000.
        streams_per_session: streams that one session may have open in one process. Default 30.
        streams_per_process: streams that a process takes; each needs a file descriptor. Default 10,000.
        clear_site_data: what a sign-out tells the browser to drop, or empty for nothing. Default cache and storage.
        remember_device: keep with a session which browser and system it began on, `Firefox on Windows`, for its person to know it by
            in the list of their own. Default on.
        remember_network: keep the network it came from, too: the first 24 bits of an IPv4 address, 48 of IPv6. Default on.

    Raises:
        SettingsError: if a value cannot work.
    """

    prefix: str = "/session"
    extra_paths: Mapping[Route, tuple[str, ...]] = msgspec.field(default_factory=dict)
    cookie_name: str = "__Host-session"
    loopback_cookie_name: str = "session"
    marker_cookie: str | None = None
    refresh_cookie_name: str = "__Host-refresh"
    loopback_refresh_cookie_name: str = "refresh"
    login_cookie_name: str = "__Host-login"
    loopback_login_cookie_name: str = "login"
    bearer: bool = False
    same_site: Literal["lax", "strict"] = "lax"
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    beats_per_minute: int = 240
    messages_per_minute: int = 6_000
    streams_per_session: int = 30
    streams_per_process: int = 10_000
    clear_site_data: tuple[str, ...] = ("cache", "storage")
    remember_device: bool = True
    remember_network: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        self._refuse_wrong_names()
        self._refuse_collisions()
        for network in self.trusted_proxies:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise SettingsError(f"{network!r} is not an address or network: {error}") from error
        for name in ("beats_per_minute", "messages_per_minute", "streams_per_session", "streams_per_process"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 1, not {getattr(self, name)}")

    def _refuse_wrong_names(self) -> None:
        paths = [self.prefix, *(path for paths in self.extra_paths.values() for path in paths)]
        for path in paths:
            if not path.startswith("/") or path.endswith("/") or "?" in path or "#" in path:
                raise SettingsError(f"{path!r} is not a path for a session route; write it like /session")
        secret_cookies = (
            *(self.cookie_name, self.loopback_cookie_name),
            *(self.refresh_cookie_name, self.loopback_refresh_cookie_name),
            *(self.login_cookie_name, self.loopback_login_cookie_name),
        )
        for name in (*secret_cookies, *(() if self.marker_cookie is None else (self.marker_cookie,))):
            if not _COOKIE_NAME.match(name):
                raise SettingsError(f"{name!r} is not a cookie name (RFC 6265 section 4.1.1)")
        if self.marker_cookie in secret_cookies:
            raise SettingsError(f"marker_cookie {self.marker_cookie!r} is a secret cookie's name; the marker is another cookie")
        if any(secret_cookies.count(name) > 1 for name in secret_cookies):
            raise SettingsError("session, refresh token and login need cookies with names of their own, on https and on a loopback address")
        for origin in self.allowed_origins:
            if not _ORIGIN.match(origin):
                raise SettingsError(f"{origin!r} is not an origin; write it like https://app.example, without a path")

    def _refuse_collisions(self) -> None:
        own = self._own_paths()
        taken = [*own, *(path for paths in self.extra_paths.values() for path in paths)]
        for path in set(taken):
            if taken.count(path) > 1:
                raise SettingsError(f"{path} would be two session routes at once; give each its own path")

    def paths(self) -> dict[str, Route]:
        """Tell which path is which route."""
        routes = self._own_paths()
        for route, extra in self.extra_paths.items():
            routes.update(dict.fromkeys(extra, route))
        return routes

    def _own_paths(self) -> dict[str, Route]:
        return {
            f"{self.prefix}/beat": "beat",
            self.prefix: "look",
            f"{self.prefix}/end": "end",
            f"{self.prefix}/client.js": "client",
            f"{self.prefix}/events": "events",
            f"{self.prefix}/socket": "socket",
            f"{self.prefix}/refresh": "refresh",
            f"{self.prefix}/jwks.json": "keys",
            f"{self.prefix}/login": "login",
            f"{self.prefix}/callback": "callback",
            f"{self.prefix}/backchannel": "backchannel",
            f"{self.prefix}/list": "list",
            f"{self.prefix}/revoke": "revoke",
        }
