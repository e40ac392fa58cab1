"""Adds up what is asked for: from summarised days as far as there are any, and from the visits themselves for the rest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from stillhere.archive import statistics
from stillhere.archive.records import Stay
from stillhere.archive.zones import bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from zoneinfo import ZoneInfo

    from stillhere.archive.protocol import ArchiveSource
    from stillhere.archive.records import Asked, VisitorTotals
    from stillhere.archive.statistics import Bin, Bucket, Crowd, PageTotals, Totals
    from stillhere.archive.summaries import Span
    from stillhere.archive.zones import Unit

Result = TypeVar("Result")


class Adding:
    """Adds up, in a thread beside those who wait for other answers.

    Args:
        source: where visits and views are kept, and perhaps days.
    """

    def __init__(self, source: ArchiveSource) -> None:
        """Add nothing up yet."""
        self._source = source

    async def totals(self, asked: Asked) -> Totals:
        """Add visits up."""
        span = await self._source.span(asked, "totals")
        return await self._added(asked, span, statistics.totals, lambda span, rest: span.totals(rest))

    async def durations(self, asked: Asked) -> list[Bin]:
        """Count visits by their visible time."""
        span = await self._source.span(asked, "durations")
        return await self._added(asked, span, statistics.durations, lambda span, rest: span.durations(rest))

    async def visitors(
        self, asked: Asked, sort: str, choose: Callable[[list[tuple[int, str]]], list[str]], number: Callable[[VisitorTotals], int]
    ) -> list[VisitorTotals]:
        """Add visits up by visitor.

        Args:
            asked: which visits.
            sort: by what they are sorted.
            choose: tells of all, each with the number that it is sorted by, which are wanted, in order.
            number: tells the number that a row is sorted by.
        """
        span = await self._source.span(asked, "visitors")
        if span is None:
            rows = await self._by_visitor(await self._source.stays(asked))
            chosen = await asyncio.to_thread(choose, [(number(row), name) for name, row in rows.items()])
            return [rows[name] for name in chosen]
        chosen, stays = await asyncio.to_thread(span.visitors, await self._rest(span), sort, choose)
        if stays is None:
            stays = await self._source.stays(replace(asked, visitors=tuple(chosen))) if chosen else []
        rows = await self._by_visitor(stays)
        return [rows[name] for name in chosen if name in rows]

    @staticmethod
    async def _by_visitor(stays: list[Stay]) -> dict[str, VisitorTotals]:
        return {row.visitor: row for row in await asyncio.to_thread(statistics.visitors, stays)}

    async def pages(self, asked: Asked) -> list[PageTotals]:
        """Add views up by page."""
        span = await self._source.span(asked, "pages")
        if span is None:
            return await asyncio.to_thread(statistics.pages, await self._source.readings(asked))
        return await asyncio.to_thread(span.pages, [await self._source.readings(one) for one in span.rest])

    async def buckets(self, asked: Asked, unit: Unit, zone: ZoneInfo) -> list[Bucket]:
        """Add visits up by the bucket of the calendar in which they began; without a period from the first until now."""
        wanted = asked.wanted

        def calendar(first: int | None) -> list[tuple[int, int]]:
            first = asked.now if first is None else first
            since_at = first if wanted.since_at is None else wanted.since_at
            return bounds(unit, zone, since_at, max(asked.now, first) + 1 if wanted.until_at is None else wanted.until_at)

        span = await self._source.span(asked, "buckets")
        return await self._added(
            asked, span, lambda stays: statistics.buckets(stays, calendar), lambda span, rest: span.buckets(rest, calendar)
        )

    async def simultaneous(self, asked: Asked, here: Collection[tuple[str, int]]) -> Crowd:
        """Tell how many visitors were there at once, over time.

        Args:
            asked: which visits.
            here: visitor and start of the visits of those who are here: they go on, whenever their last beat was. No day that is settled
                has any.
        """

        def going_on(stays: list[Stay]) -> list[Stay]:
            return [Stay(*stay)._replace(last_seen_at=asked.now) if tuple(stay[:2]) in here else stay for stay in stays]

        span = await self._source.span(asked, "simultaneous")
        return await self._added(
            asked,
            span,
            lambda stays: statistics.simultaneous(going_on(stays)),
            lambda span, rest: span.simultaneous([going_on(stays) for stays in rest]),
        )

    async def _added(
        self,
        asked: Asked,
        span: Span | None,
        of_all: Callable[[list[Stay]], Result],
        of_span: Callable[[Span, list[list[Stay]]], Result],
    ) -> Result:
        if span is None:
            return await asyncio.to_thread(of_all, await self._source.stays(asked))
        return await asyncio.to_thread(of_span, span, await self._rest(span))

    async def _rest(self, span: Span) -> list[list[Stay]]:
        return [await self._source.stays(one) for one in span.rest]
