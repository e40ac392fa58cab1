"""A live store in memory that marks what changes, as a store elsewhere does for the archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhere.errors import StoreError
from stillhere.stores.memory import MemoryStore
from stillhere.stores.protocol import Changed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.core.records import Claim, EndedBy, Outcome, Session


class LiveStore(MemoryStore):
    """A memory store with marks.

    Attributes:
        marks: number of the latest change of each session that the archive has not.
        is_down: it cannot be told that the archive has something.
        busy: handles that change again whenever they are read.
    """

    beat_now = None  # type: ignore[assignment]  # marks are made in `beat`

    def __init__(self) -> None:
        super().__init__()
        self.marks: dict[str, int] = {}
        self.is_down = False
        self.busy: set[str] = set()
        self._changes = 0

    def _mark(self, handle: str) -> None:
        self._changes += 1
        self.marks[handle] = self._changes

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """Beat, and mark."""
        outcomes = await super().beat(claims, visit_gap=visit_gap, touch_interval=touch_interval, now=now)
        for claim in claims:
            self._mark(claim.handle)
        return outcomes

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """End, and mark."""
        self._mark(handle)
        return await super().end(handle, by, now=now)

    async def sweep(self, *, limit: int, now: int) -> list[Session]:
        """Sweep, and mark."""
        swept = await super().sweep(limit=limit, now=now)
        for session in swept:
            self._mark(session.handle)
        return swept

    async def changed(self, limit: int) -> list[Changed]:
        """Read what is marked."""
        found = [
            Changed(handle, mark, self.sessions[handle], self.visits.get(handle, []), list(self.views.get(handle, {}).values()))
            for handle, mark in sorted(self.marks.items(), key=lambda item: item[1])[:limit]
        ]
        for handle in self.busy & set(self.marks):
            self._mark(handle)
        return found

    async def archived(self, marks: Sequence[tuple[str, int]]) -> None:
        """Drop the marks that are still the same."""
        if self.is_down:
            raise StoreError("cannot be reached")
        for handle, mark in marks:
            if self.marks.get(handle) == mark:
                del self.marks[handle]

    async def erase_subject(self, subject: str) -> bool:
        """Delete those of a subject that have ended and wait for nobody."""
        handles = [handle for handle, session in self.sessions.items() if session.subject == subject]
        self.drop_sessions([name for name in handles if self.sessions[name].ended_at is not None and name not in self.marks])
        return all(name not in self.sessions for name in handles)
