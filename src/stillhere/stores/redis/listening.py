"""Hears of ends as the scripts tell them, over one connection that is made anew whenever it breaks."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from stillhere.errors import StoreError
from stillhere.stores.redis.connect import ANSWER_TIMEOUT_S
from stillhere.stores.redis.servers import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio.connection import Connection

    from stillhere.stores.redis.connect import Target
    from stillhere.stores.redis.routes import Routes

PAUSES_S: Final = (0.1, 0.2, 0.5, 1.0)
"""Waits before each new try to listen again; the last one stays."""

SILENCE_S: Final = 5
"""So often the server is asked whether it is still there; it must have answered by the next time."""

_TROUBLE: Final = (RedisError, OSError, TimeoutError)


async def listen(routes: Routes, target: Target, channel: bytes) -> AsyncIterator[str | None]:
    """Yield None once listening has begun, also anew; then each handle that is told.

    Args:
        routes: where the servers are.
        target: who they are.
        channel: what to listen to.

    Raises:
        StoreError: if nothing can be heard at first, or the store is closed.
    """
    has_heard, failures, closed = False, 0, routes.closed
    while not closed.is_set():
        try:
            async with _subscribed(routes, channel, closed) as (connection, signs_of_life):
                has_heard, failures = True, 0
                yield None
                while True:
                    kind, *_, text = await connection.read_response(disable_decoding=True)
                    signs_of_life.set()
                    if kind == b"message" and text:
                        yield text.decode()
        except _TROUBLE as error:
            if not has_heard and not closed.is_set():
                raise StoreError(f"the session store did not answer: {target.without_secrets(error)}") from error
        await routes.look_again()
        with suppress(TimeoutError):
            await asyncio.wait_for(closed.wait(), PAUSES_S[min(failures, len(PAUSES_S) - 1)])
        failures += 1
    raise StoreError("the session store is closed")


@asynccontextmanager
async def _subscribed(routes: Routes, channel: bytes, closed: asyncio.Event) -> AsyncIterator[tuple[Connection, asyncio.Event]]:
    """Give a connection that listens, and what to set whenever something comes of it."""
    signs_of_life = asyncio.Event()
    connection = minding = None
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            connection = (await routes.server_of(0)).make()
            await connect(connection)
            await connection.send_command(b"SUBSCRIBE", channel)
            await connection.read_response(disable_decoding=True)
        minding = asyncio.get_running_loop().create_task(_mind(connection, signs_of_life, closed))
        yield connection, signs_of_life
    finally:
        if minding is not None:
            minding.cancel()
        if connection is not None:
            await connection.disconnect(nowait=True)


async def _mind(connection: Connection, signs_of_life: asyncio.Event, closed: asyncio.Event) -> None:
    """Break a connection, and with it the wait for what comes of it, when its server falls silent or the store is closed."""
    signs_of_life.set()
    with suppress(*_TROUBLE):  # whoever reads has it too
        while signs_of_life.is_set() and not closed.is_set():
            signs_of_life.clear()
            await connection.send_command(b"PING", check_health=False)
            with suppress(TimeoutError):
                await asyncio.wait_for(closed.wait(), SILENCE_S)
    await connection.disconnect(nowait=True)
