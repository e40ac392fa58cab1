"""What people see on the dashboard is what the API tells: who is here, the wall, bars, quartiles, heat; and what stands there meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from tests.e2e.board import Board, now_ms, rows
from tests.support import BUSY_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.board import Boards

READERS: Final = ("reader@studio.example", "counsel@law.example", "investor@fund.example")

HERE: Final = 20

WALL_ROWS: Final = 14

OFTEN: Final = 10_000

MOMENT_MS: Final = int(1_000 * BUSY_S) + 4_000
"""What may pass between two questions."""

MOST_TABS: Final = 120

FORMAT: Final = """
const place = new URL('../format.js', document.querySelector('script[type=module]').src)
return import(place).then(format => arguments[1].map(value => format[arguments[0]](value)))
"""


@pytest.fixture
def board(start_board: Boards) -> Iterator[Board]:
    """Give a board with a few visits of eleven months, signed in as an operator, on a desk in the light."""
    few = start_board("shown", rows(60, until_at=now_ms() - 3_600_000, names=READERS))
    few.dress("desk", "light")
    few.sign_in()
    yield few
    assert few.complaints() == []


def written(board: Board, how: str, *values: float | None) -> list[str]:
    """Write values as the dashboard writes them."""
    return list(board.browser.js(FORMAT, how, list(values)))


def test_a_line_of_who_is_here_moves(board: Board) -> None:
    """A live dot, and for how long the page is visible, and the last action was, second by second; who left has no live dot any more."""
    visitor = board.arrive("watched@fund.example", idleMs=5_000)
    board.open("/admin")
    first = board.line_of("watched@fund.example")
    assert first["dot"] == "dot live"
    assert "Firefox" in first["words"]
    board.browser.wait(lambda: board.line_of("watched@fund.example")["visible"] != first["visible"], "another second on screen")
    board.browser.wait(lambda: board.line_of("watched@fund.example")["last"] != first["last"], "another second without action")
    (here,) = (one for one in board.ask("now")["here"] if one["visitor"] == "watched@fund.example")
    shown = board.line_of("watched@fund.example")
    near = written(board, "ago", *range(here["lastActiveMs"] - 3_000, here["lastActiveMs"] + MOMENT_MS, 500))
    assert shown["last"] in near
    near = written(board, "duration", *range(here["visibleMs"], here["visibleMs"] + here["lastSeenMs"] + MOMENT_MS, 500))
    assert shown["visible"] in near
    board.beat(visitor, kind="leave", seq=2, lifecycle="hidden", visibleMs=2_000)
    board.browser.wait(lambda: "just left" in board.line_of("watched@fund.example")["words"], "that they left")
    assert board.line_of("watched@fund.example")["dot"] == "dot off"


def test_a_badge_goes_with_its_visitor(board: Board) -> None:
    """Who comes is in the list of visits, “still here”, and when they left that is gone, by itself; each visit has a bar of its parts."""
    board.open("/admin/visits?visitor=badge%40fund.example")
    badges = "return document.querySelectorAll('.visits-table .badge.good').length"
    assert board.browser.js(badges) == 0
    visitor = board.arrive("badge@fund.example")
    board.browser.wait(lambda: board.browser.js(badges) == 1, "the visit")
    assert "still here" in board.text()
    board.beat(visitor, kind="leave", seq=2, lifecycle="hidden", visibleMs=50)
    board.browser.wait(lambda: board.browser.js(badges) == 0, "the badge to go")
    board.open("/admin/visits?visitor=counsel%40law.example")
    visits = board.ask("visits?visitor=counsel%40law.example&limit=50")["visits"]
    bars = board.browser.js(
        "return [...document.querySelectorAll('.visits-table .bar')].map(bar => [bar.getAttribute('aria-label'), "
        "...[...bar.children].map(part => part.getBoundingClientRect().width / bar.getBoundingClientRect().width)])"
    )
    assert len(bars) == len(visits) == 20
    for visit, (words, visible, active) in zip(visits, bars, strict=True):
        spans = written(board, "duration", visit["openMs"], visit["visibleMs"], visit["activeMs"])
        assert words == "Open {}, visible {}, active {}".format(*spans)
        assert visible == pytest.approx(visit["visibleMs"] / visit["openMs"], abs=0.05)
        assert active == pytest.approx(visit["activeMs"] / visit["openMs"], abs=0.05)


def test_pages_show_quartiles_and_heat(board: Board) -> None:
    """Each page has its median over its middle half, and is darkest where it was read longest; both are the API's."""
    board.open("/admin/pages")
    pages = board.ask("pages")["pages"]
    shown = board.browser.js(
        "return [...document.querySelectorAll('.pages-table tbody tr')].map(row => [...row.cells].slice(1, 7).map(cell => "
        "[cell.firstChild.textContent, cell.querySelector('.sub')?.textContent ?? '']))"
    )
    assert len(shown) == len(pages) == 5
    for page, (views, visitors, visible, active, total, scroll) in zip(pages, shown, strict=True):
        assert (views[0], visitors[0]) == (str(page["views"]), str(page["visitors"]))
        for cell, spread, how in (
            (visible, page["visible"], "duration"),
            (active, page["active"], "duration"),
            (scroll, page["scroll"], "percent"),
        ):
            median, low, high = written(board, how, spread["median"], spread["q1"], spread["q3"])
            assert cell == [median, f"{low} \N{EN DASH} {high}"]
        assert total[0] == written(board, "duration", page["visible"]["sum"])[0]
    strips = board.browser.js(
        "return [...document.querySelectorAll('.pages-table .silhouette')].map(strip => "
        "[...strip.children].map(part => parseInt(part.style.getPropertyValue('--heat'))))"
    )
    for page, strip in zip(pages, strips, strict=True):
        most = max(page["heat"])
        assert strip == [pytest.approx(100 * (span / most) ** 0.5, abs=1) for span in page["heat"]]


def test_numbers_of_a_visitor(board: Board) -> None:
    """How often they were there, how long in all and as a rule, and every visit in the list; all are the API's."""
    board.open("/admin/visitors/counsel%40law.example")
    total = board.ask("totals?visitor=counsel%40law.example")
    figures = board.browser.js("return [...document.querySelectorAll('.figures dd')].map(cell => cell.textContent)")
    assert figures[0] == str(total["visits"])
    visible, median = written(board, "duration", total["visibleMs"], total["visible"]["median"])
    assert any(visible in figure for figure in figures)
    assert any(median in figure for figure in figures)
    assert board.browser.js("return document.querySelectorAll('.visits-table tbody tr').length") == total["visits"]


@pytest.fixture
def often(start_board: Boards) -> Iterator[Board]:
    """Give a board with ten thousand visits of one visitor, signed in as an operator, on a phone."""
    board = start_board("often", rows(OFTEN, until_at=now_ms() - 60_000, names=("often@fund.example",)))
    board.dress("phone", "light")
    board.sign_in()
    yield board
    assert board.complaints() == []


def test_a_visitor_with_ten_thousand_visits(often: Board) -> None:
    """All are counted in the visitor's numbers and in the list of visitors; fifty are shown, and fifty more when asked."""
    board = often
    board.open("/admin/visitors/often%40fund.example")
    assert board.browser.js("return document.querySelector('.figures dd').textContent") == written(board, "count", OFTEN)[0]
    assert [one["visits"] for one in board.ask("visitors")["visitors"]] == [OFTEN]
    shown = "return new Set([...document.querySelectorAll('.visits-table tbody a.strong')].map(link => link.pathname)).size"
    assert board.browser.js(shown) == 50
    board.browser.js("document.querySelector('.more button').click()")
    board.browser.wait(lambda: board.browser.js(shown) == 100, "fifty more")
    assert board.overhang() == 0


def test_earlier_visits_are_shown_whoever_comes_meanwhile(board: Board) -> None:
    """Somebody comes while the earlier ones are fetched: both are shown, the new one on top and none left out."""
    board.open("/admin/visits")
    board.browser.js(
        """const real = window.fetch, held = new Promise(resolve => { window.release = resolve })
        window.fetch = (where, ...more) => String(where).includes('before=') ? held.then(() => real(where, ...more)) : real(where, ...more)
        document.querySelector('.more button').click()"""
    )
    board.arrive("meanwhile@fund.example")
    shown = "return [...new Set([...document.querySelectorAll('.visits-table tbody tr')].map(row => row.textContent))]"
    board.browser.wait(lambda: "meanwhile@fund.example" in board.browser.js(shown)[0], "who came")
    board.browser.js("window.release()")
    board.browser.wait(lambda: len(board.browser.js(shown)) == board.ask("totals")["visits"], "all visits")
    assert "meanwhile@fund.example" in board.browser.js(shown)[0]


@pytest.mark.parametrize("what", ["visits", "views"])
def test_an_export_says_how_far_it_is(often: Board, what: str, tmp_path: Path) -> None:
    """On a slow line a bar and a count grow, of all rows there are; Stop saves nothing, and once more to the end saves all."""
    board, bar = often, "const bar = document.getElementById('export-bar'); return [bar.hidden, bar.value]"
    cdp = board.browser.driver.execute_cdp_cmd
    cdp("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    cdp("Network.enable", {})
    board.open("/admin/visits")
    board.ask_to_export(what)
    try:
        cdp("Network.emulateNetworkConditions", {"offline": False, "latency": 0, "downloadThroughput": 40_000, "uploadThroughput": -1})
        board.browser.find("#export-go").click()
        board.browser.wait(lambda: 0 < board.browser.js(bar)[1] < 1, "a part of it")
        part = board.browser.js(bar)[1]
        board.browser.wait(lambda: part < board.browser.js(bar)[1] < 1, "more of it")
        assert f" of {written(board, 'count', OFTEN)[0]}" in board.browser.js("return document.getElementById('export-said').textContent")
        assert board.axe() == []
        board.browser.find("#export-close").click()
        board.browser.wait(lambda: board.browser.js("return !document.getElementById('export').open"), "the dialog to close")
    finally:
        cdp("Network.emulateNetworkConditions", {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
    assert list(tmp_path.iterdir()) == []
    board.ask_to_export(what)
    board.browser.find("#export-go").click()
    file = tmp_path / f"{what}.csv"
    board.browser.wait(file.exists, "the file")
    board.browser.wait(lambda: file.read_bytes().count(b"\n") == OFTEN + 1, "all of it")
    board.browser.find("#export-close").click()


def test_the_wall(start_board: Boards) -> None:
    """Across a room: how many, who on which page, the latest on top and the rest counted; it moves, fills the screen and passes axe."""
    guests = [f"guest{number}@fund.example" for number in range(HERE)]
    board = start_board("wall", rows(HERE, until_at=now_ms(), here=HERE, names=guests))
    board.dress("desk", "dark")
    board.sign_in()
    visitor = board.arrive("latest@fund.example")
    board.open("/admin/wall")
    board.wait_for("latest@fund.example")
    count, clock = ("return document.querySelector('.wall-count').textContent", "return document.querySelector('.wall-clock').dateTime")
    board.browser.wait(lambda: board.browser.js(count) == str(board.ask("now")["totals"]["here"]), "the API's count")
    told = board.browser.js("return [...document.querySelectorAll('.wall-list li')].map(row => row.textContent)")
    assert len(told) == WALL_ROWS
    assert told[0].startswith("latest@fund.example")
    assert "Prospectus" in told[0]
    assert f"and {HERE + 1 - WALL_ROWS} more" in board.text()
    today = board.ask("now")["totals"]["visitsToday"]
    assert f"{today}\N{NO-BREAK SPACE}visit{'s' if today > 1 else ''} today" in board.text()
    before = board.browser.js(clock)
    board.browser.wait(lambda: board.browser.js(clock) != before, "the clock to go on")
    board.browser.wait(lambda: board.browser.js("return !!document.querySelector('.wall-chart svg')"), "the chart")
    assert board.axe() == []
    board.browser.js("window.stays = true")
    first = "return document.querySelector('.wall-list li:not(.away)').textContent"
    board.arrive("another@fund.example")
    board.browser.wait(lambda: board.browser.js(first).startswith("another@fund.example"), "who came on top")
    board.beat(visitor, kind="leave", seq=2, lifecycle="hidden", visibleMs=50)
    here = "return [...document.querySelectorAll('.wall-list li:not(.away)')].map(row => row.textContent).join()"
    board.browser.wait(lambda: "latest@fund.example" not in board.browser.js(here), "who left to make room")
    board.browser.wait(lambda: board.browser.js(count) == str(board.ask("now")["totals"]["here"]), "the API's count again")
    assert board.browser.js("return window.stays") is True
    board.browser.find(".wall-tools button").click()
    board.browser.wait(lambda: board.browser.js("return !!document.fullscreenElement"), "the full screen")
    board.browser.js("return document.exitFullscreen()")
    assert board.complaints() == []


def test_who_left_is_told_on_the_wall(board: Board) -> None:
    """Their name stays for a while, dimmed, with how long ago they left."""
    visitor = board.arrive("gone@fund.example")
    board.open("/admin/wall")
    board.wait_for("gone@fund.example")
    board.beat(visitor, kind="leave", seq=2, lifecycle="hidden", visibleMs=50)
    rows = "return [...document.querySelectorAll('.wall-list li.away')].map(row => row.textContent)"
    board.browser.wait(lambda: any("gone@" in row and "left " in row for row in board.browser.js(rows)), "that they left")


def test_who_is_here_passes_axe(board: Board) -> None:
    """With people on it, with dots, deadlines and buttons, in light and dark, and with a question open."""
    board.arrive("axe@fund.example")
    board.open("/admin")
    board.line_of("axe@fund.example")
    assert board.faults() == []
    board.browser.js("document.querySelector('[aria-label=\"End session of axe@fund.example\"]').click()")
    assert board.axe() == []
    board.browser.find("#confirm-no").click()


def test_the_door_passes_axe(board: Board) -> None:
    """Where one signs in, on a desk and a phone, in light and dark."""
    board.browser.driver.delete_all_cookies()
    board.browser.open("/admin/login")
    assert board.faults() == []


def tab_to(board: Board, wanted: str) -> None:
    """Press Tab until something has the focus; whatever has it meanwhile shows that, unless it is the browser's own."""
    focused = """const it = document.activeElement, how = getComputedStyle(it)
    const shows = it === document.body || how.outlineStyle !== 'none' || how.boxShadow !== 'none'
    return [it.id || it.getAttribute('aria-label') || it.tagName, shows]"""
    keys, been = ActionChains(board.browser.driver), list[str]()
    while wanted not in been:
        assert len(been) < MOST_TABS, been
        keys.send_keys(Keys.TAB).perform()
        name, is_seen = board.browser.js(focused)
        assert is_seen, f"{name} does not show that it has the focus, after {been}"
        been.append(name)


def test_a_session_is_ended_by_keys_alone(board: Board) -> None:
    """Tab leads to the button, and shows each time where one is; Enter asks, Tab and Enter say yes."""
    board.arrive("keys@fund.example")
    board.open("/admin")
    board.line_of("keys@fund.example")
    tab_to(board, "End session of keys@fund.example")
    ActionChains(board.browser.driver).send_keys(Keys.ENTER).perform()
    board.browser.wait(lambda: board.browser.js("return document.getElementById('confirm').open"), "the question")
    tab_to(board, "confirm-yes")
    ActionChains(board.browser.driver).send_keys(Keys.ENTER).perform()
    board.wait_for("session over, revoked")


def test_meanwhile_there_is_a_shape(board: Board) -> None:
    """While an answer is awaited, the new view stands there with lines in place of numbers, for a reader as busy; then they are gone."""
    board.open("/admin")
    hold = """const real = window.fetch, held = new Promise(resolve => { window.release = resolve })
    window.fetch = (...asked) => held.then(() => real(...asked))
    document.querySelector('#places a[href*="/admin/pages"]').click()"""
    board.browser.js(hold)
    shape = (
        "return [document.querySelector('#view').getAttribute('aria-busy'), document.querySelectorAll('#view .skeleton span').length > 0]"
    )
    board.browser.wait(lambda: board.browser.js(shape) == ["true", True], "the shape")
    board.browser.js("window.release()")
    board.browser.wait(lambda: board.browser.js(shape) == ["false", False], "the numbers")


def test_an_answer_that_cannot_be_read(board: Board) -> None:
    """A proxy's page instead of an answer is told in words, with a way to try again, which works."""
    hijack = """const real = window.fetch
    window.fetch = (where, ...more) => window.healed || !String(where).startsWith('/admin/api/visits') ? real(where, ...more)
        : Promise.resolve(new Response('<h1>Welcome to the hotel</h1>'))"""
    script = board.browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": hijack})
    board.browser.open("/admin/visits")
    board.wait_for("This can\N{RIGHT SINGLE QUOTATION MARK}t be shown")
    assert "can\N{RIGHT SINGLE QUOTATION MARK}t be read" in board.text()
    assert board.axe() == []
    board.browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    board.browser.js("window.healed = true; document.querySelector('#view [role=alert] button').click()")
    board.browser.wait(lambda: "This can\N{RIGHT SINGLE QUOTATION MARK}t be shown" not in board.text(), "the words to go")
    board.wait_for("counsel@law.example")


def test_a_view_whose_code_is_gone(board: Board) -> None:
    """After an update its file may be missing: that is told, and a reload helps."""
    board.open("/admin")
    cdp = board.browser.driver.execute_cdp_cmd
    cdp("Network.enable", {})
    cdp("Network.setBlockedURLs", {"urls": ["*/views/audit.js*"]})
    try:
        board.browser.js("document.querySelector('#places a[href*=\"/admin/audit\"]').click()")
        board.wait_for("This view can\N{RIGHT SINGLE QUOTATION MARK}t be loaded")
    finally:
        cdp("Network.setBlockedURLs", {"urls": []})
    board.browser.problems()  # that it failed stands in the console, too
    board.browser.js("document.querySelector('#view button').click()")
    board.browser.wait(lambda: "can\N{RIGHT SINGLE QUOTATION MARK}t be loaded" not in board.text(), "the view")
    board.wait_until_shown()


def test_a_definition_on_hover(board: Board) -> None:
    """The mouse over a term tells what it means, and away from it does not."""
    board.open("/admin/visitors/counsel%40law.example")
    spot = """const box = document.querySelector('.figures .term').getBoundingClientRect()
    return [box.x + box.width / 2, box.y + box.height / 2]"""
    x, y = board.browser.js(spot)
    cdp = board.browser.driver.execute_cdp_cmd
    tip = "return document.querySelector('#tip')?.getClientRects().length > 0"
    cdp("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
    board.browser.wait(lambda: board.browser.js(tip), "the definition")
    cdp("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": 1, "y": 1})
    board.browser.wait(lambda: not board.browser.js(tip), "it to go")


def test_a_zone_is_chosen(board: Board) -> None:
    """Who chooses another zone sees its times, and has it in the address."""
    board.open("/admin/visits?visitor=counsel%40law.example&zone=UTC")
    times = "return document.querySelector('.visits-table tbody time').textContent"
    before = board.browser.js(times)
    Select(board.browser.find("#filter-zone")).select_by_value("Asia/Tokyo")
    board.browser.wait(lambda: "zone=Asia%2FTokyo" in board.browser.path, "the address")
    board.browser.wait(lambda: board.browser.js(times) != before, "other times")
