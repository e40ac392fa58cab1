"""How a call reaches a provider: the least that the rest needs of HTTP, and that least done with httpx2."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Final, Literal, Protocol

import httpx2

from stillhere.tokens.provider.records import Discreet

if TYPE_CHECKING:
    import ssl

    from stillhere.tokens.provider.config import Provider


LONGEST_ANSWER: Final = 262_144
"""Bytes that are read of what a provider says."""


class Call(Discreet, frozen=True, kw_only=True):
    """One request to a provider. Spans are milliseconds.

    Attributes:
        method: of HTTP.
        url: where.
        headers: names in small letters.
        body: what is posted; empty for `GET`.
        connect_timeout: for the connection.
        read_timeout: between two pieces of the answer.
        total_timeout: for all of it.
        longest_answer: bytes; a longer answer is not read.
    """

    SHOWN = ("method", "url")

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    connect_timeout: int
    read_timeout: int
    total_timeout: int
    longest_answer: int


def call_to(provider: Provider, method: Literal["GET", "POST"], url: str, *, headers: Mapping[str, str], body: bytes = b"") -> Call:
    """Make a request to a provider, with the time-outs that were set for it."""
    return Call(
        method=method,
        url=url,
        headers=headers,
        body=body,
        connect_timeout=provider.connect_timeout,
        read_timeout=provider.read_timeout,
        total_timeout=provider.total_timeout,
        longest_answer=LONGEST_ANSWER,
    )


class Reply(Discreet, frozen=True, kw_only=True):
    """What came back.

    Attributes:
        status: the HTTP status.
        headers: names in small letters.
        body: all of it.
    """

    SHOWN = ("status",)

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoReply(Exception):
    """There is no answer that could be read.

    Attributes:
        why: `timeout`, `unreachable` (no connection, or none that could be trusted), `broken` (it broke off) or `too_long`.
        may_have_arrived: whether the provider may have got the request.
    """

    def __init__(self, why: Literal["timeout", "unreachable", "broken", "too_long"], *, may_have_arrived: bool) -> None:
        """Keep the facts, and no text: that of an HTTP library can repeat what was sent."""
        super().__init__(why)
        self.why = why
        self.may_have_arrived = may_have_arrived


class Transport(Protocol):
    """Whatever carries calls. It follows no redirect, keeps no cookie, and tries nothing twice."""

    async def send(self, call: Call) -> Reply:
        """Send a call and read its answer.

        Raises:
            NoReply: if there is none.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class HttpxTransport:
    """Carries calls with httpx2.

    Proxies and passwords of the environment (`HTTPS_PROXY`, `.netrc`) are not looked at.

    Args:
        ssl_context: for providers whose certificate only a private authority vouches for. Default: the usual authorities.
    """

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        """Keep the context; the client is made with the first call, in the loop that it serves."""
        self._ssl_context = ssl_context
        self._client: httpx2.AsyncClient | None = None

    async def send(self, call: Call) -> Reply:
        """Send a call and read its answer.

        Raises:
            NoReply: if there is none.
        """
        if self._client is None:
            self._client = httpx2.AsyncClient(
                verify=True if self._ssl_context is None else self._ssl_context,
                trust_env=False,
                follow_redirects=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            )
        is_sent = False
        try:
            async with asyncio.timeout(call.total_timeout / 1000):
                request = self._request(self._client, call)
                is_sent = True
                return await self._read(await self._client.send(request, stream=True), call.longest_answer)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise NoReply("unreachable" if isinstance(error, httpx2.ConnectError) else "timeout", may_have_arrived=False) from None
        except (TimeoutError, httpx2.TimeoutException):
            raise NoReply("timeout", may_have_arrived=is_sent) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            raise NoReply("broken", may_have_arrived=is_sent) from None

    @staticmethod
    def _request(client: httpx2.AsyncClient, call: Call) -> httpx2.Request:
        read = call.read_timeout / 1000
        return client.build_request(
            call.method,
            call.url,
            # Nothing is to be unpacked: a small answer must not become a large one.
            headers={**call.headers, "accept-encoding": "identity"},
            content=call.body or None,
            timeout=httpx2.Timeout(read, connect=call.connect_timeout / 1000, pool=call.connect_timeout / 1000),
        )

    @staticmethod
    async def _read(response: httpx2.Response, longest: int) -> Reply:
        body = bytearray()
        try:
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > longest:
                    raise NoReply("too_long", may_have_arrived=True)
        finally:
            await response.aclose()
        return Reply(status=response.status_code, headers=dict(response.headers), body=bytes(body))

    async def close(self) -> None:
        """Let go of connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
