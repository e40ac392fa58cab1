"""The dashboard in a real browser: every view with nothing, one visit and a hundred thousand; hostile strings, roles, trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import pytest
from selenium.webdriver.common.keys import Keys

from tests.e2e.board import OPERATOR, VIEWER, Board, now_ms, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.board import Boards


MANY: Final = 100_000
AMOUNTS: Final = (0, 1, MANY)

WHO: Final = "visitor0@fund0.example"

VIEWS: Final = {
    "now": "/admin",
    "visits": "/admin/visits",
    "visit": "/admin/visits/bulk000000000000.1",
    "visitors": "/admin/visitors",
    "visitor": f"/admin/visitors/{quote(WHO, safe='')}",
    "pages": "/admin/pages",
    "page": "/admin/pages?page=/prospectus",
    "time": "/admin/time",
    "mirrors": "/admin/mirrors",
    "audit": "/admin/audit",
    "wall": "/admin/wall",
}

HOSTILE: Final = (
    "<img src=x onerror=alert(1)>@evil.example",
    '\u202egnp.live\u202c"onmouseover="alert(1)@rtl.example',
    "a/../../admin?x=1#y@path.example",
    "w" * 200 + "@long.example",
    "مستثمر@صندوق.example",
)

DEVICE: Final = "<img src=x onerror=alert(2)> on Linux"
"""As if one came through what tells a browser's name."""

HOSTILE_PAGES: Final = (("/<script>alert(1)</script>", "</title><script>alert(1)</script>"), ("/" + "x" * 400, "W" * 300))


@pytest.fixture
def board(start_board: Boards) -> Iterator[Board]:
    """Give the board with little on it, signed in as an operator, on a desk in the light."""
    few = start_board("few", rows(12, until_at=now_ms() - 3_600_000, names=("reader@studio.example", "counsel@law.example")))
    few.dress("desk", "light")
    few.sign_in()
    yield few
    assert few.complaints() == []


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("amount", AMOUNTS)
def test_axe_finds_nothing(start_board: Boards, amount: int) -> None:
    """Every view with nothing, one visit and very many: light and dark, on a desk and a phone, axe finds nothing and nothing sticks out."""
    board = start_board(f"of{amount}", rows(amount, until_at=now_ms() - 60_000))
    board.browser.driver.set_script_timeout(60)  # of what very many make axe has much to look at
    board.sign_in()
    found: list[str] = []
    for name, path in VIEWS.items():
        board.dress("desk", "light")
        board.open(path)
        found += [f"{name}, {fault}" for fault in board.faults()]
    assert found + board.complaints() == []


@pytest.mark.timeout(1_200)
def test_a_hundred_thousand_visits_stay_out_of_the_page(start_board: Boards) -> None:
    """A list shows the newest fifty and fetches fifty more when asked, however many there are."""
    board = start_board(f"of{MANY}", rows(MANY, until_at=now_ms() - 60_000))
    board.dress("desk", "light")
    board.sign_in()
    board.open("/admin/visits")
    count = "return document.querySelectorAll('.visits-table tbody tr').length"
    assert board.browser.js(count) == 50
    board.browser.js("document.querySelector('.more button').click()")
    board.browser.wait(lambda: board.browser.js(count) == 100, "fifty more")
    started = board.browser.js("return [...document.querySelectorAll('.visits-table tbody td time:first-child')].map(t => t.dateTime)")
    assert len(started) >= 100


def test_hostile_strings_are_inert(start_board: Boards) -> None:
    """Addresses, devices, pages and titles that are markup, turn text around or never end are text, in every view, and run nothing."""
    board = start_board("hostile", rows(10, until_at=now_ms(), names=HOSTILE, pages=HOSTILE_PAGES, here=len(HOSTILE), device=DEVICE))
    board.dress("phone", "light")
    board.sign_in()
    board.open("/admin/visits")
    assert HOSTILE[0] in board.text()
    assert DEVICE in board.text()
    assert "still here" in board.text()
    assert "\u202e" not in board.text()
    places = {**VIEWS, **{visitor: f"/admin/visitors/{quote(visitor, safe='')}" for visitor in HOSTILE}}
    for path in places.values():
        board.open(path)
        assert board.intruders() == 0, path
        assert board.overhang() == 0, path
    assert board.complaints() == []


def test_nothing_is_shown_without_a_sign_in(board: Board) -> None:
    """Signed out, every address leads to the door, and neither a name nor a number is in what it sends."""
    board.browser.driver.delete_all_cookies()
    for path in VIEWS.values():
        board.browser.open(path)
        assert board.browser.path.startswith("/admin/login")
        assert "reader@studio.example" not in board.browser.driver.page_source
    told = "return fetch('/admin/api/' + arguments[0]).then(a => a.text().then(t => [a.status, t]))"
    for name in ("now", "visits", "visitors", "me", "audit", "events"):
        status, body = board.browser.js(told, name)
        assert status == 401
        assert "studio.example" not in body


def test_a_sign_in_leads_back(board: Board) -> None:
    """Who is not signed in comes, after it, to where they wanted to go."""
    board.browser.driver.delete_all_cookies()
    board.browser.open("/admin/visits?visitor=counsel%40law.example")
    board.browser.find("input[name=token]").send_keys(OPERATOR)
    board.browser.find("form[action='/admin/login'] button").click()
    board.wait_until_shown()
    assert board.browser.path == "/admin/visits?visitor=counsel%40law.example"


def test_a_viewer_cannot_operate(board: Board) -> None:
    """A viewer sees the same, without a button that does something; and if they ask all the same, they are refused."""
    guest = board.arrive("guest@fund.example")
    board.sign_in(VIEWER)
    board.open("/admin")
    board.wait_for("guest@fund.example")
    assert "viewer" in board.browser.text()
    for path in ("/admin", VIEWS["visit"]):
        board.open(path)
        assert "End session" not in board.browser.text()
        assert "count it" not in board.browser.text()
    handle = board.browser.js("return fetch('/admin/api/now').then(a => a.json()).then(n => n.here[0].session)")
    assert board.post(f"sessions/{handle}/end") == 403
    board.beat(guest, kind="leave", seq=2, lifecycle="hidden", visibleMs=50)  # or the list would change once more, minutes later


def test_who_arrives_appears_by_themselves(board: Board) -> None:
    """Somebody opens a page: within seconds they are on the dashboard and counted in its title, and it was not loaded again."""
    board.open("/admin")
    board.browser.js("window.stays = true")
    visitor = board.arrive("newcomer@fund.example")
    board.wait_for("newcomer@fund.example")
    board.browser.wait(lambda: board.browser.driver.title.startswith("("), "the count in the title")
    board.beat(visitor, kind="leave", seq=2, lifecycle="hidden", visibleMs=50)
    board.browser.wait(lambda: "just left" in board.line_of("newcomer@fund.example")["words"], "that they left")
    assert board.browser.js("return window.stays") is True


def test_revoking_a_session(board: Board) -> None:
    """The operator is asked first; then the session is over, and everybody sees it."""
    board.arrive("leaver@fund.example")
    board.open("/admin")
    board.wait_for("leaver@fund.example")
    end = "document.querySelector('[aria-label=\"End session of leaver@fund.example\"]').click()"
    board.browser.js(end)
    assert "leaver@fund.example is signed out" in board.browser.find("#confirm").text
    board.browser.find("#confirm-no").click()
    assert board.browser.js("return document.getElementById('confirm').open") is False
    board.browser.js(end)
    board.browser.find("#confirm-yes").click()
    board.wait_for("session over, revoked")


def test_a_filter_survives_reload_and_back(board: Board) -> None:
    """What is filtered is in the address: a reload shows the same, Back shows what was before, and focus follows."""
    board.open("/admin/visits")
    everything = board.text()
    board.browser.js("document.querySelector('#filter-more').open = true")
    board.browser.find("#filter-visitor").send_keys("counsel@law.example")
    board.browser.find("#filters button[type=submit]").click()
    board.browser.wait(lambda: "reader@studio.example" not in board.text(), "the visits of one")
    assert board.browser.path == "/admin/visits?visitor=counsel%40law.example"
    board.browser.driver.refresh()
    board.wait_until_shown()
    assert "reader@studio.example" not in board.text()
    assert "counsel@law.example" in board.text()
    board.browser.driver.back()
    board.browser.wait(lambda: "reader@studio.example" in board.text(), "the visits of all")
    assert len(board.text()) == len(everything)
    board.follow("#places a[data-place=audit]")
    assert board.browser.js("return document.activeElement.tagName") == "H1"


def test_the_zone_is_the_readers_choice(board: Board) -> None:
    """Another zone shows the same instants by other clocks."""
    board.open("/admin/visits?zone=UTC")
    clocks = "return [...document.querySelectorAll('.visits-table time')].map(t => [t.dateTime, t.textContent])"
    utc = dict(board.browser.js(clocks))
    board.open("/admin/visits?zone=Asia/Kolkata")
    indian = dict(board.browser.js(clocks))
    assert utc.keys() == indian.keys()
    assert all(utc[at] != indian[at] for at in utc)


def test_the_store_is_down(board: Board) -> None:
    """While the store is away it says so and greys what it knew; when it is back it goes on by itself, and nobody is signed out."""
    board.open("/admin/visits")
    with board.broken_store():
        board.browser.js("dispatchEvent(new Event('online'))")  # asks at once what it would ask within seconds
        board.browser.wait(lambda: board.browser.js("return !document.getElementById('trouble').hidden"), "the notice")
        assert "Nobody is signed out" in board.browser.find("#trouble").text
        assert "reader@studio.example" in board.text()
        assert board.browser.js("return document.getElementById('view').classList.contains('stale')")
        assert board.axe() == []
    board.browser.wait(lambda: board.browser.js("return document.getElementById('trouble').hidden"), "the notice to go")
    assert not board.browser.js("return document.getElementById('view').classList.contains('stale')")


def test_it_is_worked_by_keyboard(board: Board) -> None:
    """The first key leads to the content; definitions show on focus and go with Escape; what has the focus can be seen."""
    board.open("/admin")
    board.browser.type(Keys.TAB)
    assert board.browser.js("return document.activeElement.className") == "skip"
    board.browser.type(Keys.ENTER)
    board.browser.js("document.querySelector('#view .term').focus()")
    assert "as far as the last message tells" in board.browser.find("#tip").text
    board.browser.type(Keys.ESCAPE)
    assert board.browser.js("return document.getElementById('tip').hidden")


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_what_opens_over_a_view(board: Board, size: str) -> None:
    """The filter and the export stay on the screen, axe finds nothing in them, and Escape closes them."""
    board.dress(size, "light")
    board.open("/admin/visits")
    board.browser.find("#filter-more summary").click()
    assert board.axe() == []
    assert board.overhang() == 0
    board.browser.type(Keys.ESCAPE)
    assert not board.browser.js("return document.getElementById('filter-more').open")
    board.ask_to_export("csv")
    assert board.axe() == []
    board.browser.type(Keys.ESCAPE)
    assert not board.browser.js("return document.getElementById('export').open")
