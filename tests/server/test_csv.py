"""Visits as a file: for spreadsheets, and safe in them."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.site import Site

COLUMNS = [
    "visitor",
    "started_at",
    "ended_at",
    "open_ms",
    "visible_ms",
    "active_ms",
    "ended_by",
    "views",
    "verified",
    "internal",
    "excluded",
    "id",
    "device",
    "uncertain_ms",
]
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def stayed(site: Site, email: str) -> None:
    """Pass the gate, look at a page, sign out."""
    visitor = site.enter(email)
    visitor.post("/session/beat", json={"view": "v1", "visibleMs": 1, "lifecycle": "active"})
    visitor.post("/session/end")


def rows(site: Site, **query: str) -> list[dict[str, str]]:
    """Download the visits and read them as a spreadsheet does."""
    text = site.operator().get("/admin/visits.csv", params=query).text
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_file_is_what_it_says(site: Site) -> None:
    """The columns are exactly those that were promised, in their order; the file is private and is saved, not shown."""
    answer = site.operator().get("/admin/visits.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="visits.csv"'
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.text.split("\r\n", 1)[0] == ",".join(COLUMNS)


def test_taking_the_file_is_recorded(site: Site) -> None:
    """The audit log tells who took it, and of whom, as for every other export; a visitor that nobody can have is refused."""
    operator, email = site.operator(), site.name()
    assert operator.get("/admin/visits.csv", params={"visitor": email}).status_code == 200
    latest = operator.get("/admin/api/audit").json()["entries"][0]
    assert (latest["operator"].split()[0], latest["action"], latest["target"]) == ("token:admin", "export", "visits/csv")
    assert email.partition("@")[0] in latest["detail"]
    assert operator.get("/admin/visits.csv", params={"visitor": "a\0b"}).status_code == 422


def test_a_row_is_a_visit(site: Site) -> None:
    """Times are ISO 8601 in UTC, spans are whole milliseconds that nest, and the end has its reason."""
    email = site.name()
    stayed(site, email)
    (row,) = rows(site, visitor=email)
    assert list(row) == COLUMNS
    assert (row["visitor"], row["ended_by"]) == (email, "signed_out")
    assert INSTANT.fullmatch(row["started_at"])
    assert INSTANT.fullmatch(row["ended_at"])
    assert int(row["open_ms"]) >= int(row["visible_ms"]) >= int(row["active_ms"]) >= 0


def test_only_one_visitors_rows(site: Site) -> None:
    """A filter gives that visitor's rows and no others; one who was never here has none."""
    one, other = site.name(), site.name()
    stayed(site, one)
    stayed(site, other)
    stayed(site, one)
    assert [row["visitor"] for row in rows(site, visitor=one)] == [one, one]
    assert rows(site, visitor="nobody@fund.example") == []


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "=cmd|'/C_calc'!A0", "-2+3", "=HYPERLINK"])
def test_formula_cells_are_harmless(site: Site, start: str) -> None:
    """An address that a spreadsheet would take for a formula is written as text."""
    email = f"{start}{site.name()}"
    stayed(site, email)
    cells = [row["visitor"] for row in rows(site) if row["visitor"].endswith(email)]
    assert cells == [f"'{email}"]
