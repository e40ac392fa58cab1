"""One filter and the moment at which it is asked: what Python, HTTP and the command line have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from stillhere.archive.export import PAGES, VIEWS, VISITORS, VISITS, Table, csv_of, json_lines, together
from stillhere.archive.filters import read_filter
from stillhere.archive.parquet import load, parquet_of
from stillhere.errors import BadFilter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from stillhere.archive.archive import Archive
    from stillhere.archive.filters import Chosen
    from stillhere.archive.records import Erased
    from stillhere.manager import SessionManager

EVERYBODY = 10_000_000
"""Visitors or pages of an export: all there are."""

TABLES: dict[str, Table[Any]] = {table.name: table for table in (VISITS, VIEWS, VISITORS, PAGES)}

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

    def read(self, words: Mapping[str, str], *, longest: int = 200, limit: int = 50) -> Chosen:
        """Read a filter; see `archive.filters.read_filter`."""
        return read_filter(words, zone=self._zone, longest=longest, limit=limit)

    @property
    def when(self) -> dict[str, int]:
        """What every question needs besides its filter."""
        return {"beat_interval": self.manager.policy.beat_interval, "now": self.manager.clock()}

    async def count(self, name: str, chosen: Chosen) -> int | None:
        """Tell how many rows an export will have, or None if that is not known before."""
        if name != VISITS.name:
            return None
        return await self.archive.count(chosen.wanted, **self.when)

    def rows(self, name: str, chosen: Chosen) -> AsyncIterator[Any]:
        """Go through the rows of a table, as many as there are."""
        wanted = replace(chosen.wanted, limit=EVERYBODY)
        if name == VISITS.name:
            return self.archive.all_visits(wanted, **self.when)
        if name == VIEWS.name:
            return self.archive.all_views(wanted, **self.when)
        return self._totals(name, wanted)

    async def _totals(self, name: str, wanted: Any) -> AsyncIterator[Any]:  # noqa: ANN401  # the rows of a table that is chosen at run time
        found: Sequence[Any]
        if name == VISITORS.name:
            found = await self.archive.visitors(wanted, sort="last", **self.when)
        else:
            found = await self.archive.pages(wanted, **self.when)
        for row in found:
            yield row

    def written(self, name: str, form: str, rows: AsyncIterator[Any]) -> AsyncIterator[bytes]:
        """Write rows as a file, piece by piece.

        Raises:
            MissingExtra: if the form needs a library that is not installed; before anything is written.
        """
        table = TABLES[name]
        if form == "parquet":
            load()
            return parquet_of(table, rows)
        return together(csv_of(table, rows) if form == "csv" else json_lines(table, rows))

    async def erase(self, subject: str) -> Erased:
        """End a person's sessions, and delete all that is kept of them.

        Raises:
            BadFilter: if nobody is named.
        """
        if not subject or "\0" in subject:
            raise BadFilter("subject", "say whose data: `subject` is an e-mail address or a user id")
        await self.manager.end_all(subject)
        return await self.archive.erase(subject)
