"""Ends as PostgreSQL notifies them: one listening connection for everyone in this process who watches."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final, cast

from psycopg import AsyncConnection
from psycopg import Error as PsycopgError

from stillhere.errors import StoreError
from stillhere.stores.postgresql.connect import reason_of
from stillhere.stores.watchers import Watchers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

CHANNEL: Final = "stillhere_ended"
"""Where the statements that record ends notify the handles."""

RECONNECT_INTERVAL_S: Final = 0.5
"""How long to wait before a lost server is tried again."""


class Listener:
    """Listens while anybody watches; a lost connection is made anew, and everyone told that some ends may have been missed.

    Args:
        parameters: of libpq, from `read_url`.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Connect to nothing yet."""
        self._parameters = parameters
        self._watchers = Watchers()
        self._watching = 0  # also those who wait for the first connection
        self._listening: asyncio.Task[None] | None = None
        self._begun: asyncio.Future[None] | None = None
        self._is_closed = False

    async def watch(self) -> AsyncGenerator[str | None]:
        """See `Watchable.watch`."""
        if self._is_closed:
            raise _closed()
        loop = asyncio.get_running_loop()
        if self._listening is None or self._begun is None or self._begun.get_loop() is not loop:
            self._begun = loop.create_future()
            self._listening = loop.create_task(self._listen(self._begun))
        self._watching += 1
        try:
            await asyncio.shield(self._begun)
            async with aclosing(cast("AsyncGenerator[str | None]", self._watchers.listen())) as told:
                async for handle in told:
                    yield handle
        finally:
            self._watching -= 1
            if not self._watching:
                await self._stop()

    async def _listen(self, begun: asyncio.Future[None]) -> None:
        try:
            connection = await self._connected()
        except StoreError as error:
            self._listening = None
            begun.set_exception(error)
            return
        begun.set_result(None)
        while True:
            # However it ends, it is lost: by an error, or by a stream that just stops.
            with suppress(PsycopgError):
                async with connection:
                    async for notice in connection.notifies():
                        self._watchers.tell(notice.payload)
            connection = await self._connected_again()
            self._watchers.tell(None)

    async def _connected(self) -> AsyncConnection:
        try:
            connection = await AsyncConnection.connect(**self._parameters, autocommit=True)
            try:
                await connection.execute(f"LISTEN {CHANNEL}")
            except BaseException:
                await connection.close()
                raise
        except (PsycopgError, OSError) as error:
            raise StoreError(f"the session store cannot be reached: {reason_of(error)}") from error
        return connection

    async def _connected_again(self) -> AsyncConnection:
        while True:
            await asyncio.sleep(RECONNECT_INTERVAL_S)
            with suppress(StoreError):
                return await self._connected()

    async def _stop(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def close(self) -> None:
        """Stop listening; who watches is told."""
        self._is_closed = True
        self._watchers.close()
        if self._watching and self._begun is not None and not self._begun.done():
            self._begun.set_exception(_closed())
        await self._stop()


def _closed() -> StoreError:
    return StoreError("the session store is closed")
