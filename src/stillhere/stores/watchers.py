"""Hands what is heard of ends to everyone in this process who watches."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from stillhere.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BEHIND_LIMIT: Final = 10_000
"""Handles that may wait for one watcher. One that falls further behind is told to look for itself, which is cheaper by then."""


class Watchers:
    """Everyone who watches. Belongs to one event loop."""

    def __init__(self) -> None:
        """Nobody watches yet."""
        self._queues: set[asyncio.Queue[str | StoreError | None]] = set()

    def __bool__(self) -> bool:
        """Tell whether anybody watches."""
        return bool(self._queues)

    async def listen(self) -> AsyncIterator[str | None]:
        """Watch: None at first, then what is told; None again when something was missed."""
        queue: asyncio.Queue[str | StoreError | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield None
            while not isinstance(told := await queue.get(), StoreError):
                yield told
            raise told
        finally:
            self._queues.discard(queue)

    def tell(self, handle: str | None) -> None:
        """Tell everyone of an end, or with None that some may have been missed."""
        for queue in self._queues:
            if queue.qsize() >= BEHIND_LIMIT:
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(None)
            else:
                queue.put_nowait(handle)

    def close(self) -> None:
        """Tell everyone that the store is closed."""
        for queue in self._queues:
            queue.put_nowait(StoreError("the session store is closed"))
