"""What a store lets the archive read; and the little that an operator may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.archive.records import Asked, Erased, FoundVisit, Kept, Reading, Stay
    from stillhere.archive.summaries import Span
    from stillhere.core.certainty import Watched
    from stillhere.core.records import View


class ArchiveSource(Protocol):
    """Reads visits and views where a store keeps them.

    Raises:
        StoreError: from every verb, if the database cannot be reached.
    """

    async def visits(self, asked: Asked) -> list[FoundVisit]:
        """List visits, the latest start first, then by handle and number falling."""

    async def visit(self, handle: str, number: int) -> FoundVisit | None:
        """Find one visit."""

    async def views(self, handles: Sequence[str]) -> list[View]:
        """List all views of these sessions, by the time they were opened."""

    async def watched(self, handles: Sequence[str]) -> dict[tuple[str, int], Watched]:
        """Tell for the visits of these sessions what `core.certainty.watched` tells of their views."""

    async def present(self, *, seen_since: int, limit: int) -> list[FoundVisit]:
        """List the last visits of sessions, the latest start first, that lasted until an instant or longer.

        A session that had ended before has none, even where a clock that went back says that its visit lasted longer.
        """

    async def stays(self, asked: Asked) -> list[Stay]:
        """Tell what is counted of all visits that are asked for, in any order; neither `before` nor `limit` applies."""

    async def count(self, asked: Asked) -> int:
        """Count the visits that are asked for; neither `before` nor `limit` applies."""

    async def count_views(self, asked: Asked) -> int:
        """Count the views of those visits, whether or not they say on which page; of one page if that is asked for."""

    async def readings(self, asked: Asked) -> list[Reading]:
        """Tell what is counted of all views of those visits, in any order; of one page if that is asked for."""

    async def span(self, asked: Asked, question: str) -> Span | None:
        """Find the summarised days of a period, with what answers a question (a method of `Span`); None where that does not help."""

    async def summarise(self, internal: tuple[str, ...], *, now: int) -> int:
        """Summarise a few days that are settled and not yet; tell how many. Another call goes on."""

    async def verified(self, subjects: Sequence[str]) -> set[str]:
        """Tell which of these subjects have a session that is verified."""

    async def exclude(self, handle: str, number: int, *, excluded: bool) -> bool:
        """Mark a visit as left out of every count, or as counted again; False if there is no such visit."""

    async def of_subject(self, subject: str) -> Kept:
        """Read all that is kept of a subject; visits by start, views by opening."""

    async def erase(self, subject: str) -> Erased:
        """Delete all that is kept of a subject. Living sessions are gone too, and nobody is told: end them first."""
