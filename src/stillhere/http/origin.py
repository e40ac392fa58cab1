"""Who is asking: the site a request comes from, the address behind a proxy, and whether the way is safe for a cookie."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.http.bearer import bearer_of
from stillhere.http.config import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stillhere.http.config import HttpConfig
    from stillhere.http.messages import Request

_HTTP: Final = {"ws": "http", "wss": "https"}
"""A WebSocket begins as a request of http; servers and some proxies name it otherwise."""

OUR_HEADERS: Final = ("x-heartbeat", "x-stillhere")
"""Headers that neither a form nor a foreign script can set without a preflight."""


def _forwarded(headers: Mapping[str, str]) -> tuple[str | None, str | None, str | None, str | None]:
    get = headers.get
    return get("x-forwarded-for"), get("x-forwarded-proto"), get("x-forwarded-host"), get("forwarded")


class Peer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a request really comes from.

    Attributes:
        address: the client's address, or an empty string if it is not known.
        network: what limits count by: the address, or for IPv6 its /64, which one customer has to himself.
        scheme: `http` or `https`, as the browser sees it.
        origin: this server's own origin, as the browser sees it.
        is_loopback: the browser addressed this machine itself, or a proxy says that it did.
        is_behind_stranger: the request came through a proxy that nobody named, so that address and scheme may not be the browser's.
    """

    address: str
    network: str
    scheme: str
    origin: str
    is_loopback: bool
    is_behind_stranger: bool = False


def peer_of(request: Request, config: HttpConfig) -> Peer:
    """Tell where a request comes from. Forwarded headers count only if the connection comes from a trusted proxy."""
    headers = request.headers
    return _peer(request.client or "", request.scheme, headers.get("host", ""), _forwarded(headers), config.trusted_proxies)


@lru_cache(4096)
def _peer(address: str, scheme: str, host: str, forwarded: tuple[str | None, ...], trusted: tuple[str, ...]) -> Peer:
    scheme = _HTTP.get(scheme, scheme)
    is_behind_stranger = any(value is not None for value in forwarded)
    if trusted and _is_trusted(address, trusted):
        is_behind_stranger = False
        told_for, told_scheme = forwarded[:2]
        address = _behind_proxies(told_for, address, trusted)
        told_scheme = (told_scheme or "").rpartition(",")[2].strip().lower()
        told_scheme = _HTTP.get(told_scheme, told_scheme)
        scheme = told_scheme if told_scheme in {"http", "https"} else scheme
    host = host.lower()
    name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
    return Peer(
        address=address,
        network=_network_of(address),
        scheme=scheme,
        origin=f"{scheme}://{host}",
        is_loopback=name in LOOPBACK,
        is_behind_stranger=is_behind_stranger,
    )


def _network_of(address: str) -> str:
    parsed = _address(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address


def _behind_proxies(forwarded: str | None, address: str, trusted: Sequence[str]) -> str:
    # From the right: each entry was written by the proxy before it. The first that is no proxy of ours is the client;
    # everything to its left is what that client claimed.
    for entry in reversed([part.strip() for part in (forwarded or "").split(",")]):
        if _address(entry) is None:
            return address
        address = entry
        if not _is_trusted(entry, trusted):
            return entry
    return address


def _is_trusted(address: str, trusted: Sequence[str]) -> bool:
    parsed = _address(address)
    return parsed is not None and any(parsed in _network(network) for network in trusted)


_network = lru_cache(ipaddress.ip_network)
"""Configured networks, parsed once."""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def is_allowed_site(request: Request, peer: Peer, config: HttpConfig) -> bool:
    """Tell whether a request that changes something comes from our own pages, or from an origin on the list.

    Fetch Metadata first; if the browser sends none, its `Origin`; if there is neither, a header of our own or a bearer
    (OWASP CSRF Prevention Cheat Sheet; a sister domain counts as foreign).
    """
    headers = request.headers
    origin = headers.get("origin")
    if origin is not None and origin in config.allowed_origins:
        return True
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    if origin is not None:
        return origin == peer.origin
    return not headers.keys().isdisjoint(OUR_HEADERS) or bearer_of(request, config) is not None


def is_foreign(request: Request, peer: Peer, config: HttpConfig) -> bool:
    """Tell whether a browser says that a request comes from another site, which is not on the list.

    For what is only read, and kept open. Where a browser says nothing it is no other site's script: those have an `Origin`.
    """
    origin = request.header("origin")
    if origin is not None and origin in config.allowed_origins:
        return False
    site = request.header("sec-fetch-site")
    return site not in {"same-origin", "none"} if site is not None else origin is not None and origin != peer.origin


def is_navigation(request: Request) -> bool:
    """Tell whether Fetch Metadata says that a person went somewhere."""
    return request.header("sec-fetch-mode") == "navigate" and request.header("sec-fetch-dest") in {"document", None}
