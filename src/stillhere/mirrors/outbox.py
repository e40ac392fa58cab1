"""The outbox: what each mirror has still to be told. It is derived from the archive; no beat writes into it.

A *scan* finds visits whose state is another than the one that was told, among the sessions that live or ended a short while ago, and
makes them due. What is due is told in its latest state, whatever happened in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from stillhere.errors import SettingsError
from stillhere.mirrors.memory import MemoryOutbox
from stillhere.mirrors.sql import SqlOutbox
from stillhere.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.core.records import Session
    from stillhere.manager import SessionManager
    from stillhere.mirrors.records import DeadLetter, Due, Mark, Row, Waiting

SETTLING_MS: Final = 120_000
"""How far a scan reaches back behind the one before it: what ended there may have been written later."""

DEEP_MS: Final = 7 * 86_400_000
"""The same for the scan that goes deep now and then: so long after a session's end the words of an offline page are still mirrored."""


class Outbox(Protocol):
    """Keeps rows and marks of mirrors.

    Raises:
        StoreError: from every verb, if the database cannot be reached.
        LeaseLost: from those that take a `fence`, if another process has the lease.
    """

    async def take(self, mirror: str, holder: str, *, now: int, until: int) -> int | None:
        """Take or renew the right to drain a mirror; tell its fence, or None while another holds it.

        One that would be held for more than twice as long as this one was taken before the clock was put right, and holds nobody up.
        """
        ...

    async def release(self, mirror: str, holder: str) -> None:
        """Give it back."""
        ...

    async def held_until(self, mirror: str) -> int:
        """Tell up to when somebody has the right to drain a mirror; 0 if it was given back, or nobody ever had it."""
        ...

    async def mark(self, mirror: str) -> Mark | None:
        """Tell how far a mirror has come, or None if it never ran."""
        ...

    async def wake(self, mirror: str) -> bool:
        """Let a mirror be tried again now, however long it was to be left alone; tell whether it ever ran."""
        ...

    async def scan(self, mirror: str, fence: int, *, since: int, sessions: bool, now: int) -> int:
        """Make due what changed, of sessions that live or ended since; tell how many. Sessions themselves are rows if asked for."""
        ...

    async def due(self, mirror: str, *, limit: int, now: int) -> list[Due]:
        """List rows that are due, the longest due first."""
        ...

    async def record(self, mirror: str, fence: int, rows: Sequence[Row], *, mark: Mark | None = None) -> None:
        """Write rows as they are now, and the mark, in one transaction."""
        ...

    async def rewind(self, mirror: str, fence: int, *, mark: Mark, now: int) -> None:
        """Make due now whatever is due later, and write the mark: the clock was put back, and what is written down is in its future."""
        ...

    async def remove(self, mirror: str, fence: int, rows: Sequence[Row]) -> None:
        """Delete rows whose session was forgotten."""
        ...

    async def tidy(self, mirror: str, fence: int) -> int:
        """Delete what is known of sessions that are gone: forgotten, or erased; tell how many rows."""
        ...

    async def has(self, mirror: str, record_id: str) -> bool:
        """Tell whether a record of the other side is known as some visit's."""
        ...

    async def session(self, handle: str) -> Session | None:
        """Look at a session."""
        ...

    async def waiting(self, mirror: str) -> Waiting:
        """Tell how much waits."""
        ...

    async def dead(self, mirror: str, *, limit: int) -> list[DeadLetter]:
        """List dead letters, the latest first."""
        ...

    async def revive(self, mirror: str, letter: str, *, drop: bool, now: int) -> bool:
        """Try a dead letter again, or drop it for good; tell whether there was one of that id."""
        ...

    async def revive_all(self, mirror: str, *, now: int) -> int:
        """Try all dead letters of a mirror again; tell how many."""
        ...


def outbox_of(manager: SessionManager) -> Outbox:
    """Open the outbox in the database that has the visits.

    Raises:
        SettingsError: if they are in Redis alone, or in a store that keeps no outbox.
    """
    if isinstance(manager.store, MemoryStore):
        return MemoryOutbox(manager.store)
    archiver = None if manager.archive is None else manager.archive.archiver
    home: object = manager.store if archiver is None else archiver.sink
    if not hasattr(home, "readers"):
        raise SettingsError(
            "mirrors need their outbox beside the visits, in SQLite or PostgreSQL; "
            "give --archive sqlite:///visits.db or postgresql://user@host/database",
        )
    return SqlOutbox(home)  # type: ignore[arg-type]  # seen above
