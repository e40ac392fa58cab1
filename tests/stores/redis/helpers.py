"""What the tests of the Redis store share."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import hiredis

from stillhere.errors import StoreError
from tests.stores.every import GAP
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from stillhere.core.records import Claim, Outcome
    from stillhere.stores.redis.store import RedisStore
    from tests.services import RedisServer

MANUAL: Final = Path(__file__).parents[3] / "docs" / "redis.md"

RIGHTS: Final = re.findall(r"^ACL SETUSER stillhere on >password (.*)$", MANUAL.read_text("utf-8"), re.MULTILINE)[0]
"""The rights in the line that the manual tells people to paste."""


async def beat(store: RedisStore, *claims: Claim, now: int = START) -> list[Outcome]:
    """Send a batch."""
    return await store.beat(claims, visit_gap=GAP, touch_interval=0, now=now)


def keys_of(server: RedisServer, store: RedisStore) -> list[str]:
    """List all keys of a store."""
    with server.client() as client:
        return sorted(client.scan_iter(match=f"{store.target.prefix}:*", count=1000))


async def when_it_answers(store: RedisStore, handle: str) -> object:
    """Ask for a session until a failover is over; only `StoreError` may come meanwhile."""
    for _ in range(600):
        try:
            return await store.get(handle)
        except StoreError:
            await asyncio.sleep(0.1)
    raise AssertionError("no failover within a minute")


@contextlib.asynccontextmanager
async def sentinels(*ports: int) -> AsyncIterator[str]:
    """Stand for sentinels, each of which names a primary on loopback; the first is always heard first. Give their addresses."""
    is_heard = asyncio.Event()

    def answer(port: int) -> bytes:
        return b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n" % (len(str(port)), port)

    def hearing(place: int, port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def hear(client: asyncio.StreamReader, speaker: asyncio.StreamWriter) -> None:
            commands = hiredis.Reader()
            while read := await client.read(4096):
                commands.feed(read)
                while command := commands.gets():
                    is_asked = command[0] == b"SENTINEL"
                    if is_asked and place:
                        await is_heard.wait()
                    speaker.write(answer(port) if is_asked else b"+OK\r\n")
                    await speaker.drain()
                    if is_asked and not place:
                        asyncio.get_running_loop().call_later(0.1, is_heard.set)
            speaker.close()

        return hear

    async with contextlib.AsyncExitStack() as stack:
        servers = [await asyncio.start_server(hearing(place, port), "127.0.0.1", 0) for place, port in enumerate(ports)]
        for server in servers:
            await stack.enter_async_context(server)
        yield ",".join(f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers)


@contextlib.contextmanager
def silent(count: int) -> Iterator[str]:
    """Give addresses where connections are taken, and nothing is ever said."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        yield ",".join(f"127.0.0.1:{one.getsockname()[1]}" for one in sockets)
