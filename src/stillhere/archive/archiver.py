"""Brings visits from a live store into an archive that is elsewhere: coalesced, resumable, safe to do twice."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from stillhere.errors import StoreRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.stores.protocol import Archivable, Changed

logger = logging.getLogger("stillhere")

_TRIES: Final = 5

BATCH: Final = 500
"""Sessions brought over in one transaction."""


class ArchiveSink(Protocol):
    """A database that takes in what a live store reports, and never moves back."""

    async def keep(self, changes: Sequence[Changed]) -> None:
        """Insert or bring forward sessions with their visits and views; durable when it returns."""

    async def forget(self, *, ended_before: int, limit: int) -> int:
        """See `Forgetful.forget`."""

    async def close(self) -> None:
        """Let go of connections and threads."""


class Archiver:
    """Reads what changed in the live store, writes it to the archive, and only then tells the live store so.

    A crash between any two of these loses nothing: the live store still has the mark, and the next run, in whatever process,
    brings the same change again. However often a visit changed meanwhile, it is written once.

    Args:
        live: the store that marks its changes.
        sink: where they go.
    """

    def __init__(self, live: Archivable, sink: ArchiveSink) -> None:
        """Move nothing yet."""
        self._one_at_a_time = asyncio.Lock()
        self._live = live
        self.sink = sink

    async def catch_up(self) -> int:
        """Bring over all that had changed when it began; tell how many sessions.

        Raises:
            StoreError: if either side cannot be reached; calling again goes on.
        """
        async with self._one_at_a_time:
            moved = set[str]()
            while True:
                changes = await self._live.changed(BATCH)
                fresh = [change for change in changes if change.handle not in moved]  # others changed since, and wait for the next run
                if fresh:
                    await self._keep(fresh)
                    await self._live.archived([(change.handle, change.mark) for change in fresh])
                    moved.update(change.handle for change in fresh)
                if not fresh or len(changes) < BATCH:
                    return len(moved)

    async def erase(self, subject: str) -> None:
        """Bring over the rest, and delete a subject's sessions in the live store, so that nothing of them comes any more.

        Raises:
            StoreError: if either side cannot be reached.
        """
        for _ in range(_TRIES):  # a last word may come in between, and is brought over first
            await self.catch_up()
            if await self._live.erase_subject(subject):
                return

    async def _keep(self, changes: Sequence[Changed]) -> None:
        """Keep what the archive takes; what it refuses for what it says is named in the log, and holds up nobody else."""
        try:
            await self.sink.keep(changes)
        except StoreRefused as error:
            if len(changes) == 1:
                logger.error("the visits of session %s cannot be archived: %s", changes[0].handle, error)  # noqa: TRY400  # the cause is told
                return
            middle = len(changes) // 2
            await self._keep(changes[:middle])
            await self._keep(changes[middle:])
