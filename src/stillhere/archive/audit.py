"""The audit log: what operators did, as the archive keeps it. Entries are added and, once they are old, forgotten; nothing changes one."""

from __future__ import annotations

import re
from typing import Final, Protocol

import msgspec

from stillhere.errors import BadCursor


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that an operator did, or was refused.

    Attributes:
        at: when, milliseconds since 1970.
        id: tells it from others of the same moment; random.
        operator: who.
        action: what: `end`, `exclude`, `erase`, `export`, `sign-in`, `sign-in refused` and others.
        target: what it was done to, or None.
        detail: more about it, or None.
    """

    at: int
    id: str
    operator: str
    action: str
    target: str | None = None
    detail: str | None = None

    @property
    def place(self) -> tuple[int, str]:
        """What entries are sorted by."""
        return self.at, self.id

    @property
    def cursor(self) -> str:
        """Where a list goes on after this entry."""
        return f"{self.at}.{self.id}"


_CURSOR: Final = re.compile(r"(0|[1-9][0-9]{0,14})\.([a-z2-7]{1,40})\Z")


def read_audit_cursor(text: str) -> tuple[int, str]:
    """Read a cursor that `AuditEntry.cursor` wrote.

    Raises:
        BadCursor: if it is none.
    """
    found = _CURSOR.match(text)
    if found is None:
        raise BadCursor(text)
    return int(found[1]), found[2]


class AuditLog(Protocol):
    """Where entries are kept.

    Raises:
        StoreError: from every verb, if it cannot be reached.
    """

    async def append(self, entry: AuditEntry) -> None:
        """Add an entry."""

    async def entries(self, *, before: tuple[int, str] | None, limit: int) -> list[AuditEntry]:
        """List entries, the latest first.

        Args:
            before: only those listed after this `place`; None begins at the latest.
            limit: at most so many.
        """
        ...

    async def forget(self, *, before: int, limit: int) -> int:
        """Delete up to `limit` entries from before an instant, the oldest first; tell how many."""
        ...


class MemoryLog:
    """Keeps entries in this process. It starts empty, and forgets the oldest when it is full.

    Attributes:
        kept: the entries, the oldest first.
    """

    def __init__(self, most: int = 10_000) -> None:
        """Start empty."""
        self._most = most
        self.kept: list[AuditEntry] = []

    async def append(self, entry: AuditEntry) -> None:
        """See `AuditLog.append`."""
        self.kept.append(entry)
        del self.kept[: -self._most]

    async def entries(self, *, before: tuple[int, str] | None, limit: int) -> list[AuditEntry]:
        """See `AuditLog.entries`."""
        ordered = sorted(self.kept, key=lambda entry: entry.place, reverse=True)
        return [entry for entry in ordered if before is None or entry.place < before][:limit]

    async def forget(self, *, before: int, limit: int) -> int:
        """See `AuditLog.forget`."""
        old = sorted((entry for entry in self.kept if entry.at < before), key=lambda entry: entry.place)[:limit]
        for entry in old:
            self.kept.remove(entry)
        return len(old)
