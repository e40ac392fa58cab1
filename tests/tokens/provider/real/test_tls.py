"""Whom a call is sent to is proven first: TLS with real certificates."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from stillhere.tokens.provider.transport import Call, HttpxTransport, NoReply
from tests.services.certificates import make_certificates
from tests.tokens.provider.servers import answering

if TYPE_CHECKING:
    from pathlib import Path

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def test_a_provider_that_nobody_vouches_for_hears_nothing(tmp_path: Path) -> None:
    """An unknown authority, another name or no TLS at all: nothing is sent; an authority of one's own can be named."""
    made = make_certificates(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(made.certificate, made.key)
    trusting = ssl.create_default_context(cafile=str(made.authority))
    async with (
        answering(GOOD, tls=serving) as server,
        answering(GOOD, tls=serving, host="127.0.0.2") as other,
        answering(GOOD) as plain,
    ):
        for url, context, why in (
            (server.url, trusting, None),
            (server.url, None, "unreachable"),
            (other.url, trusting, "unreachable"),
            (plain.url.replace("http:", "https:"), trusting, "timeout"),
        ):
            transport = HttpxTransport(context)
            call = Call(
                method="POST",
                url=url,
                headers={"authorization": "Basic planted"},
                body=b"planted",
                connect_timeout=1_000 if why == "timeout" else 10_000,
                read_timeout=5_000,
                total_timeout=10_000,
                longest_answer=1_000,
            )
            if why is None:
                assert (await transport.send(call)).status == 200
            else:
                with pytest.raises(NoReply) as none:
                    await transport.send(call)
                assert (none.value.why, none.value.may_have_arrived) == (why, False)
            await transport.close()
        assert len(server.requests) == 1
        assert other.requests == plain.requests == []
