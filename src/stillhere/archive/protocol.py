"""What a store lets the archive read. Nothing here writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.archive.records import FoundVisit, VisitFilter, VisitorTotals
    from stillhere.core.records import View


class ArchiveSource(Protocol):
    """Reads visits and views where a store keeps them.

    Raises:
        StoreError: from every verb, if the database cannot be reached.
    """

    async def visits(self, wanted: VisitFilter) -> list[FoundVisit]:
        """List visits, the latest start first, then by handle and number falling."""

    async def visit(self, handle: str, number: int) -> FoundVisit | None:
        """Find one visit."""

    async def views(self, handles: Sequence[str]) -> list[View]:
        """List all views of these sessions, by the time they were opened."""

    async def visitors(self, *, visitor: str | None, limit: int) -> list[VisitorTotals]:
        """Add visits up by visitor, the most recent visitor first."""

    async def visible_since(self, since: int) -> list[int]:
        """List the visible time, in milliseconds, of every visit that began at or after an instant."""
