"""What the tests of the Redis store share."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stillhere.errors import StoreError
from tests.stores.every import GAP
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    for _ in range(100):
        try:
            return await store.get(handle)
        except StoreError:
            await asyncio.sleep(0.1)
    raise AssertionError("no failover within 10 seconds")


@contextlib.contextmanager
def silent(count: int) -> Iterator[str]:
    """Give addresses where connections are taken, and nothing is ever said."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        yield ",".join(f"127.0.0.1:{one.getsockname()[1]}" for one in sockets)
