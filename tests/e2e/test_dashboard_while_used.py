"""The dashboard while somebody uses it: what has the focus keeps it, what is shown goes on, and paper says what it shows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e.board import Board, now_ms, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.board import Boards


FOCUSED: Final = "return document.activeElement === window.held"

NUMBERS: Final = "return [...document.querySelectorAll('.figures dd, .pages-table td.right')].map(cell => cell.textContent).join()"

FIGURE: Final = "return document.querySelector('.figures dd').textContent"

PAPER: Final = {"width": 718, "height": 1015, "deviceScaleFactor": 1, "mobile": False}
"""What margins leave of A4, in CSS pixels."""


@pytest.fixture
def board(start_board: Boards) -> Iterator[Board]:
    """Give a board with a few visits of the last hours, signed in as an operator, on a desk in the light."""
    few = start_board("used", rows(12, until_at=now_ms(), names=("reader@studio.example",)))
    few.dress("desk", "light")
    few.sign_in()
    yield few
    assert few.complaints() == []


def hold(board: Board, selector: str) -> None:
    """Give something the focus, and remember which that was."""
    board.browser.js("window.held = document.querySelector(arguments[0]); window.held.focus()", selector)
    assert board.browser.js(FOCUSED)


def is_shown(board: Board, selector: str) -> bool:
    """Tell whether something has a place on the page."""
    return bool(board.browser.js("return document.querySelector(arguments[0]).getClientRects().length > 0", selector))


def test_focus_stays_while_the_numbers_change(board: Board) -> None:
    """Who reads a definition on “Here now” still reads it when somebody arrives."""
    board.open("/admin")
    hold(board, ".figures .term")
    before = board.browser.js(FIGURE)
    board.arrive("arriving@fund.example")
    board.browser.wait(lambda: board.browser.js(FIGURE) != before, "one more")
    assert board.browser.js(FOCUSED)
    assert is_shown(board, "#tip")


@pytest.mark.parametrize("path", ["/admin/time", "/admin/pages"])
def test_what_is_added_up_follows(board: Board, path: str) -> None:
    """Time and Pages show by themselves what happened; focus, an open table and the place on the page stay."""
    board.open(path)
    board.browser.wait(lambda: board.browser.js("return !!document.querySelector('.chart svg')"), "a chart")
    board.browser.js("document.querySelector('.chart .as-table').open = true")
    board.browser.wait(lambda: is_shown(board, ".chart .numbers-table"), "its table")
    hold(board, ".chart .scroll")
    board.browser.js("scrollTo(0, 60)")
    before = board.browser.js(NUMBERS)
    board.arrive(f"counted{len(path)}@fund.example", page="/", title="The data room", visibleMs=4_000)
    board.browser.wait(lambda: board.browser.js(NUMBERS) != before, "the numbers to follow")
    assert board.browser.js(FOCUSED)
    assert is_shown(board, ".chart .numbers-table")
    assert board.browser.js("return scrollY") == 60


def test_a_visit_grows_while_it_is_looked_at(board: Board) -> None:
    """Whoever came to it by a click sees it grow like anybody else."""
    board.arrive("growing@fund.example")
    board.open("/admin/visits?visitor=growing%40fund.example")
    board.follow(".visits-table .when a")
    assert board.browser.js("return document.activeElement.tagName") == "H1"
    drawn = "return document.querySelector('.track .band').style.width"
    for _ in range(2):  # the first time may be for news of the visit, the second is for time that has passed
        before = board.browser.js(drawn)
        board.browser.wait(lambda before=before: board.browser.js(drawn) != before, "it to have gone on for longer")
    assert board.browser.js("return document.activeElement.tagName") == "H1"


def test_focus_goes_on_when_a_chip_is_taken_away(board: Board) -> None:
    """It goes to the chip that takes its place, and after the last one to where there could be more."""
    board.open("/admin/visits?min=1s&max=5h&verified=false")
    words = "return document.activeElement.textContent"
    for pressed, then in ((1, "Verified false"), (1, "At least 1s"), (0, "Filter")):
        board.browser.js("const chip = document.querySelectorAll('#chips button')[arguments[0]]; chip.focus(); chip.click()", pressed)
        board.wait_until_shown()
        assert board.browser.js(words) == then


def test_what_cannot_be_reached_is_not_live(board: Board) -> None:
    """While a notice says so, the chip says so, too, though the stream goes on; both go when it is over."""
    cdp = board.browser.driver.execute_cdp_cmd
    live = "return document.body.dataset.live"
    board.open("/admin")
    board.browser.wait(lambda: board.browser.js(live) == "live", "the stream")
    cdp("Network.enable", {})
    cdp("Network.setBlockedURLs", {"urls": ["*/admin/api/audit*"]})
    try:
        board.browser.js("document.querySelector('[data-place=audit]').click()")
        board.browser.wait(lambda: is_shown(board, "#trouble"), "the notice")
        assert "can’t be reached" in board.browser.find("#trouble").text  # noqa: RUF001  # the dashboard's apostrophe
        assert board.browser.js(live) == "trouble"
    finally:
        cdp("Network.setBlockedURLs", {"urls": []})
    board.browser.wait(lambda: board.browser.js(live) == "live", "the chip to be live again")
    assert not is_shown(board, "#trouble")


@pytest.mark.parametrize("width", [1280, 1000])
def test_the_zone_stands_beside_the_title(board: Board, width: int) -> None:
    """Whatever notice stands above, the choice of zone and the view's own buttons are in one line, and nothing covers them."""
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    board.browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    middle = (
        "const box = document.querySelector(arguments[0]).getBoundingClientRect(); return [box.top + box.height / 2, box.left, box.right]"
    )
    for path in ("/admin", "/admin?limit=3"):
        board.open(path)
        button, _, button_ends = board.browser.js(middle, ".view-head .button")
        zone, zone_begins, _ = board.browser.js(middle, "#filter-zone")
        assert abs(button - zone) < 4, path
        assert button_ends <= zone_begins
        title, _, _ = board.browser.js(middle, "h1")
        assert abs(title - zone) < 16, path


def test_a_sign_in_has_no_empty_label_on_a_phone(board: Board) -> None:
    """What the audit log does not tell of an entry takes no place on its card."""
    board.dress("phone", "light")
    board.open("/admin/audit")
    empty = board.browser.js("return [...document.querySelectorAll('.audit-table td:empty')].map(cell => cell.getClientRects().length)")
    assert empty
    assert set(empty) == {0}


def test_paper_says_what_it_shows(board: Board) -> None:
    """A print names its period, what narrows it, its zone and when it was made; tables are tables, and charts leave no gap."""
    today = datetime.now(UTC).date()
    board.open(f"/admin/time?from={today - timedelta(days=330)}&to={today}&min=1s&zone=Asia/Kolkata")
    board.browser.wait(lambda: board.browser.js("return document.querySelectorAll('.chart svg').length") == 3, "the charts")
    assert not is_shown(board, "#printed")
    cdp = board.browser.driver.execute_cdp_cmd
    assert len(cdp("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})["data"]) > 1_000
    said = board.browser.js("return document.getElementById('printed').textContent")
    day = r"\w{3} \d{1,2}(, \d{4})?"
    assert re.match(rf"{day} to {day}, days of Asia/Kolkata; at least 1s\. Printed ", said)
    cdp("Emulation.setDeviceMetricsOverride", PAPER)
    cdp("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert is_shown(board, "#printed")
        gaps = "return [...document.querySelectorAll('.canvas')].map(canvas => canvas.clientHeight - canvas.firstElementChild.clientHeight)"
        board.browser.wait(lambda: max(board.browser.js(gaps)) <= 1, "pictures as high as their place")
        board.open("/admin/visits")
        assert is_shown(board, ".visits-table thead")
        assert not is_shown(board, "#filters")
        assert board.overhang() <= 0
    finally:
        cdp("Emulation.setEmulatedMedia", {"media": ""})


def test_nobody_of_a_name(board: Board) -> None:
    """A visitor whom nobody knows is no matter of the filter, unless there is one."""
    board.open("/admin/visitors/nobody%40fund.example")
    assert "Nobody of this name was here." in board.text()
    assert "filter" not in board.text()
    board.open("/admin/visitors/nobody%40fund.example?from=2026-01-01&min=1s")
    assert "Take a longer period, or clear the filter." in board.text()
