"""What the dashboard says is what the API says: charts, visits page by page, exports, and what is not counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e.board import Board, boards, now_ms, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READERS: Final = ("reader@studio.example", "counsel@law.example", "investor@fund.example")

COUNT: Final = 60

MINUS: Final = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """Start the program with sixty visits of eleven months, and sign in."""
    with boards(tmp_path_factory.mktemp("numbers")) as start:
        board: Board = start("numbers", rows(COUNT, until_at=now_ms() - 3_600_000, names=READERS))
        board.dress("desk", "light")
        board.sign_in()
        yield board
        assert board.complaints() == []


def test_charts_are_pictures_and_tables(board: Board) -> None:
    """Each chart is drawn under the strict policy, says in words what it shows, and has the API's numbers as a table."""
    today = datetime.now(UTC).date()
    period = f"from={today - timedelta(days=330)}&to={today}&zone=UTC"
    board.open(f"/admin/time?unit=month&{period}")
    board.browser.wait(lambda: board.browser.js("return document.querySelectorAll('.chart svg[role=img]').length") == 3, "three charts")
    labels = board.browser.js("return [...document.querySelectorAll('.chart svg')].map(svg => svg.getAttribute('aria-label'))")
    assert all(len(label) > len("Visitors at the same time.") for label in labels)
    assert board.browser.js("return document.querySelectorAll('.chart svg style').length") == 0
    board.browser.js("for (const table of document.querySelectorAll('.chart .as-table')) table.open = true")
    cells = (
        "return [...document.querySelectorAll('.chart')].map("
        "chart => [...chart.querySelectorAll('tbody tr')].map(row => Number(row.children[1].textContent)))"
    )
    told = [
        [bucket["visits"] for bucket in board.ask(f"buckets?unit=month&{period}")["buckets"]],
        [bin_["visits"] for bin_ in board.ask(f"durations?{period}")["bins"]],
        [point["visitors"] for point in board.ask(f"simultaneous?{period}")["points"]],
    ]
    assert all(sum(numbers) for numbers in told)
    board.browser.wait(lambda: board.browser.js(cells) == told, "the tables of the charts")


@pytest.mark.parametrize("length", [22, 25, 30])
def test_a_period_is_compared_with_the_one_before(board: Board, length: int) -> None:
    """The numbers of the period stand beside how much they changed, and both are the API's."""
    today = datetime.now(UTC).date()
    earliest, middle, last = (today - timedelta(days=days) for days in (60 + 2 * length, 60 + length, 60))
    period, before_it = (f"from={begin}&to={end - timedelta(days=1)}&zone=UTC" for begin, end in ((middle, last), (earliest, middle)))
    board.open(f"/admin/time?{period}")
    now, before = (board.ask(f"totals?{one}")["visits"] for one in (period, before_it))
    shown = board.browser.js("return document.querySelector('.figures dd').textContent")
    more = now - before
    per_cent = f" ({'+' if more > 0 else MINUS}{round(100 * abs(more) / before)} %)"
    assert shown.replace("\xa0", " ") == f"{now}" + (f"{'+' if more > 0 else MINUS}{abs(more)}{per_cent}" if more else "as before")
    assert f"the period before, {earliest:%b} {earliest.day}" in board.text()


def test_a_visit_page_by_page(board: Board) -> None:
    """A visit shows who, each view in order with its bands, where it was read, and the same as a table."""
    board.open("/admin/visits/bulk000000000003.1")
    told = board.ask("visits/bulk000000000003.1")
    assert told["visit"]["visitor"] in board.text()
    assert told["visit"].get("told", "") in board.text()
    assert board.browser.js("return [...document.querySelectorAll('.track .band')].map(band => band.className)") == [
        "band active",
        "band idle",
        "band hidden",
    ]
    assert board.browser.js("return document.querySelectorAll('.track-row .silhouette span').length") == 20
    assert board.browser.js("return document.querySelectorAll('.view .numbers-table tbody tr').length") == 3


def test_from_a_visitor_to_a_page_to_a_visit(board: Board) -> None:
    """Names and pages are links between the views, and keep what is filtered."""
    board.open("/admin/visitors?zone=Asia/Kolkata")
    board.follow(".visitors-table a[href*='reader']")
    assert board.browser.path == "/admin/visitors/reader%40studio.example?zone=Asia%2FKolkata"
    total = board.ask("totals?visitor=reader%40studio.example")
    assert board.browser.js("return document.querySelector('.figures dd').textContent") == str(total["visits"])
    board.browser.wait(lambda: board.browser.js("return !!document.querySelector('.chart svg')"), "the chart of pages")
    board.follow(".visits-table tbody a")
    board.follow(".track-head a")
    assert board.browser.path.startswith("/admin/pages?page=")
    assert board.browser.js("return !!document.querySelector('.silhouette.large')")


def test_a_visit_that_is_not_counted(board: Board) -> None:
    """An operator takes a visit out of all numbers and puts it back; the list shows it only when asked."""
    everything = board.ask("totals")["visits"]
    board.open("/admin/visits/bulk000000000005.1")
    button = "[...document.querySelectorAll('.view-head button')].find(button => /count it/i.test(button.textContent)).click()"
    board.browser.js(button)
    board.wait_for("not counted")
    assert board.ask("totals")["visits"] == everything - 1
    done = [(entry["action"], entry["target"]) for entry in board.ask("audit")["entries"]]
    assert done[0] == ("exclude", "bulk000000000005.1")
    assert board.ask("totals?with=excluded")["visits"] == everything
    board.open("/admin/visits?with=excluded")
    assert board.browser.js("return document.querySelectorAll('tr.excluded').length") == 1
    board.open("/admin/visits/bulk000000000005.1")
    board.browser.js(button)
    board.browser.wait(lambda: "not counted" not in board.text(), "the visit to be counted again")
    assert board.ask("totals")["visits"] == everything


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_what_is_filtered_is_exported(board: Board, kind: str, tmp_path: Path) -> None:
    """The file has as many rows as the filter has visits, and the dialog says so."""
    board.browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    board.open("/admin/visits?visitor=counsel%40law.example")
    wanted = board.ask("totals?visitor=counsel%40law.example")["visits"]
    board.ask_to_export(kind)
    board.browser.find("#export-go").click()
    said = f"visits.{kind} is saved with {wanted} rows."
    board.browser.wait(lambda: board.browser.find("#export-said").text.replace("\xa0", " ") == said, said)
    board.browser.find("#export-close").click()
    file = tmp_path / f"visits.{kind}"
    board.browser.wait(file.exists, "the file")
    content = file.read_bytes()
    if kind == "csv":
        assert content.count(b"\n") == wanted + 1
    elif kind == "jsonl":
        assert [json.loads(line)["visitor"] for line in content.splitlines()] == ["counsel@law.example"] * wanted
    else:
        assert content.startswith(b"PAR1")
