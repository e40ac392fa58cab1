"""Headers on their way to an application behind the gate and back: what is for each hop, what is ours, what nobody may make up. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stillhere.http.config import HttpConfig

Raw = list[tuple[bytes, bytes]]

_HOP: Final = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
"""For one hop only (RFC 9110 section 7.6.1, RFC 9112)."""

_OURS: Final = (b"x-stillhere-", b"x-forwarded-", b"forwarded", b"x-real-ip", b"x-original-", b"x-rewrite-", b"via", b"expect")
"""Beginnings of names that only we say to the application, or nobody: some take the path from `X-Original-URL`, past what is open."""

VIA: Final = b"1.1 stillhere"

_SUBJECT_SIGNS: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")

_TARGET_SIGNS: Final = "".join(chr(code) for code in range(0x21, 0x7F))

OPERATOR_COOKIES: Final = ("__Host-operator", "operator")

OPERATOR_LOGINS: Final = ("__Host-operator-login-", "operator-login-")
"""Beginnings of the cookies in which operators' logins at a provider are remembered."""

CODE_COOKIES: Final = ("__Host-gate", "gate")
"""What a browser keeps of a code it asked for: half of what opens, and whom it is for."""


class OwnCookies(msgspec.Struct, frozen=True):
    """Names of the cookies that are no business of the application.

    Attributes:
        names: whole names.
        beginnings: of names.
    """

    names: frozenset[str]
    beginnings: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Tell whether a cookie is one of ours."""
        return name in self.names or name.startswith(self.beginnings)

    def without(self, header: str) -> str:
        """Take ours out of a `Cookie` header."""
        return "; ".join(part.strip() for part in header.split(";") if part.strip() and not self.has(_name_of(part)))


def own_cookies(config: HttpConfig) -> OwnCookies:
    """Tell the names of our cookies, the dashboard's and the gate's among them."""
    secret = (config.cookie_name, config.loopback_cookie_name, config.refresh_cookie_name, config.loopback_refresh_cookie_name)
    marker = () if config.marker_cookie is None else (config.marker_cookie,)
    logins = tuple(f"{name}-" for name in (config.login_cookie_name, config.loopback_login_cookie_name))
    return OwnCookies(frozenset({*secret, *marker, *OPERATOR_COOKIES, *CODE_COOKIES}), (*logins, *OPERATOR_LOGINS))


def to_application(
    asked: Iterable[tuple[bytes, bytes]], said: Mapping[bytes, str], own: OwnCookies, *, is_page: bool, drops: bytes = b""
) -> Raw:
    """Write the headers of a request to the application.

    Names with an underscore are dropped, for many an application reads them as if it were a dash, and so as one of ours.

    Args:
        asked: as they came from the browser.
        said: what we say about the visitor.
        own: our cookies.
        is_page: whether HTML is expected, which must come as plain text to get the client.
        drops: one more header that stays here.
    """
    asked = list(asked)
    named = _named_by_connection(asked)
    sent: Raw = []
    for name, value in asked:
        if name in _HOP or name in named or name == drops or name.startswith(_OURS) or b"_" in name:
            continue
        if name == b"cookie":
            value = own.without(value.decode("latin-1")).encode("latin-1")  # noqa: PLW2901  # the same header without ours
            if not value:
                continue
        if name == b"accept-encoding" and is_page:
            value = b"identity"  # noqa: PLW2901  # the same header, as we want it
        sent.append((name, value))
    return [*sent, (b"via", VIA), *((name, value.encode("latin-1")) for name, value in said.items())]


def to_browser(told: Iterable[tuple[bytes, bytes]], own: OwnCookies, origin: str, *, is_injected: bool) -> Raw:
    """Write the headers of an answer to the browser.

    What is behind a gate is kept by no cache but the reader's own; what the application says beyond that stays.

    Args:
        told: as the application says them.
        own: our cookies, which it cannot set.
        origin: the application's, as we call it.
        is_injected: whether the body becomes another one: its length is not known then, and its tag is a weak one.
    """
    told = [(name.lower(), value) for name, value in told]
    named = _named_by_connection(told)
    sent: Raw = []
    for name, value in told:
        if name in _HOP or name in named or name == b"date" or (is_injected and name in {b"content-length", b"accept-ranges"}):
            continue
        if name == b"set-cookie" and own.has(_name_of(value.decode("latin-1"))):
            continue
        sent.append((name, _changed(name, value, origin, is_injected=is_injected)))
    if not any(name == b"cache-control" for name, _ in sent):
        sent.append((b"cache-control", b"private, no-cache"))
    return sent


def is_html(told: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether an answer is HTML that can be read as it is."""
    headers = {name.lower(): value for name, value in told}
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return media_type == b"text/html" and headers.get(b"content-encoding", b"identity").strip().lower() == b"identity"


def as_header(subject: str) -> str:
    """Write a subject so that a header can carry it: what is not printable ASCII is percent-encoded as UTF-8."""
    return quote(subject, safe=_SUBJECT_SIGNS)


def as_target(asked: str) -> bytes:
    """Write path and query for the request line, byte for byte; only what cannot stand there is percent-encoded (RFC 9112 section 3.2)."""
    return quote(asked.encode("latin-1"), safe=_TARGET_SIGNS).encode("ascii")


def _changed(name: bytes, value: bytes, origin: str, *, is_injected: bool) -> bytes:
    if name == b"location":
        return _back_here(value, origin.encode())
    if name == b"cache-control":
        return _private(value)
    if name == b"etag" and is_injected and not value.startswith(b"W/"):
        return b"W/" + value
    return value


def _back_here(location: bytes, origin: bytes) -> bytes:
    rest = location[len(origin) :]
    if not location.lower().startswith(origin.lower()) or rest[:1] not in {b"", b"/", b"?", b"#"}:
        return location
    # Two slashes would lead to another host.
    return b"/" + rest.lstrip(b"/")


def _private(value: bytes) -> bytes:
    parts = [part.strip() for part in value.decode("latin-1").split(",") if part.strip()]
    kept = [part for part in parts if part.partition("=")[0].strip().lower() not in {"public", "private", "s-maxage"}]
    return ", ".join(["private", *kept]).encode("latin-1")


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    return {part.strip().lower() for name, value in headers if name == b"connection" for part in value.split(b",")}


def _name_of(cookie: str) -> str:
    return cookie.partition("=")[0].strip()
