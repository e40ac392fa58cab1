"""Visits as files: CSV that every reader takes alike and no spreadsheet runs, and times people can read."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.archive.export import COLUMNS, VISITS, csv_lines, exported, json_of
from stillhere.archive.records import VisitReport
from stillhere.words import instant
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def visit_of(visitor: str, ended_by: str | None = "leave") -> VisitReport:
    """Make a visit up."""
    return VisitReport(
        id="h.1",
        session="h",
        visitor=visitor,
        started_at=START,
        ended_at=START + 61_001,
        open_ms=61_001,
        visible_ms=60_000,
        active_ms=59_999,
        views=2,
        ended_by=ended_by,
        device="Edge",
        uncertain_ms=5_000,
    )


async def lines(*visits: VisitReport) -> list[str]:
    """Write visits as CSV."""

    async def each() -> AsyncIterator[VisitReport]:
        for visit in visits:
            yield visit

    return [line async for line in csv_lines(each())]


async def test_csv_is_a_line_of_names_and_a_line_for_each_visit() -> None:
    """The columns are in their order, lines end as RFC 4180 says, and a visit that goes on has an empty cell for its end."""
    assert await lines(visit_of("first@fund.example"), visit_of("second@fund.example", ended_by=None)) == [
        "visitor,started_at,ended_at,open_ms,visible_ms,active_ms,ended_by,views,verified,internal,excluded,id,device,uncertain_ms\r\n",
        "first@fund.example,2023-11-14T22:13:20.000Z,2023-11-14T22:14:21.001Z,61001,60000,59999,leave,2,false,false,false,h.1,Edge,5000\r\n",
        "second@fund.example,2023-11-14T22:13:20.000Z,2023-11-14T22:14:21.001Z,61001,60000,59999,,2,false,false,false,h.1,Edge,5000\r\n",
    ]


async def test_csv_of_nothing_has_its_names() -> None:
    """Without visits there is still the line of names."""
    assert await lines() == [",".join(COLUMNS) + "\r\n"]


@pytest.mark.parametrize(
    ("visitor", "cell"),
    [
        ('"first, b." <a@b.example>', '"""first, b."" <a@b.example>"'),
        ("two\nlines", '"two\nlines"'),
        ("two\r\nlines", '"two\r\nlines"'),
        ("\u00fc\N{SNOWMAN}\u05d0", "\u00fc\N{SNOWMAN}\u05d0"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "\"'\r'=1\""),
        ("\n=1", "\"'\n'=1\""),
        ("\uff1d1", "'\uff1d1"),
        (" =1", "' =1"),
        ("\ufeff=1", "'\ufeff=1"),
        ("'=1", "''=1"),
        ("Report;=HYPERLINK(1)", "Report;'=HYPERLINK(1)"),
        ('Report; "=1', '"Report;\' ""=1"'),
        ("Report\t+1;@2", "Report\t'+1;'@2"),
        ("Report; 1 - 2; x=1", "Report; 1 - 2; x=1"),
        ("", ""),
        ("1=1", "1=1"),
    ],
)
async def test_csv_cells_are_quoted_and_never_formulas(visitor: str, cell: str) -> None:
    """Quotes, commas and line ends are quoted (RFC 4180); what a spreadsheet would run is marked as text (OWASP: CSV Injection)."""
    _, line = await lines(visit_of(visitor))
    rest = "2023-11-14T22:13:20.000Z,2023-11-14T22:14:21.001Z,61001,60000,59999,leave,2,false,false,false,h.1,Edge,5000"
    assert line == f"{cell},{rest}\r\n"


@given(visitor=st.text() | st.text("=;'\" \t\na@\uff1d"))
async def test_csv_is_read_back_as_it_was_written(visitor: str) -> None:
    """Whatever a visitor is called, one visit is one row with all its cells; without the marks the name is the same, sign by sign."""
    rows = list(csv.reader(io.StringIO("".join(await lines(visit_of(visitor))), newline="")))
    assert rows[0] == list(COLUMNS)
    (cells,) = rows[1:]
    assert len(cells) == len(COLUMNS)
    assert unmarked(cells[0]) == visitor


def unmarked(cell: str) -> str:
    """Take the apostrophes away that keep a spreadsheet from running what follows: as the document says."""
    blanks, signs = r"[\s\ufeff\u200b\"']*", r"=+\-@\uff1d\uff0b\uff0d\uff20"
    return re.sub(rf"^'(?={blanks}[{signs}\t\r\n])|(?<=[;\t\r\n])'(?={blanks}[{signs}])", "", cell)


@given(visitor=st.text("=;'\" \t\na@\uff1d"))
async def test_no_reader_begins_a_formula(visitor: str) -> None:
    """Parted by commas, semicolons or tabs, no cell begins with a sign of a formula, not even after blanks."""
    text = "".join(await lines(visit_of(visitor)))
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            assert not [cell for cell in row if cell.strip().startswith(("=", "+", "-", "@", "\uff1d"))]


async def test_json_is_one_object_with_a_list_for_each_table() -> None:
    """Row by row it is what JSON would be at once, also where there are no rows, and whatever signs a name has."""

    async def each(*visits: VisitReport) -> AsyncIterator[VisitReport]:
        for visit in visits:
            yield visit

    few = (visit_of("first\u2028@fund.example"), visit_of('"\n', ended_by=None))
    again = msgspec.structs.replace(VISITS, name="again")
    written = "".join([piece async for piece in json_of([(VISITS, each(*few)), (again, each())])])
    body = {"visits": [exported(visit) for visit in few], "again": []}
    assert written == msgspec.json.format(msgspec.json.encode(body)).decode() + "\n"


def test_columns_are_those_of_the_rows() -> None:
    """JSON and CSV have the same names in the same order."""
    assert tuple(exported(visit_of("a"))) == COLUMNS


@given(at=st.integers(0, 253_402_300_799_999))
def test_instants_are_exact_to_the_millisecond(at: int) -> None:
    """An instant is written in UTC and read back to the very millisecond, until the year 9999."""
    written = instant(at)
    assert written.endswith("Z")
    assert datetime.fromisoformat(written) - datetime.fromtimestamp(0, UTC) == timedelta(milliseconds=at)
