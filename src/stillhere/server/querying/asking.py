"""One filter and the moment at which it is asked: what Python, HTTP and the command line have in common."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from stillhere.archive.export import (
    BUCKETS,
    DURATIONS,
    PAGES,
    SIMULTANEOUS,
    TOTALS,
    VIEWS,
    VISITORS,
    VISITS,
    Table,
    csv_of,
    json_lines,
    together,
)
from stillhere.archive.filters import FILTER, PAGING, read_filter
from stillhere.archive.parquet import load, parquet_of
from stillhere.errors import BadFilter, StoreError
from stillhere.server.querying.rows import kept_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from stillhere.archive.archive import Archive
    from stillhere.archive.filters import Chosen
    from stillhere.archive.records import Erased
    from stillhere.manager import SessionManager

EVERYBODY = 10_000_000
"""Visitors or pages of an export: all there are."""

TABLES: dict[str, Table[Any]] = {table.name: table for table in (VISITS, VIEWS, VISITORS, PAGES, BUCKETS, DURATIONS, SIMULTANEOUS, TOTALS)}

MORE: dict[str, str] = {VISITORS.name: "sort", BUCKETS.name: "unit"}
"""The word that a table takes besides the filter."""

MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


class Asking:
    """Asks the archive with a manager's clock and policy.

    Args:
        manager: the sessions.
        archive: their visits.
        zone: IANA name that is used unless one is given.
    """

    def __init__(self, manager: SessionManager, archive: Archive, *, zone: str = "UTC") -> None:
        """Ask nothing yet."""
        self.manager = manager
        self.archive = archive
        self._zone = zone

    def read(self, name: str, words: Mapping[str, str], *, in_pages: bool = False) -> Chosen:
        """Read what is asked of a table; see `archive.filters.read_filter`.

        Args:
            name: of the table.
            words: the filter, and `sort` or `unit` where it takes them.
            in_pages: whether it may be asked for piece by piece.

        Raises:
            BadFilter: if a word cannot be read, or is not known.
        """
        more = (MORE[name],) if name in MORE else ()
        return read_filter(words, known=(*FILTER, *more, *(PAGING if in_pages else ())), zone=self._zone)

    @property
    def when(self) -> dict[str, int]:
        """What every question needs besides its filter."""
        return {"beat_interval": self.manager.policy.beat_interval, "now": self.manager.clock()}

    async def rows(self, name: str, chosen: Chosen) -> tuple[AsyncIterator[Any], int | None]:
        """Go through the rows of a table, as many as there are; tell how many, where that is known once the first one is."""
        if name == VISITS.name:
            return self.archive.all_visits(chosen.wanted, **self.when), None
        if name == VIEWS.name:
            return self.archive.all_views(chosen.wanted, **self.when), None
        rows = await self._added_up(name, chosen)
        return _each(rows), len(rows)

    async def counted(self, name: str, chosen: Chosen) -> tuple[AsyncIterator[Any], int | None]:
        """Go through the rows of a table, and tell beforehand how many there are now; None as of `count`."""
        rows, count = await self.rows(name, chosen)
        return rows, await self.count(name, chosen) if count is None else count

    async def count(self, name: str, chosen: Chosen) -> int | None:
        """Count visits or views; None if that takes longer than the store allows.

        Millions of views are read page by page in any time, and counted in one statement, which takes seconds.
        """
        counting = self.archive.count if name == VISITS.name else self.archive.count_views
        with suppress(StoreError):  # one that is away is told of by its first row
            return await counting(chosen.wanted, **self.when)
        return None

    async def _added_up(self, name: str, chosen: Chosen) -> Sequence[Any]:
        """Read a table whose first row is known once all visits are added up: all there is of it."""
        archive, wanted, when = self.archive, replace(chosen.wanted, limit=EVERYBODY), self.when
        if name == VISITORS.name:
            return await archive.visitors(wanted, sort=chosen.sort, **when)
        if name == PAGES.name:
            return await archive.pages(wanted, **when)
        if name == BUCKETS.name:
            return await archive.buckets(wanted, chosen.unit, chosen.zone, **when)
        if name == DURATIONS.name:
            return await archive.durations(wanted, **when)
        if name == SIMULTANEOUS.name:
            return (await archive.simultaneous(wanted, **when)).points
        return [await archive.totals(wanted, **when)]

    @staticmethod
    def prepare(form: str) -> None:
        """Load what a form needs, before anything is read for it.

        Raises:
            MissingExtra: if that is not installed.
        """
        if form == "parquet":
            load()

    def written(self, name: str, form: str, rows: AsyncIterator[Any]) -> AsyncIterator[bytes]:
        """Write rows as a file, piece by piece."""
        table = TABLES[name]
        if form == "parquet":
            return parquet_of(table, rows)
        return together(csv_of(table, rows) if form == "csv" else json_lines(table, rows))

    async def erase(self, subject: str) -> Erased:
        """End a person's sessions, and delete all that is kept of them.

        Raises:
            BadFilter: if nobody is named.
        """
        _refuse_nobody(subject)
        await self.manager.end_all(subject)
        return await self.archive.erase(subject)

    async def of_subject(self, subject: str) -> dict[str, object]:
        """Tell all that is kept of a person, for that person.

        Raises:
            BadFilter: if nobody is named.
        """
        _refuse_nobody(subject)
        return kept_row(subject, await self.archive.of_subject(subject), self.manager.clock())


async def _each(rows: Iterable[Any]) -> AsyncIterator[Any]:
    for row in rows:
        yield row


def _refuse_nobody(subject: str) -> None:
    if not subject or "\0" in subject:
        raise BadFilter("subject", "say whose data: `subject` is an e-mail address or a user id")
