"""The dashboard's questions over HTTP, on the running program: shapes, filters, cursors, files; and the same rows as from Python."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow.parquet  # type: ignore[import-untyped]  # it has no types
import pytest

from stillhere.archive.export import BUCKETS, DURATIONS, FORMS, PAGES, SIMULTANEOUS, TOTALS, VIEWS, VISITORS, VISITS, Table
from stillhere.archive.filters import read_filter
from stillhere.archive.records import VisitFilter
from stillhere.server.querying.asking import TABLES
from stillhere.stores import open_store
from tests.forked import command_line

if TYPE_CHECKING:
    import httpx2

    from stillhere.archive.archive import Archive
    from stillhere.archive.filters import Chosen
    from tests.server.site import Site

API = "/admin/api/"

LISTS = ("visits", "visitors", "pages", "buckets", "durations", "simultaneous", "totals")
EXPORTS = tuple(f"export/{name}.jsonl" for name in TABLES)


def stay(site: Site, email: str, *pages: str) -> None:
    """Pass the gate, look at pages, sign out."""
    visitor = site.enter(email)
    for n, page in enumerate(pages):
        visitor.post("/session/beat", json={"view": f"v{n}", "page": page, "title": f"T{n}", "visibleMs": 1, "lifecycle": "active"})
    visitor.post("/session/end")


def ask(browser: httpx2.Client, path: str, **words: str) -> Any:
    """Ask a question and read the answer."""
    answer = browser.get(f"{API}{path}", params=words)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "private, no-store"
    return answer.json()


def test_every_question_has_its_shape(site: Site) -> None:
    """Names and kinds are those that were promised, for a visitor with two pages."""
    email = site.name()
    stay(site, email, "/a", "/b")
    browser = site.viewer()
    (visit,) = ask(browser, "visits", visitor=email)["visits"]
    assert {"id", "startedAt", "endedAt", "openMs", "visibleMs", "views", "endedBy", "here", "verified", "internal", "excluded"} <= set(
        visit
    )
    assert (visit["views"], visit["here"], visit["excluded"]) == (2, False, False)
    shown = ask(browser, f"visits/{visit['id']}")
    assert [(view["page"], view["heat"], view["bands"]) for view in shown["views"]] == [("/a", None, None), ("/b", None, None)]
    (person,) = ask(browser, "visitors", visitor=email)["visitors"]
    assert (person["visits"], person["totalMinutes"], set(person) >= {"medianVisibleMs", "firstAt", "lastAt"}) == (1, 0, True)
    pages = ask(browser, "pages", visitor=email)["pages"]
    assert {page["page"] for page in pages} == {"/a", "/b"}
    assert set(pages[0]["visible"]) == set(pages[0]["active"]) == {"q1", "median", "q3", "sum"}
    assert set(pages[0]["scroll"]) == {"q1", "median", "q3"}
    assert pages[0]["heat"] is None
    buckets = ask(browser, "buckets", visitor=email, unit="hour", zone="Europe/Berlin")
    assert (buckets["zone"], buckets["unit"], sum(one["visits"] for one in buckets["buckets"])) == ("Europe/Berlin", "hour", 1)
    bins = ask(browser, "durations", visitor=email)["bins"]
    assert (bins[0], bins[-1]["toMs"]) == ({"fromMs": 0, "toMs": 10_000, "visits": 1}, None)
    crowd = ask(browser, "simultaneous", visitor=email)
    assert (crowd["peak"]["visitors"], crowd["points"][-1]["visitors"]) == (1, 0)
    totals = ask(browser, "totals", visitor=email)
    assert (totals["visits"], totals["visitors"], set(totals["visible"])) == (1, 1, {"q1", "median", "q3"})
    assert ask(browser, "simultaneous", visitor="nobody") == {"points": [], "peak": None}


def test_lists_go_on_where_they_stopped(site: Site) -> None:
    """Visits, visitors and pages in pages of one are those of one long page, in the same order."""
    stay(site, site.name(), "/x1", "/x2")
    stay(site, site.name(), "/x1")
    browser = site.operator()
    for path in ("visits", "visitors", "pages"):
        whole = ask(browser, path, limit="200", page="/x1" if path != "pages" else "")[path]
        found: list[Any] = []
        following: str | None = ""
        while following is not None and len(found) <= len(whole):
            body = ask(browser, path, limit="1", before=following, page="/x1" if path != "pages" else "")
            found += body[path]
            following = body["next"]
        assert found == whole


def test_a_cursor_is_of_one_list(site: Site) -> None:
    """Of another list, or of the same in another order, it is refused: a program does not take an empty answer for the end."""
    for page in ("/x1", "/x2"):
        stay(site, site.name(), page)
    browser = site.viewer()
    words = [("visits", ""), ("visitors", "last"), ("visitors", "visible"), ("visitors", "visits"), ("pages", "")]
    lists = [(path, {"sort": sort} if sort else {}) for path, sort in words]
    for path, asked in lists:
        following = ask(browser, path, limit="1", **asked)["next"]
        for other, also in lists:
            answer = browser.get(f"{API}{other}", params={"before": following, **also})
            field = answer.json().get("field")
            assert (answer.status_code, field) == ((200, None) if (other, also) == (path, asked) else (422, "before"))


def test_what_is_no_question_is_a_problem(site: Site) -> None:
    """Programs ask below the API, and are answered as programs: 404 and 405 are problems, not pages."""
    for method, path, status in (("GET", "nope", 404), ("GET", "visits/h.1/nope", 404), ("POST", "visits", 405)):
        answer = site.operator().request(method, f"{API}{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "words", "field"),
    [
        ("visits", {"limit": "201"}, "limit"),
        ("visits", {"before": "x"}, "before"),
        ("visitors", {"before": "1.h.1"}, "before"),
        ("visitors", {"sort": "name"}, "sort"),
        ("pages", {"before": "1.%%%"}, "before"),
        ("buckets", {"unit": "year"}, "unit"),
        ("buckets", {"unit": "hour", "from": "1970-01-01", "to": "2026-01-01"}, "unit"),
        ("totals", {"from": "yesterday"}, "from"),
        ("totals", {"zone": "Nowhere"}, "zone"),
        ("durations", {"ended": "bored"}, "ended"),
        ("simultaneous", {"min": "3"}, "min"),
        ("export/visits.csv", {"with": "all"}, "with"),
        ("subjects/export", {}, "subject"),
        ("totals", {"min": "10m", "max": "5m"}, "max"),
        ("totals", {"to": "20261127"}, "to"),
        ("export/buckets.csv", {"unit": "hour", "from": "1970-01-01", "to": "2026-01-01"}, "unit"),
        *((path, {"vistor": "a@fund.example"}, "vistor") for path in (*LISTS, *EXPORTS, "audit", "subjects/export", "../visits.csv")),
        *((path, {word: "1"}, word) for path in (*LISTS[3:], *EXPORTS) for word in ("limit", "before")),
        *((path, {"sort": "last"}, "sort") for path in ("visits", "pages", "export/visits.csv")),
        *((path, {"unit": "day"}, "unit") for path in ("visits", "totals", "export/visitors.csv")),
    ],
)
def test_what_cannot_be_read_is_named(site: Site, path: str, words: dict[str, str], field: str) -> None:
    """422, and the name of the word at fault: who misspells a filter is not told of everybody."""
    answer = site.operator().get(f"{API}{path}", params=words)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("visits/h.1/exclude", b"", "$"),
        ("visits/h.1/exclude", b'{"excluded":"yes"}', "excluded"),
        ("visits/h.1/exclude", b"{}", "excluded"),
        ("subjects/erase", b'{"subject":""}', "subject"),
        ("subjects/erase", b'{"subject":"a\\u0000b"}', "subject"),
        ("subjects/erase", b'{"more":' + b"[" * 16_000, "$"),
    ],
)
def test_a_body_that_cannot_be_read_is_named(site: Site, path: str, body: bytes, field: str) -> None:
    """As for what is asked, so for what is done; nothing was done."""
    answer = site.operator().post(f"{API}{path}", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_only_operators_change_anything(site: Site) -> None:
    """A viewer excludes and erases nobody, and does not take a person's data along; without a sign-in nothing is told at all."""
    email = site.name()
    stay(site, email, "/a")
    viewer = site.viewer()
    (visit,) = ask(viewer, "visits", visitor=email)["visits"]
    for path, body in ((f"visits/{visit['id']}/exclude", {"excluded": True}), ("subjects/erase", {"subject": email})):
        assert viewer.post(f"{API}{path}", json=body).status_code == 403
        assert site.visitor().post(f"{API}{path}", json=body).status_code == 401
    assert viewer.get(f"{API}subjects/export", params={"subject": email}).status_code == 403
    for path in ("visitors", "pages", "buckets", "durations", "simultaneous", "totals", "export/visits.csv"):
        assert site.visitor().get(f"{API}{path}").status_code == 401
    assert ask(viewer, "totals", visitor=email)["visits"] == 1


def test_an_excluded_visit_is_counted_nowhere_and_comes_back(site: Site) -> None:
    """Totals, lists and files leave it out; with `with=excluded` it is there; taken back it counts again."""
    email = site.name()
    stay(site, email, "/a")
    operator = site.operator()
    (visit,) = ask(operator, "visits", visitor=email)["visits"]
    done = operator.post(f"{API}visits/{visit['id']}/exclude", json={"excluded": True})
    assert (done.status_code, done.json()) == (200, {"excluded": True})
    assert ask(operator, "totals", visitor=email)["visits"] == 0
    assert len(operator.get(f"{API}export/visits.csv", params={"visitor": email}).text.splitlines()) == 1
    assert [one["excluded"] for one in ask(operator, "visits", visitor=email, **{"with": "excluded"})["visits"]] == [True]
    operator.post(f"{API}visits/{visit['id']}/exclude", json={"excluded": False})
    assert ask(operator, "totals", visitor=email)["visits"] == 1
    assert operator.post(f"{API}visits/nobody.1/exclude", json={"excluded": True}).status_code == 404


def test_a_person_is_exported_and_erased(site: Site) -> None:
    """All that is kept is told, without any secret's hash; erased, nothing is left and their session is over."""
    email = site.name()
    visitor = site.enter(email)
    visitor.post("/session/beat", json={"view": "v", "page": "/a", "visibleMs": 1, "lifecycle": "active"})
    operator = site.operator()
    told = operator.get(f"{API}subjects/export", params={"subject": email})
    assert told.headers["content-disposition"] == 'attachment; filename="person.json"'
    body = told.json()
    assert (body["subject"], len(body["sessions"]), len(body["visits"]), body["views"][0]["page"]) == (email, 1, 1, "/a")
    assert "hash" not in told.text
    erased = operator.post(f"{API}subjects/erase", json={"subject": email})
    assert erased.json() == {"sessions": 1, "visits": 1, "views": 1}
    assert visitor.get("/session").status_code == 401
    assert ask(operator, "visits", visitor=email, **{"with": "internal,excluded"})["visits"] == []
    assert operator.get(f"{API}subjects/export", params={"subject": email}).json()["sessions"] == []


PERIOD = {"from": "2020-01-01", "to": "2030-12-31", "zone": "Europe/Berlin"}
WHEN = {"beat_interval": 180_000, "now": 2**42}


async def rows_of(archive: Archive, wanted: VisitFilter, chosen: Chosen) -> list[tuple[Table[Any], list[Any]]]:
    """Ask the archive in Python for every table."""
    return [
        (VISITS, [visit async for visit in archive.all_visits(wanted, **WHEN)]),
        (VIEWS, [found async for found in archive.all_views(wanted, **WHEN)]),
        (VISITORS, list(await archive.visitors(wanted, sort="last", **WHEN))),
        (PAGES, list(await archive.pages(wanted, **WHEN))),
        (BUCKETS, list(await archive.buckets(chosen.wanted, "month", chosen.zone, **WHEN))),
        (DURATIONS, list(await archive.durations(wanted, **WHEN))),
        (SIMULTANEOUS, list((await archive.simultaneous(wanted, **WHEN)).points)),
        (TOTALS, [await archive.totals(wanted, **WHEN)]),
    ]


async def test_python_http_files_and_the_command_line_tell_the_same_rows(site: Site) -> None:
    """Each table in each form, from the API, the archive in Python and the command line: one and the same rows in the same order."""
    email = site.name()
    for pages in (("/a", "/b"), ("/a",), ()):
        stay(site, email, *pages)
    browser = site.operator()
    store, archive = open_store(site.store)
    tables = await rows_of(archive, VisitFilter(visitor=email), read_filter({"visitor": email, **PERIOD}))
    await store.close()
    assert {table.name: table for table, _ in tables} == TABLES
    for table, found in tables:
        told = [table.written(row) for row in found]
        asked = {"visitor": email, **(PERIOD | {"unit": "month"} if table is BUCKETS else {})}
        files = {form: browser.get(f"{API}export/{table.name}.{form}", params=asked) for form in FORMS}
        assert [msgspec.json.decode(line) for line in files["jsonl"].text.splitlines()] == told
        cells = list(csv.DictReader(io.StringIO(files["csv"].text, newline="")))
        assert [list(row.values()) for row in cells] == [[_cell(cell) for cell in row.values()] for row in told]
        parquet = pyarrow.parquet.read_table(io.BytesIO(files["parquet"].content))
        assert parquet.column_names == list(table.columns)
        assert [tuple(_plain(cell) for cell in row.values()) for row in parquet.to_pylist()] == [table.cells(row) for row in found]
        assert files["parquet"].headers["content-disposition"] == f'attachment; filename="{table.name}.parquet"'
        assert files["csv"].headers["stillhere-rows"] == str(len(found))
        flags = [part for word, said in asked.items() for part in (f"--{word}", said)]
        for form, read in (("csv", str.splitlines), ("json", lambda text, name=table.name: msgspec.json.decode(text)[name])):
            shown = command_line(table.name, *flags, "--store", site.store, f"--{form}", environment={"PATH": "/usr/bin:/bin"})
            assert read(shown.stdout) == (files["csv"].text.splitlines() if form == "csv" else told)
    listed = {table.name: found for table, found in tables}
    assert numbers(browser, email) == [
        [(row.id, row.visible_ms, row.ended_by) for row in listed["visits"]],
        [(row.visitor, row.visits, row.open_ms, row.median_visible_ms) for row in listed["visitors"]],
        [(row.page, row.views, row.visible.q1, row.visible.median, row.visible.q3) for row in listed["pages"]],
        [list(BUCKETS.written(row).values()) for row in listed["buckets"]],
        [DURATIONS.cells(row) for row in listed["durations"]],
        [tuple(SIMULTANEOUS.written(row).values()) for row in listed["simultaneous"]],
        [(row.visits, row.visitors, row.open_ms, row.visible_ms, row.active_ms, row.visible.median) for row in listed["totals"]],
    ]


def numbers(browser: httpx2.Client, email: str) -> list[Any]:
    """Ask the API for the same."""
    totals = ask(browser, "totals", visitor=email)
    spread = [(row["page"], row["views"], row["visible"]) for row in ask(browser, "pages", visitor=email)["pages"]]
    return [
        [(row["id"], row["visibleMs"], row["endedBy"]) for row in ask(browser, "visits", visitor=email)["visits"]],
        [
            (row["visitor"], row["visits"], row["openMs"], row["medianVisibleMs"])
            for row in ask(browser, "visitors", visitor=email)["visitors"]
        ],
        [(page, views, visible["q1"], visible["median"], visible["q3"]) for page, views, visible in spread],
        [list(row.values()) for row in ask(browser, "buckets", visitor=email, unit="month", **PERIOD)["buckets"]],
        [(row["fromMs"], row["toMs"], row["visits"]) for row in ask(browser, "durations", visitor=email)["bins"]],
        [(row["at"], row["visitors"]) for row in ask(browser, "simultaneous", visitor=email)["points"]],
        [
            (totals["visits"], totals["visitors"], totals["openMs"], totals["visibleMs"], totals["activeMs"], totals["visible"]["median"]),
        ],
    ]


def _cell(cell: object) -> str:
    return "" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell)


def _plain(cell: Any) -> object:
    return round(cell.timestamp() * 1000) if hasattr(cell, "timestamp") else cell


def test_there_is_no_other_file(site: Site) -> None:
    """What is no table or no form is 404, and says what there is."""
    for path in ("sessions.csv", "visits.xlsx"):
        answer = site.operator().get(f"{API}export/{path}")
        assert (answer.status_code, "visits.parquet" in answer.json()["detail"]) == (404, True)
