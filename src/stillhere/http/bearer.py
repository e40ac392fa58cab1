"""The bearer: the secret id in an `Authorization` header, for clients that keep no cookie. Off unless `HttpConfig.bearer` is on.

A request is its bearer's or its cookie's, never both. With a bearer the cookie is not looked at, not even if the bearer names nothing: what
a client says on purpose is not overruled by what a browser adds by itself, and nobody passes a guard with the one and gets in with the
other. Such a request cannot be forged from another site: no form can set the header, no browser adds this scheme by itself, and a foreign
script needs a preflight that only allowed origins get.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stillhere.http.config import HttpConfig
    from stillhere.http.messages import Request


def bearer_of(request: Request, config: HttpConfig) -> str | None:
    """Read the bearer (RFC 6750 section 2.1); None if there is none, or it does not count here. An empty one is one that names nothing."""
    if not config.bearer:
        return None
    scheme, _, token = (request.header("authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def challenge_of(request: Request, config: HttpConfig) -> str:
    """Write what a 401 adds to `WWW-Authenticate` where a bearer counts (RFC 6750 section 3), or nothing."""
    if not config.bearer:
        return ""
    return ', Bearer realm="stillhere"' if bearer_of(request, config) is None else ', Bearer realm="stillhere", error="invalid_token"'
