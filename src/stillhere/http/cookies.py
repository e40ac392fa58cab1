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
    """Write the headers that take the id back; none for a request with a bearer, for the cookie may be another session's."""
    return _cookies("", "", peer, config, life="; Max-Age=0") if bearer_of(request, config) is None else ()


def _cookies(secret: str, handle: str, peer: Peer, config: HttpConfig, *, life: str = "") -> Headers:
    secure = "" if peer.scheme == "http" and peer.is_loopback else "; Secure"
    where, site = f"{life}; Path=/{secure}", f"; SameSite={config.same_site.capitalize()}"
    session = ("set-cookie", f"{cookie_name(peer, config)}={secret}{where}; HttpOnly{site}")
    return (session,) if config.marker_cookie is None else (session, ("set-cookie", f"{config.marker_cookie}={handle}{where}{site}"))
