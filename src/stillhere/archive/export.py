"""Tables as files: the same columns in CSV and JSON, times in ISO 8601 and UTC, spans in milliseconds. Written row by row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping  # beside the record, whose annotations are read at run time
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

import msgspec

from stillhere.archive.records import VisitorTotals, VisitReport
from stillhere.archive.statistics import Bin, Bucket, PageTotals, Point, Totals
from stillhere.core.records import View
from stillhere.words import instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

Row = TypeVar("Row")

Kind = Literal["text", "instant", "whole", "number", "truth"]

FORMS: Final = ("csv", "jsonl", "parquet")

ROWS_AT_ONCE: Final = 500
"""Lines that are sent together."""

# Where a spreadsheet would begin a formula (OWASP: CSV Injection): at the start of a cell, and after what parts cells where the list
# separator is not the comma, for such a reader knows nothing of our quotation marks. Blanks and quotation marks may come before the sign;
# the last four signs are the full-width ones. The apostrophe is among those marks, so that one that was there gets one more, and whoever
# takes one away at each such place has what was written.
_BEFORE: Final = r"[\s\ufeff\u200b\"']*"
_SIGNS: Final = r"=+\-@\uff1d\uff0b\uff0d\uff20"
FORMULA: Final = re.compile(rf"^(?={_BEFORE}[{_SIGNS}\t\r\n])|(?<=[;\t\r\n])(?={_BEFORE}[{_SIGNS}])")


class Table(msgspec.Struct, Generic[Row], frozen=True):
    """What a file of some rows looks like.

    Attributes:
        name: of the file.
        columns: their names and kinds, in order.
        cells: tells the cells of a row, as numbers and text; None is an empty one.
    """

    name: str
    columns: Mapping[str, Kind]
    cells: Callable[[Row], tuple[Any, ...]]

    def written(self, row: Row) -> dict[str, Any]:
        """Write a row for people: instants in ISO 8601."""
        return {
            name: instant(cell) if kind == "instant" and cell is not None else cell
            for (name, kind), cell in zip(self.columns.items(), self.cells(row), strict=True)
        }


VISITS: Final = Table[VisitReport](
    "visits",
    {
        "visitor": "text",
        "started_at": "instant",
        "ended_at": "instant",
        "open_ms": "whole",
        "visible_ms": "whole",
        "active_ms": "whole",
        "ended_by": "text",
        "views": "whole",
        "verified": "truth",
        "internal": "truth",
        "excluded": "truth",
        "id": "text",
        "device": "text",
        "uncertain_ms": "whole",
    },
    lambda visit: (
        visit.visitor,
        visit.started_at,
        visit.ended_at,
        visit.open_ms,
        visit.visible_ms,
        visit.active_ms,
        visit.ended_by,
        visit.views,
        visit.verified,
        visit.internal,
        visit.excluded,
        visit.id,
        visit.device,
        visit.uncertain_ms,
    ),
)

VIEWS: Final = Table[tuple[VisitReport, View]](
    "views",
    {
        "visitor": "text",
        "visit": "text",
        "view": "text",
        "tab": "text",
        "page": "text",
        "title": "text",
        "opened_at": "instant",
        "last_seen_at": "instant",
        "visible_ms": "whole",
        "active_ms": "whole",
        "scroll_pct": "number",
        "lifecycle": "text",
    },
    lambda found: (
        found[0].visitor,
        found[0].id,
        found[1].view,
        found[1].tab,
        found[1].page,
        found[1].title,
        found[1].opened_at,
        found[1].last_seen_at,
        found[1].visible_ms,
        found[1].active_ms,
        found[1].scroll_pct,
        None if found[1].lifecycle is None else found[1].lifecycle.value,
    ),
)

VISITORS: Final = Table[VisitorTotals](
    "visitors",
    {
        "visitor": "text",
        "visits": "whole",
        "open_ms": "whole",
        "visible_ms": "whole",
        "active_ms": "whole",
        "first_at": "instant",
        "last_at": "instant",
        "median_visible_ms": "whole",
        "total_minutes": "whole",
        "verified": "truth",
        "internal": "truth",
    },
    lambda row: (
        row.visitor,
        row.visits,
        row.open_ms,
        row.visible_ms,
        row.active_ms,
        row.first_at,
        row.last_at,
        row.median_visible_ms,
        row.total_minutes,
        row.verified,
        row.internal,
    ),
)

PAGES: Final = Table[PageTotals](
    "pages",
    {
        "page": "text",
        "title": "text",
        "views": "whole",
        "visitors": "whole",
        "visible_ms": "whole",
        "visible_q1_ms": "whole",
        "visible_median_ms": "whole",
        "visible_q3_ms": "whole",
        "active_ms": "whole",
        "active_median_ms": "whole",
        "scroll_median_pct": "number",
    },
    lambda row: (
        row.page,
        row.title,
        row.views,
        row.visitors,
        row.visible.sum,
        row.visible.q1,
        row.visible.median,
        row.visible.q3,
        row.active.sum,
        row.active.median,
        row.scroll.median,
    ),
)

BUCKETS: Final = Table[Bucket](
    "buckets",
    {
        "from_at": "instant",
        "until_at": "instant",
        "visits": "whole",
        "visitors": "whole",
        "visible_ms": "whole",
        "active_ms": "whole",
    },
    lambda row: (row.from_at, row.until_at, row.visits, row.visitors, row.visible_ms, row.active_ms),
)

DURATIONS: Final = Table[Bin](
    "durations",
    {"from_ms": "whole", "to_ms": "whole", "visits": "whole"},
    lambda row: (row.from_ms, row.to_ms, row.visits),
)

SIMULTANEOUS: Final = Table[Point]("simultaneous", {"at": "instant", "visitors": "whole"}, lambda row: (row.at, row.visitors))

TOTALS: Final = Table[Totals](
    "totals",
    {
        "visits": "whole",
        "visitors": "whole",
        "open_ms": "whole",
        "visible_ms": "whole",
        "visible_q1_ms": "whole",
        "visible_median_ms": "whole",
        "visible_q3_ms": "whole",
        "active_ms": "whole",
    },
    lambda row: (
        row.visits,
        row.visitors,
        row.open_ms,
        row.visible_ms,
        row.visible.q1,
        row.visible.median,
        row.visible.q3,
        row.active_ms,
    ),
)

COLUMNS: Final = tuple(VISITS.columns)


def exported(visit: VisitReport) -> Mapping[str, str | int | None]:
    """Tell a visit by its columns; `ended_by` is None while somebody is there."""
    return VISITS.written(visit)


async def csv_lines(visits: AsyncIterator[VisitReport]) -> AsyncIterator[str]:
    """Write visits as CSV (RFC 4180), a line at a time, after a line with the names of the columns."""
    async for line in csv_of(VISITS, visits):
        yield line


async def csv_of(table: Table[Row], rows: AsyncIterator[Row]) -> AsyncIterator[str]:
    """Write rows as CSV (RFC 4180), a line at a time, after a line with the names of the columns."""
    yield _line(table.columns)
    async for row in rows:
        yield _line(_cell(cell) for cell in table.written(row).values())


async def json_lines(table: Table[Row], rows: AsyncIterator[Row]) -> AsyncIterator[str]:
    """Write rows as JSON, one a line."""
    async for row in rows:
        yield msgspec.json.encode(table.written(row)).decode() + "\n"


async def json_of(tables: Iterable[tuple[Table[Any], AsyncIterator[Any]]]) -> AsyncIterator[str]:
    """Write rows of one table or more as one JSON object, to be read by people, too: a list for each table, by its name."""
    between = "{"
    for table, rows in tables:
        yield f'{between}\n  "{table.name}": ['
        between, is_empty = ",", True
        async for row in rows:
            told = msgspec.json.format(msgspec.json.encode(table.written(row))).decode()
            yield ("" if is_empty else ",") + f"\n{told}".replace("\n", "\n    ")
            is_empty = False
        yield "]" if is_empty else "\n  ]"
    yield "\n}\n"


async def together(lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """Put lines together, so that not every one of them is sent alone."""
    waiting: list[str] = []
    async for line in lines:
        waiting.append(line)
        if len(waiting) == ROWS_AT_ONCE:
            yield "".join(waiting).encode()
            waiting.clear()
    if waiting:
        yield "".join(waiting).encode()


def _cell(cell: str | float | bool | None) -> str | float:  # noqa: FBT001  # a cell may be one, and mypy is to know
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str):
        return FORMULA.sub("'", cell)
    return "" if cell is None else cell


def _line(cells: Iterable[str | float]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
