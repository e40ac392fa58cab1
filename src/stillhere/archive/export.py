"""Visits as files: the same columns in CSV and JSON, times in ISO 8601 and UTC, spans in milliseconds."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from stillhere.words import instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from stillhere.archive.records import VisitReport

COLUMNS: Final = ("visitor", "started_at", "ended_at", "open_ms", "visible_ms", "active_ms", "ended_by")

# A spreadsheet takes a cell that begins like this for a formula (OWASP: CSV Injection); the last four are full-width signs.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def exported(visit: VisitReport) -> Mapping[str, str | int | None]:
    """Tell a visit by its columns; `ended_by` is None while somebody is there."""
    return {
        "visitor": visit.visitor,
        "started_at": instant(visit.started_at),
        "ended_at": instant(visit.ended_at),
        "open_ms": visit.open_ms,
        "visible_ms": visit.visible_ms,
        "active_ms": visit.active_ms,
        "ended_by": visit.ended_by,
    }


async def csv_lines(visits: AsyncIterator[VisitReport]) -> AsyncIterator[str]:
    """Write visits as CSV (RFC 4180), a line at a time, after a line with the names of the columns."""
    yield _line(COLUMNS)
    async for visit in visits:
        yield _line(["" if cell is None else _harmless(cell) for cell in exported(visit).values()])


def _harmless(cell: str | int) -> str | int:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


def _line(cells: Iterable[str | int]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
