"""Requests and responses as values, so that every web framework can carry them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

READ_HEADERS: Final = (
    *("accept-encoding", "authorization", "content-length", "content-type", "cookie", "host", "if-none-match", "origin"),
    *("transfer-encoding", "user-agent"),
    *("sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "x-heartbeat", "x-stillhere"),
    *("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"),
)
"""Every header that is read anywhere in `http/`; an adapter need not carry others."""


class Request(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What came in, as far as a session route needs it.

    Attributes:
        method: in capitals.
        path: decoded, without query.
        headers: by lower-case name, at least those in `READ_HEADERS`. A header that came twice is joined with a comma.
        query: undecoded, without the question mark.
        body: at most `wire.MAX_BODY_BYTES + 1` bytes; one more than allowed says that there was more.
        client: address of the peer that the connection came from.
        scheme: `http` or `https`, as the connection came.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    query: str = ""
    body: bytes = b""
    client: str | None = None
    scheme: str = "http"

    def header(self, name: str) -> str | None:
        """Read a header by its lower-case name."""
        return self.headers.get(name)

    @property
    def is_withheld(self) -> bool:
        """The request says that it must not count as activity: `X-Heartbeat: true`."""
        told = self.headers.get("x-heartbeat")
        # A header that came twice is joined with a comma; one `true` among them is enough to withhold.
        return told is not None and any(part.strip().lower() == "true" for part in told.split(","))


Headers = tuple[tuple[str, str], ...]
"""Name and value, in order; names may repeat."""


class Response(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What goes out.

    Attributes:
        status: HTTP status.
        headers: name and value, in order; names may repeat.
        body: bytes; empty for `HEAD`.
    """

    status: int
    headers: Headers = ()
    body: bytes = b""


def read_cookie(header: str | None, name: str) -> str | None:
    """Read one cookie from a `Cookie` header; a header that cannot be read holds none.

    Args:
        header: the header's value.
        name: the cookie's name.
    """
    if header is None or name not in header:
        return None
    # The first of its name counts, as browsers put the most specific first (RFC 6265 section 5.4).
    if header.startswith(name) and header[len(name) : len(name) + 1] == "=" and ";" not in header and '"' not in header:
        return header[len(name) + 1 :].strip()  # nearly always: it is the only one
    for part in header.split(";"):
        key, separator, value = part.partition("=")
        if separator and key.strip() == name:
            return value.strip().strip('"')
    return None
