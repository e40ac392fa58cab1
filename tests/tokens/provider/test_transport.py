"""How calls travel: once, to where they were sent, and not for ever."""

from __future__ import annotations

import socket
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from stillhere.tokens.provider.transport import Call, HttpxTransport, NoReply, Reply
from tests.tokens.provider.servers import answering

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 2\r\n\r\n{}"


def call_to(url: str, **changes: Any) -> Call:
    """Make a call with little patience."""
    usual: dict[str, Any] = {
        "method": "POST",
        "headers": {"authorization": "Basic planted"},
        "body": b"token=planted",
        "connect_timeout": 5_000,
        "read_timeout": 5_000,
        "total_timeout": 10_000,
        "longest_answer": 1_000,
    }
    return Call(url=f"{url}/token", **{**usual, **changes})


@pytest.fixture
async def transport() -> AsyncIterator[HttpxTransport]:
    """Give one, and close it."""
    transport = HttpxTransport()
    yield transport
    await transport.close()


async def failure(transport: HttpxTransport, call: Call) -> tuple[str, bool]:
    """Send in vain, and tell why and whether it may have arrived; nothing of the call is in the error."""
    with pytest.raises(NoReply) as none:
        await transport.send(call)
    assert "planted" not in repr(none.value)
    assert none.value.__cause__ is None
    assert none.value.__context__ is None or none.value.__suppress_context__
    return none.value.why, none.value.may_have_arrived


async def test_a_call_and_its_answer(transport: HttpxTransport) -> None:
    """Method, headers and body go out as they are; status, headers and body come back; no cookie is kept, nothing is to be unpacked."""
    async with answering(GOOD) as server:
        for _ in range(2):
            reply = await transport.send(call_to(server.url))
            assert (reply.status, reply.headers["content-type"], reply.body) == (200, "application/json", b"{}")
        assert await transport.send(call_to(server.url, method="GET", body=b"")) is not None
    for request in server.requests:
        assert "cookie:" not in request.lower()
        assert "accept-encoding: identity" in request.lower()
    assert server.requests[0].startswith("POST /token HTTP/1.1\r\n")
    assert server.requests[0].endswith("token=planted")
    assert "authorization: basic planted" in server.requests[0].lower()
    assert server.requests[2].startswith("GET /token HTTP/1.1\r\n")


async def test_no_redirect_is_followed(transport: HttpxTransport) -> None:
    """A secret goes to where it was sent and nowhere else."""
    async with answering(GOOD) as other:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {other.url}/token\r\nContent-Length: 0\r\n\r\n".encode()
        async with answering(moved) as server:
            assert (await transport.send(call_to(server.url))).status == 307
            assert len(server.requests) == 1
        assert other.requests == []


async def test_the_environment_is_not_looked_at(transport: HttpxTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no password file of the machine gets between us and the provider."""
    async with answering(GOOD) as proxy, answering(GOOD) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        await transport.send(call_to(server.url))
        assert proxy.requests == []


async def test_nobody_there(transport: HttpxTransport) -> None:
    """A port where nobody listens, or an address that is none: it has not arrived."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert await failure(transport, call_to(f"http://127.0.0.1:{port}")) == ("unreachable", False)
    assert await failure(transport, call_to("http://127.0.0.1:port")) == ("broken", False)


async def test_a_server_that_does_not_accept(transport: HttpxTransport) -> None:
    """A connection that does not come in time: it has not arrived."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        try:
            for one in waiting:
                one.setblocking(False)  # its only argument
                one.connect_ex(("127.0.0.1", port))
            assert await failure(transport, call_to(f"http://127.0.0.1:{port}", connect_timeout=300)) == ("timeout", False)
        finally:
            for one in waiting:
                one.close()


async def test_a_server_that_says_nothing(transport: HttpxTransport) -> None:
    """A request without an answer, or with half of one, may have arrived."""
    async with answering(hangs=True) as server:
        assert await failure(transport, call_to(server.url, read_timeout=200)) == ("timeout", True)
    async with answering(GOOD[:-1], hangs=True) as server:
        assert await failure(transport, call_to(server.url, read_timeout=200)) == ("timeout", True)


async def test_a_server_that_takes_its_time(transport: HttpxTransport) -> None:
    """One that always says a little more in time still has to come to an end."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"
    async with answering(head, *[b" "] * 900, pause=0.05) as server:
        assert await failure(transport, call_to(server.url, read_timeout=5_000, total_timeout=2_000)) == ("timeout", True)


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",),
        (b"nothing of the kind\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n{}",),
    ],
)
async def test_an_answer_that_breaks_off(transport: HttpxTransport, pieces: tuple[bytes, ...]) -> None:
    """Nothing, half an answer, or what is no HTTP: it may have arrived."""
    async with answering(*pieces) as server:
        assert await failure(transport, call_to(server.url)) == ("broken", True)
        assert len(server.requests) == 1


async def test_an_answer_without_an_end(transport: HttpxTransport) -> None:
    """It is read so far and no further; one that is exactly so long is read."""
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n", *[b"a" * 500] * 3, hangs=True) as server:
        assert await failure(transport, call_to(server.url)) == ("too_long", True)
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"a" * 1000) as server:
        assert len((await transport.send(call_to(server.url))).body) == 1000


async def test_a_small_answer_does_not_become_a_large_one(transport: HttpxTransport) -> None:
    """What is packed although nobody asked for it stays packed."""
    packed = zlib.compress(b"a" * 100_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    async with answering(head + packed) as server:
        assert (await transport.send(call_to(server.url))).body == packed


def test_printing_shows_where_it_goes_and_what_came() -> None:
    """Neither headers nor bodies are shown."""
    assert repr(call_to("https://login.example")) == "Call(method='POST', url='https://login.example/token', …)"
    assert repr(Reply(status=200, headers={"set-cookie": "planted"}, body=b"planted")) == "Reply(status=200, …)"
