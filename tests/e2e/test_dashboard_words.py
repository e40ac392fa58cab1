"""What the dashboard says where something is amiss, and of days, edges and words that would be easy to overlook."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e.board import Board, now_ms, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.board import Boards


ASKED: Final = "return performance.getEntriesByType('resource').filter(one => new URL(one.name).pathname === arguments[0]).length"


@pytest.fixture
def board(start_board: Boards) -> Iterator[Board]:
    """Give a board with a few visits of the last hours, signed in as an operator, on a desk in the light."""
    few = start_board("few", rows(12, until_at=now_ms(), names=("reader@studio.example",)))
    few.dress("desk", "light")
    few.sign_in()
    yield few
    assert few.complaints() == []


def wait_until_live(board: Board) -> None:
    """Wait until changes are told by the stream, which makes lists look again."""
    board.browser.wait(lambda: board.browser.js("return document.body.dataset.live") == "live", "the stream")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("/admin/visits?min=abc", "“abc” is no length of time. Write it like 30s, 5m or 1h."),
        ("/admin/visitors?max=5", "“5” is no length of time."),
        ("/admin/time?from=2026-02-31", "“2026-02-31” is no day."),
        ("/admin/time?from=soon", "“soon” is no day."),
        ("/admin/pages?from=2026-11-30&to=2026-11-01", "The period ends before it begins."),
        ("/admin/visits?ended=bored", "No visit ends with “bored”."),
        ("/admin/visits?with=everybody", "“everybody” can"),
        ("/admin/visits?verified=perhaps", "Verified is true or false"),
        ("/admin?zone=Mars/Olympus", "There is no time zone “Mars/Olympus”."),
    ],
)
def test_a_filter_that_cannot_be_read_is_told_in_words(board: Board, address: str, says: str) -> None:
    """What is wrong and how to write it, with a way out; nothing is asked for it, also once the stream is there."""
    board.open(address)
    assert says in board.text()
    wait_until_live(board)
    path = address.partition("?")[0].rpartition("/")[2]
    assert board.browser.js(ASKED, f"/admin/api/{path}") == 0 or path == "admin"
    assert board.browser.js(ASKED, "/admin/api/totals") == 0
    assert board.axe() == []
    board.follow("#view .panel a")
    assert says not in board.text()
    assert board.browser.path == address.partition("?")[0]


def test_what_only_the_server_can_judge_is_asked_once(board: Board) -> None:
    """A day too far away is asked about once, and told in the same words; the stream does not ask again."""
    board.open("/admin/visits?from=9999-01-01")
    assert "“9999-01-01” is no day." in board.text()
    assert board.browser.js("return document.getElementById('filter-from').getAttribute('aria-invalid')") == "true"
    wait_until_live(board)
    visitor = board.arrive("busy@fund.example")
    board.browser.wait(lambda: board.browser.driver.title.startswith("("), "somebody to be told of")
    assert board.browser.js(ASKED, "/admin/api/visits") == 1
    board.beat(visitor, kind="leave", seq=2, lifecycle="hidden", visibleMs=50)


def test_words_of_the_address_that_are_for_nothing_are_named(board: Board) -> None:
    """What is not used here is said, with a way to be rid of it; what is used stays."""
    board.open("/admin/time?unit=decade&limit=5&before=x&zone=UTC")
    note = "return document.getElementById('ignored').textContent"
    assert board.browser.js(note) == "Not used here, and ignored: unit=decade, limit, before. Leave them out"
    board.follow("#ignored a")
    assert board.browser.path == "/admin/time?zone=UTC"
    assert board.browser.js("return document.getElementById('ignored').hidden")
    board.open("/admin/audit?visitor=reader%40studio.example")
    assert board.browser.js(note) == "Not used here, and ignored: visitor. Leave it out"
    board.open("/admin/visitors?sort=visits&min=1s")
    assert board.browser.js("return document.getElementById('ignored').hidden")


@pytest.mark.parametrize("days", [1, 2, 7, 40])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_hours_tell_their_day(board: Board, days: int, size: str) -> None:
    """Whatever the period and the width, the axis of hours names days, none twice, and clocks where there is room for them."""
    board.dress(size, "light")
    board.arrive("hourly@fund.example")
    today = datetime.now(UTC).date()
    first = today - timedelta(days=days - 1)
    board.open(f"/admin/time?from={first}&to={today}&unit=hour&zone=UTC")
    marks = "return [...document.querySelectorAll('.chart svg')][0]?.textContent ?? ''"
    day = f"{first:%b} {first.day}"
    board.browser.wait(lambda: day in board.browser.js(marks), "the first day")
    shown = board.browser.js(
        "return [...document.querySelectorAll('.chart svg')[0].querySelectorAll('text, tspan')].map(t => t.textContent)"
    )
    named = [words for words in shown if words.startswith((f"{first:%b} ", f"{today:%b} "))]
    assert len(named) == len(set(named))
    assert ("00:00" in shown) == (days <= 7 if size == "desk" else days <= 2)


@pytest.mark.parametrize("width", [320, 375, 390])
def test_what_goes_on_beyond_an_edge_fades(board: Board, width: int) -> None:
    """On a usual phone navigation and presets are there as a whole; where it is narrower, they fade at the side where they go on."""
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    board.browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    board.open("/admin/visits")
    goes_on_and_fades = """const row = document.getElementById(arguments[0])
        const end = row.lastElementChild.getBoundingClientRect().right
        return [end > row.getBoundingClientRect().right + 1, row.classList.contains('more-after')]"""
    for row in ("places", "presets"):
        goes_on, fades = board.browser.js(goes_on_and_fades, row)
        assert goes_on == fades
        assert not goes_on or width < (375 if row == "places" else 390), row
    board.browser.js("document.getElementById('places').scrollLeft = 1e4")
    board.browser.wait(lambda: not board.browser.js(goes_on_and_fades, "places")[1], "the end of the row")
    assert board.overhang() == 0


def test_definitions_stand_where_there_are_numbers(board: Board) -> None:
    """They end every page of numbers, in order also when they are open; mirrors and the audit log have none, but the way to set one up."""
    for path, there in (("/admin", True), ("/admin/time", True), ("/admin/mirrors", False), ("/admin/audit", False)):
        board.open(path)
        assert board.browser.js("return !document.getElementById('legend').hidden") is there, path
        board.browser.js("document.getElementById('legend').open = true")
        assert board.axe() == [], path
    board.open("/admin/mirrors")
    link = board.browser.find("#view .blank a")
    assert str(link.get_attribute("href")).endswith("/docs/mirrors.md")
    assert link.get_attribute("rel") == "noopener noreferrer"


def test_first_and_last_have_their_day(board: Board) -> None:
    """Also today: a time alone could be any day's."""
    board.arrive("today@fund.example")
    board.open("/admin/visitors/today%40fund.example?zone=UTC")
    now = datetime.now(UTC)
    told = board.browser.js("return [...document.querySelectorAll('.figures .pair time')].map(time => time.textContent)")
    assert len(told) == 2
    assert all(words.startswith((f"{now:%b} {now.day}, ", f"{now - timedelta(minutes=5):%b} ")) for words in told), told


def test_an_export_in_the_audit_log_can_be_read(board: Board) -> None:
    """What was exported stands there as one would type it."""
    board.open("/admin/audit")
    board.browser.js("return fetch('/admin/api/export/visits.csv?zone=Europe%2FBerlin&min=30s').then(answer => answer.text())")
    board.open("/admin/audit")
    board.wait_for("zone=Europe/Berlin, min=30s")


def test_a_store_that_is_down_from_the_start(board: Board) -> None:
    """Nothing was loaded yet: that is said instead of a time; it comes by itself, and the zone can be chosen meanwhile."""
    board.arrive("waiting@fund.example")
    with board.broken_store():
        board.browser.open("/admin")
        board.browser.wait(lambda: board.browser.js("return !document.getElementById('trouble').hidden"), "the notice")
        said = board.browser.find("#trouble").text
        assert "Nobody is signed out" in said
        assert "There is nothing to show yet" in said
        assert board.axe() == []
        place = "const { x, y } = document.getElementById('filter-zone').getBoundingClientRect(); "
        assert board.browser.js(f"{place} return document.elementFromPoint(x + 9, y + 9)?.id") == "filter-zone"
    board.browser.wait(lambda: board.browser.js("return document.getElementById('trouble').hidden"), "the notice to go")
    board.wait_for("waiting@fund.example")
