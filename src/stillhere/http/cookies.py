"""The session cookie: written to be as hard to steal, fix or cross sites with as browsers allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhere.errors import InsecureTransport
from stillhere.http.messages import read_cookie

if TYPE_CHECKING:
    from stillhere.http.config import HttpConfig
    from stillhere.http.messages import Request
    from stillhere.http.origin import Peer


def cookie_name(peer: Peer, config: HttpConfig) -> str:
    """Tell the cookie's name on this way: plain `session` on http on a loopback address, where `__Host-` cannot be set."""
    return config.loopback_cookie_name if peer.scheme == "http" and peer.is_loopback else config.cookie_name


def read_secret(request: Request, peer: Peer, config: HttpConfig) -> str | None:
    """Read the secret id that the browser sent, or None."""
    return read_cookie(request.header("cookie"), cookie_name(peer, config))


def set_cookie(secret: str, peer: Peer, config: HttpConfig) -> tuple[str, str]:
    """Write the header that gives a browser its secret id: for this browser session, for this host only, not for scripts.

    Raises:
        InsecureTransport: on http to anything but a loopback address; the id would cross the network in the clear.
    """
    return "set-cookie", f"{cookie_name(peer, config)}={secret}{_attributes(peer, config)}"


def delete_cookie(peer: Peer, config: HttpConfig) -> tuple[str, str]:
    """Write the header that takes the id back."""
    return "set-cookie", f"{cookie_name(peer, config)}=; Max-Age=0{_attributes(peer, config, must_be_safe=False)}"


def _attributes(peer: Peer, config: HttpConfig, *, must_be_safe: bool = True) -> str:
    if must_be_safe and peer.scheme != "https" and (peer.is_behind_stranger or not peer.is_loopback):
        raise InsecureTransport(peer.origin)
    secure = "" if peer.scheme == "http" and peer.is_loopback else "; Secure"
    return f"; Path=/{secure}; HttpOnly; SameSite={config.same_site.capitalize()}"
