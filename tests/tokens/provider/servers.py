"""Servers of a few lines in this very process, which answer as badly as a test wants."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator


class Heard:
    """What such a server heard, and where it is.

    Attributes:
        url: where it listens.
        requests: the requests, as they came.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[str] = []


@contextlib.asynccontextmanager
async def answering(
    *pieces: bytes, pause: float = 0, hangs: bool = False, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Heard]:
    """Serve every call with the same bytes until the block ends.

    Args:
        pieces: are sent one after the other.
        pause: seconds between them, and before the first.
        hangs: keep the connection open afterwards, and say no more.
        tls: serve TLS.
        host: where to listen.
    """
    over = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")), 0)
            heard.requests.append(head + (await reader.readexactly(length)).decode())
            for piece in pieces:
                await asyncio.sleep(pause)
                writer.write(piece)
                await writer.drain()
            if hangs:
                await over.wait()
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(answer(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, host, 0, ssl=tls)
    heard = Heard(f"{'http' if tls is None else 'https'}://{host}:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield heard
        over.set()
        await asyncio.gather(*tasks, return_exceptions=True)
