"""What a server hands over: bodies in chunks, clients that leave, headers that come twice."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from stillhere.adapters.asgi import request_of, send_response
from stillhere.core.wire import MAX_BODY_BYTES
from stillhere.http.messages import Response
from tests.adapters.apps import Line, browser, chunk, wrapped
from tests.http.doubles import Web

BODY: Final = json.dumps({"view": "v", "visibleMs": 500, "lifecycle": "active"}).encode()


def signed_in(secret: str) -> list[tuple[bytes, bytes]]:
    """Write the headers of a request with a cookie."""
    return [(b"host", b"app.example"), (b"x-stillhere", b"1"), (b"cookie", f"__Host-session={secret}".encode())]


@pytest.mark.parametrize("size", [1, 7, len(BODY)])
async def test_a_body_may_come_in_chunks(size: int) -> None:
    """However the body is cut, empty chunks included, it is read whole."""
    web = Web()
    started = await web.sign_in()
    pieces = [BODY[at : at + size] for at in range(0, len(BODY), size)]
    messages = [chunk(b"", more=True), *(chunk(piece, more=True) for piece in pieces), {"type": "http.request"}]
    line = Line(*messages, headers=signed_in(started.secret))
    assert await line.through(wrapped(web.manager)) == 200
    assert len(web.store.views) == 1


@pytest.mark.parametrize("sent", [b"", b"{", BODY[:-1], BODY, b"x" * MAX_BODY_BYTES])
@pytest.mark.parametrize("path", ["/session/beat", "/session/end"])
async def test_a_client_that_leaves_in_the_middle_changes_nothing(path: str, sent: bytes) -> None:
    """A body that breaks off is never taken in, even if what arrived makes sense; nothing is answered."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(1_000)
    before = web.kept()
    line = Line(chunk(sent, more=True), path=path, headers=signed_in(started.secret))
    assert await line.through(wrapped(web.manager)) is None
    assert web.kept() == before


async def test_a_body_without_end_is_not_read_to_its_end() -> None:
    """Once it is known to be too large, no more of a body is read: 413, and memory is safe."""
    web = Web()
    started = await web.sign_in()
    before = web.kept()
    line = Line(*(chunk(b"x" * 10_000, more=True) for _ in range(1_000)), headers=signed_in(started.secret))
    assert await line.through(wrapped(web.manager)) == 413
    assert line.taken == 7
    assert web.kept() == before


@pytest.mark.parametrize(("size", "status"), [(65_536, 200), (65_537, 413)])
async def test_the_limit_holds_for_chunked_bodies_too(size: int, status: int) -> None:
    """A body without Content-Length is measured as it comes: 65,536 bytes pass, one more does not."""
    web = Web()
    started = await web.sign_in()
    body = BODY[:-1] + b', "padding": "' + b"x" * (size - len(BODY) - 15) + b'"}'
    assert len(body) == size

    async def pieces() -> Any:
        for at in range(0, size, 1_000):
            yield body[at : at + 1_000]

    async with browser(wrapped(web.manager), cookie=started.secret) as page:
        answer = await page.post("/session/beat", content=pieces(), headers={"content-type": "text/plain"})
    assert answer.status_code == status


def test_headers_that_came_twice_are_joined() -> None:
    """Repeated headers are joined with a comma, cookies with a semicolon, as HTTP/2 may split them."""
    line = Line(
        headers=[
            (b"host", b"app.example"),
            (b"x-forwarded-for", b"1.1.1.1"),
            (b"x-forwarded-for", b"2.2.2.2"),
            (b"cookie", b"a=1"),
            (b"cookie", b"b=\xff"),
        ],
        query_string=b"a=%20\xff",
    )
    found = request_of(line.scope)
    assert found.headers == {"host": "app.example", "x-forwarded-for": "1.1.1.1, 2.2.2.2", "cookie": "a=1; b=\xff"}
    assert (found.method, found.path, found.query) == ("POST", "/session/beat", "a=%20\xff")
    assert (found.client, found.scheme) == ("203.0.113.9", "https")


def test_a_server_need_not_know_the_client() -> None:
    """On a Unix socket there is no address, and the scheme may be left out; then it is http."""
    line = Line(client=None)
    del line.scope["scheme"]
    assert (request_of(line.scope).client, request_of(line.scope).scheme) == (None, "http")


@pytest.mark.parametrize(
    ("response", "length"),
    [
        (Response(status=200, body=b"abc"), b"3"),
        (Response(status=200), b"0"),
        (Response(status=200, headers=(("content-length", "99"),)), b"99"),
        (Response(status=204), None),
        (Response(status=304), None),
    ],
)
async def test_the_length_is_told_where_it_may_be(response: Response, length: bytes | None) -> None:
    """Content-Length is told once, except where HTTP has none (RFC 9110 section 8.6)."""
    line = Line()
    await send_response(response, line.send)
    assert [value for name, value in line.sent[0]["headers"] if name == b"content-length"] == ([length] if length else [])
    assert line.sent[1] == {"type": "http.response.body", "body": response.body}
