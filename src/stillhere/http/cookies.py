"""The session cookie: written to be as hard to steal, fix or cross sites with as browsers allow; and the marker that scripts may read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhere.errors import InsecureTransport
from stillhere.http.bearer import bearer_of
from stillhere.http.messages import read_cookie

if TYPE_CHECKING:
    from stillhere.http.config import HttpConfig
    from stillhere.http.messages import Headers, Request
    from stillhere.http.origin import Peer


def cookie_name(peer: Peer, config: HttpConfig) -> str:
    """Tell the cookie's name on this way: plain `session` on http on a loopback address, where `__Host-` cannot be set."""
    return config.loopback_cookie_name if peer.scheme == "http" and peer.is_loopback else config.cookie_name


def read_secret(request: Request, peer: Peer, config: HttpConfig) -> str | None:
    """Read the secret id that came with a request, or None: of its bearer, if it has one that counts, else of its cookie."""
    bearer = bearer_of(request, config)
    return read_cookie(request.header("cookie"), cookie_name(peer, config)) if bearer is None else bearer


def refuse_unsafe_way(peer: Peer) -> None:
    """Refuse to give out an id where anybody on the way could take it.

    Raises:
        InsecureTransport: on http to anything but a loopback address; the id would cross the network in the clear.
    """
    if peer.scheme != "https" and (peer.is_behind_stranger or not peer.is_loopback):
        raise InsecureTransport(peer.origin)


def set_cookies(secret: str, peer: Peer, config: HttpConfig) -> Headers:
    """Write the headers that give a browser its secret id: for this browser session, for this host only, not for scripts.

    Raises:
        InsecureTransport: on http to anything but a loopback address.
    """
    refuse_unsafe_way(peer)
    return _cookies(secret, secret.rpartition(".")[0], peer, config)  # a marker holds nothing of a text without a handle


def delete_cookies(request: Request, peer: Peer, config: HttpConfig) -> Headers:
    """Write the headers that take the id back, and the refresh token that came with it.

    None for a request with a bearer, for the cookies may be another session's.
    """
    if bearer_of(request, config) is not None:
        return ()
    deleted = _cookies("", "", peer, config, life="; Max-Age=0")
    return deleted if read_refresh_cookie(request, peer, config) is None else (*deleted, _refresh("", peer, config, life="; Max-Age=0"))


def read_refresh_cookie(request: Request, peer: Peer, config: HttpConfig) -> str | None:
    """Read the refresh token that a browser keeps, or None."""
    return read_cookie(request.header("cookie"), _refresh_name(peer, config))


def set_refresh_cookie(token: str, peer: Peer, config: HttpConfig) -> Headers:
    """Write the header that gives a browser its refresh token: never sent from another site, never shown to scripts.

    It is `Path=/`, for `__Host-` wants that (RFC 6265bis section 4.1.3.2), and NIST and ASVS prefer the prefix to a narrower path.

    Raises:
        InsecureTransport: on http to anything but a loopback address.
    """
    refuse_unsafe_way(peer)
    return (_refresh(token, peer, config),)


def read_login_cookie(request: Request, peer: Peer, config: HttpConfig, name: str) -> str | None:
    """Read what a browser remembers of a login that is under way, or None."""
    return read_cookie(request.header("cookie"), _login_name(peer, config, name))


def set_login_cookie(name: str, sealed: str, lasts: int, peer: Peer, config: HttpConfig) -> Headers:
    """Write the header that has a browser remember a login: `Lax`, for it comes back from another site, and for as long as it may take.

    Args:
        name: tells it from other logins of that browser.
        sealed: what is to be remembered.
        lasts: how long, milliseconds.
        peer: who asks.
        config: the cookies' names.

    Raises:
        InsecureTransport: on http to anything but a loopback address.
    """
    refuse_unsafe_way(peer)
    life = f"; Max-Age={lasts // 1000}"
    return (("set-cookie", f"{_login_name(peer, config, name)}={sealed}{life}; Path=/{_secure(peer)}; HttpOnly; SameSite=Lax"),)


def delete_login_cookie(name: str, peer: Peer, config: HttpConfig) -> Headers:
    """Write the header that has a browser forget a login."""
    return (("set-cookie", f"{_login_name(peer, config, name)}=; Max-Age=0; Path=/{_secure(peer)}; HttpOnly; SameSite=Lax"),)


def login_cookies(request: Request, peer: Peer, config: HttpConfig) -> list[str]:
    """Tell which logins a browser remembers, in the order of its header."""
    begins = f"{_login_name(peer, config, '')}"
    names = [part.partition("=")[0].strip() for part in (request.header("cookie") or "").split(";")]
    return [name.removeprefix(begins) for name in names if name.startswith(begins)]


def _login_name(peer: Peer, config: HttpConfig, name: str) -> str:
    begins = config.loopback_login_cookie_name if peer.scheme == "http" and peer.is_loopback else config.login_cookie_name
    return f"{begins}-{name}"


def _refresh(token: str, peer: Peer, config: HttpConfig, *, life: str = "") -> tuple[str, str]:
    return "set-cookie", f"{_refresh_name(peer, config)}={token}{life}; Path=/{_secure(peer)}; HttpOnly; SameSite=Strict"


def _refresh_name(peer: Peer, config: HttpConfig) -> str:
    return config.loopback_refresh_cookie_name if peer.scheme == "http" and peer.is_loopback else config.refresh_cookie_name


def _secure(peer: Peer) -> str:
    return "" if peer.scheme == "http" and peer.is_loopback else "; Secure"


def _cookies(secret: str, handle: str, peer: Peer, config: HttpConfig, *, life: str = "") -> Headers:
    where, site = f"{life}; Path=/{_secure(peer)}", f"; SameSite={config.same_site.capitalize()}"
    session = ("set-cookie", f"{cookie_name(peer, config)}={secret}{where}; HttpOnly{site}")
    return (session,) if config.marker_cookie is None else (session, ("set-cookie", f"{config.marker_cookie}={handle}{where}{site}"))
