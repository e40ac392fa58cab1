"""A relay that stands between a store and its server and counts, and patience."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.support import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Relay:
    """Counts round trips.

    Attributes:
        url: the server's, by way of the relay.
        round_trips: how often a client spoke after the server had.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.round_trips = 0
        self._server_spoke = True
        self._port = int(url.rpartition(":")[2].partition("/")[0])
        self._under_way: set[asyncio.Task[None]] = set()

    async def carry(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        server, to_server = await asyncio.open_connection("127.0.0.1", self._port)

        async def up() -> None:
            while said := await client.read(65_536):
                self.round_trips += self._server_spoke
                self._server_spoke = False
                to_server.write(said)
            to_server.close()

        async def down() -> None:
            while said := await server.read(65_536):
                self._server_spoke = True
                to_client.write(said)
            to_client.close()

        self._under_way.add(asyncio.create_task(up()))
        self._under_way.add(asyncio.create_task(down()))

    async def finish(self) -> None:
        """Wait until everything is carried; the store is closed by then."""
        await asyncio.gather(*self._under_way)


@asynccontextmanager
async def relay_before(url: str) -> AsyncIterator[Relay]:
    """Stand before the server of a URL until the block ends."""
    relay = Relay(url)
    listening = await asyncio.start_server(relay.carry, "127.0.0.1", 0)
    relay.url = re.sub(r":\d+/", f":{listening.sockets[0].getsockname()[1]}/", url)
    async with listening:
        yield relay
        await relay.finish()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition while the event loop goes on; fail if it does not come."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # it comes true in another process, which sets no event here
            await asyncio.sleep(0.01)
