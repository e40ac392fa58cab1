"""What cannot work, or will surprise somebody, in the program's settings: the way to the browser, and the store. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from stillhere.core.findings import Finding, Level
from stillhere.core.policy import seconds
from stillhere.core.spans import roughly
from stillhere.http.config import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillhere.http.config import HttpConfig
    from stillhere.stores.facts import StoreFacts

CLOCKS_DIFFER_MS: Final = seconds(5)
"""How far apart two machines' clocks may be before it is worth a word; those that are kept in step differ by milliseconds."""


def findings_of_way(host: str, http: HttpConfig) -> Iterator[Finding]:
    """Find what stands between the program and a browser.

    Args:
        host: address that the program listens on.
        http: how the session routes are offered.
    """
    yield from _of_proxies(host, http)
    if not http.cookie_name.startswith("__Host-"):
        yield Finding(
            level=Level.WARNING,
            code="cookie-without-prefix",
            text=f"cookie_name {http.cookie_name!r} does not begin with __Host-: any sister domain can plant a cookie of that name; "
            f"write __Host-{http.cookie_name.removeprefix('__Secure-')}",
        )
    for origin in http.allowed_origins:
        parts = urlsplit(origin)
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            yield Finding(
                level=Level.WARNING,
                code="origin-in-the-clear",
                text=f"allowed_origins has {origin}: whoever is on the way can write that page and speak for its visitors, and browsers "
                "that count http and https as two sites send it no cookie; write it with https",
            )
    if http.allowed_origins and not http.bearer:
        yield Finding(
            level=Level.NOTE,
            code="origins-by-cookie",
            text=f"allowed_origins work by cookie, which is SameSite={http.same_site.capitalize()}: origins of this site, such as its "
            "subdomains, get it; pages of other sites need bearer",
        )


def _of_proxies(host: str, http: HttpConfig) -> Iterator[Finding]:
    for network in http.trusted_proxies:
        if ipaddress.ip_network(network).prefixlen == 0:
            yield Finding(
                level=Level.ERROR,
                code="everybody-is-a-proxy",
                text=f"trusted_proxies has {network}, which is everybody: any client can say that its way is safe, and whose address it "
                "has; name the proxy's own network",
            )
    if http.trusted_proxies:
        return
    if is_loopback(host):
        yield Finding(
            level=Level.NOTE,
            code="this-machine-only",
            text=f"host is {host} and trusted_proxies is empty: sessions can be started by browsers of this machine; for others put a "
            "proxy with TLS before it, and name it in trusted_proxies",
        )
        return
    yield Finding(
        level=Level.WARNING,
        code="no-safe-way",
        text=f"host is {host} and trusted_proxies is empty: the program speaks plain http, so no session can be started but at "
        "http://localhost; put a proxy with TLS before it that sends X-Forwarded-For and X-Forwarded-Proto, and name it in trusted_proxies",
    )


def is_loopback(host: str) -> bool:
    """Tell whether an address or name is this machine's own."""
    if host in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def findings_of_store(name: str, facts: StoreFacts, *, now: int) -> Iterator[Finding]:
    """Find what the next start, a crash or a wrong clock would make of a store.

    Args:
        name: what to call it: `store` or `archive`.
        facts: what was seen of it.
        now: milliseconds since 1970.
    """
    if facts.newest is None:
        yield Finding(
            level=Level.WARNING,
            code="store-in-memory",
            text=f"{name} is memory://: sessions are gone when the process stops, and no other process knows them; name a file or a server",
        )
    else:
        yield from _of_revision(name, facts.revision, facts.newest)
    for problem in facts.problems:
        yield Finding(level=Level.WARNING, code="store-not-durable", text=f"{name}: {problem}")
    ahead_ms = 0 if facts.clock_at is None else facts.clock_at - now
    if abs(ahead_ms) > CLOCKS_DIFFER_MS:
        side = "ahead of" if ahead_ms > 0 else "behind"
        yield Finding(
            level=Level.WARNING,
            code="clocks-differ",
            text=f"{name}: the clock of its machine is {roughly(abs(ahead_ms))} {side} this one's; one of the two is wrong. Sessions are "
            "judged by the clock of the process that is asked, so where clocks differ they end at different times; keep all in step",
        )


def _of_revision(name: str, revision: str | None, newest: str) -> Iterator[Finding]:
    if revision is None:
        yield Finding(level=Level.NOTE, code="store-empty", text=f"{name} is empty; the program makes what it needs when it starts")
    elif not revision.isdecimal() or int(revision) > int(newest):
        yield Finding(
            level=Level.ERROR,
            code="store-unknown-revision",
            text=f"{name} is at revision {revision}, and this release knows {newest} and older; upgrade stillhere, or name another place",
        )
    elif int(revision) < int(newest):
        yield Finding(
            level=Level.NOTE,
            code="store-older",
            text=f"{name} is at revision {revision}; the next start brings it to {newest}, and older releases can't use it then",
        )
