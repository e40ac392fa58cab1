"""A data room in two commands: a folder behind the gate, a reader, and how long they stayed with each page of each document."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from selenium.webdriver.common.keys import Keys

from stillhere.core.heat import PARTS, read_heat
from tests.e2e.conftest import SHORT, House
from tests.e2e.react import CLIENT
from tests.server.content.application import running
from tests.server.content.folders import HOSTILE_NAME, furnish, scan
from tests.support import serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.browser import Browser

WHO = "investor@fund.example"

LOOKS = {"light": (1280, 860, "light"), "dark": (1280, 860, "dark"), "phone": (390, 844, "light"), "phone-dark": (390, 844, "dark")}

MARGIN_MS = 1_000

OWN_PAGE = """<!doctype html><title>Portfolio</title><body><h1>Portfolio</h1>
<script>document.title = "Portfolio, opened"</script></body></html>"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Serve a furnished folder."""
    deck = tmp_path / "deck"
    deck.mkdir()
    (tmp_path / "secret.txt").write_text("planted secret", "utf-8")
    furnish(deck, tmp_path / "secret.txt")
    (deck / "portfolio.html").write_text(OWN_PAGE, "utf-8")
    (deck / "scan.pdf").write_bytes(scan())
    (deck / "broken.pdf").write_text("this is no PDF", "utf-8")
    store = f"sqlite:///{tmp_path / 'visits.db'}"
    with serving(store, *SHORT, "--folder", str(deck), log=tmp_path / "program.log") as program:
        yield House(program, tmp_path / "visits.db")


def pass_gate(browser: Browser, path: str = "/") -> None:
    """Go to a page of the folder, through the gate."""
    browser.open(path)
    browser.wait_for_path("/gate")
    browser.find("input[name=email]").send_keys(WHO)
    browser.find("form[action='/gate'] button[type=submit]").click()
    browser.wait(lambda: browser.path.partition("?")[0] != "/gate", "the folder")
    browser.wait_for_client()


def wait_for_page(browser: Browser, number: int, name: str = "deck.pdf") -> None:
    """Wait until a page of a document is shown, and is in the address."""
    browser.wait_for_path(f"/view/{name}/{number}")
    label = f"Page {number} of 3"
    browser.wait(lambda: browser.js("return document.querySelector('#sheet:not([aria-busy]) canvas') !== null"), "the picture")
    browser.wait(lambda: browser.find("#sheet").get_attribute("aria-label") == label, label)


EXACT_MS: Final = 1_000
"""For the server a view begins with its first message, which may be late on a busy machine; it credits no more than it saw pass."""


def stay(browser: Browser, ms: int) -> None:
    """Read until the page's own view was visible for so long."""
    browser.wait(lambda: browser.state()["visibleMs"] >= ms, f"{ms} ms of reading")


def views(house: House) -> dict[str, dict[str, Any]]:
    """Read the views on disk, by page."""
    return {row["page"]: row for row in house.rows("views")}


TWICE_RIGHT: Final = """
for (let n = 0; n < 2; n++) document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }))
"""
"""A page is turned past within a second, however slowly commands come."""


def test_each_page_of_a_document_is_counted(browser: Browser, house: House) -> None:
    """Through the gate to the folder, to the document, pages 1 and 3 read, 2 turned past: the archive knows how long each was read."""
    pass_gate(browser)
    opened = time.monotonic()
    browser.find("a[href='/view/deck.pdf']").click()
    wait_for_page(browser, 1)
    browser.wait_for_client()
    stay(browser, 2_500)
    turning = time.monotonic()
    browser.js(TWICE_RIGHT)
    turned = time.monotonic()
    wait_for_page(browser, 3)
    stay(browser, 4_000)
    browser.find("a.back").click()
    left = time.monotonic()
    browser.wait_for_path("/")
    wait_until(
        lambda: views(house).get("/view/deck.pdf/3", {"visible_ms": 0})["visible_ms"] >= 4_000 - EXACT_MS, what="the last words of page 3"
    )
    kept = views(house)
    assert "/view/deck.pdf/2" not in kept
    first, third = kept["/view/deck.pdf/1"], kept["/view/deck.pdf/3"]
    assert (first["title"], third["title"]) == ("deck.pdf, page 1 of 3", "deck.pdf, page 3 of 3")
    assert 2_500 - EXACT_MS <= first["visible_ms"] <= (turned - opened) * 1000 + 2 * MARGIN_MS
    assert 4_000 - EXACT_MS <= third["visible_ms"] <= (left - turning) * 1000 + MARGIN_MS
    assert house.visit_of(WHO)["visible_ms"] >= 6_500 - 2 * EXACT_MS
    assert browser.problems() == []


ON_SCREEN: Final = """
const { top, bottom, height } = document.querySelector('#sheet').getBoundingClientRect()
const bar = document.querySelector('header').getBoundingClientRect().bottom
return [(Math.max(bar, top) - top) / height, (Math.min(innerHeight, bottom) - top) / height]
"""


def parts_on_screen(browser: Browser) -> set[int]:
    """Tell which twentieths of the sheet are on screen."""
    top, bottom = browser.js(ON_SCREEN)
    return {part for part in range(PARTS) if part / PARTS < bottom and (part + 1) / PARTS > top}


def test_where_on_a_page_somebody_reads_is_measured(browser: Browser, house: House) -> None:
    """A page of text, read at its top and at its end, has heat there; a slide that is seen as a whole has as much everywhere."""
    pass_gate(browser, "/deck.pdf")
    wait_for_page(browser, 1)
    browser.wait(lambda: browser.js("return Object.hasOwn(document.querySelector('#extent'), 'scrollTop')"), "the measure")
    top = parts_on_screen(browser)
    stay(browser, 3_000)
    at_top_ms = browser.state()["visibleMs"]
    browser.js("scrollTo({top: 1e6, behavior: 'instant'})")
    scrolled_ms = browser.state()["visibleMs"]
    end = parts_on_screen(browser)
    stay(browser, scrolled_ms + 3_000)
    first = browser.state()["view"]
    browser.find("#next").click()
    wait_for_page(browser, 2)
    browser.wait(lambda: browser.state()["view"] != first, "the next view")
    stay(browser, 5_000)
    browser.close_tab()
    wait_until(lambda: views(house).get("/view/deck.pdf/2", {"visible_ms": 0})["visible_ms"] >= 5_000 - EXACT_MS, what="the last words")
    text, slide = (views(house)[f"/view/deck.pdf/{number}"] for number in (1, 2))
    heat = read_heat(text["heat"], text["visible_ms"])
    assert min(top) == 0
    assert max(end) == PARTS - 1
    assert top.isdisjoint(end), "the page is too short to tell its parts apart"
    assert abs(sum(heat) - text["visible_ms"]) < EXACT_MS
    in_top = sum(heat[part] for part in top)
    assert at_top_ms - 1.5 * EXACT_MS <= in_top <= scrolled_ms + 1.5 * EXACT_MS
    assert {part for part in range(PARTS) if heat[part]} <= top | end
    even = read_heat(slide["heat"], slide["visible_ms"])
    assert all(abs(sum(even[:n]) - sum(even) * n / PARTS) <= EXACT_MS for n in range(PARTS))


def test_a_page_that_is_slow_to_draw_is_not_read_yet(browser: Browser, house: House) -> None:
    """While the page before is still on screen, the time is that page's: the path, and with it the view, turns when the picture does."""
    pass_gate(browser, "/deck.pdf")
    wait_for_page(browser, 1)
    first = browser.state()["view"]
    browser.js("window.held = []; window.real = requestAnimationFrame; window.requestAnimationFrame = frame => held.push(frame)")
    browser.find("#next").click()
    browser.wait(lambda: browser.find("#sheet").get_attribute("aria-label") == "Page 2 of 3", "the turn")
    until = browser.state()["visibleMs"] + 2_000
    browser.wait(lambda: browser.state()["visibleMs"] >= until, "more than a moment")
    assert browser.js("return document.querySelector('#sheet').hasAttribute('aria-busy')")
    assert (browser.path, browser.state()["view"]) == ("/view/deck.pdf/1", first)
    browser.js("window.requestAnimationFrame = real; for (const frame of held) real(frame)")
    wait_for_page(browser, 2)
    browser.wait(lambda: browser.state()["view"] != first, "the next view")
    browser.close_tab()
    wait_until(lambda: "/view/deck.pdf/2" in views(house), what="the last words")
    assert views(house)["/view/deck.pdf/1"]["visible_ms"] >= until - EXACT_MS


def test_a_page_has_an_address_to_come_back_to(browser: Browser, house: House) -> None:
    """The address of a page opens that page, also through the gate, and after a reload; one past the end opens the last."""
    pass_gate(browser, "/view/deck.pdf/3")
    wait_for_page(browser, 3)
    browser.driver.refresh()
    wait_for_page(browser, 3)
    browser.open("/view/deck.pdf/99")
    wait_for_page(browser, 3)
    browser.open("/deck.pdf")
    wait_for_page(browser, 1)
    assert house.session_of(WHO)["subject"] == WHO


def test_pages_turn_by_hand(browser: Browser, house: House) -> None:
    """Buttons, keys and the number turn pages; a page of text scrolls before it turns; nothing goes past the ends."""
    pass_gate(browser, "/deck.pdf")
    wait_for_page(browser, 1)
    assert browser.find("#previous").get_attribute("disabled") == "true"
    browser.find("#next").click()
    wait_for_page(browser, 2)
    body = browser.find("body")
    body.send_keys(Keys.END)
    wait_for_page(browser, 3)
    body.send_keys(Keys.PAGE_UP)
    wait_for_page(browser, 2)
    body.send_keys(Keys.HOME)
    wait_for_page(browser, 1)
    body.send_keys(Keys.PAGE_DOWN)
    browser.wait(lambda: browser.js("return document.documentElement.scrollTop") > 100, "the page to scroll")
    assert browser.path == "/view/deck.pdf/1"
    browser.js("scrollTo({top: 1e6, behavior: 'instant'})")
    body.send_keys(Keys.PAGE_DOWN)
    wait_for_page(browser, 2)
    number = browser.find("#number")
    number.click()
    number.send_keys("3" + Keys.ENTER)
    wait_for_page(browser, 3)
    number.send_keys("x" + Keys.ENTER)
    browser.wait(lambda: number.get_attribute("value") == "3", "the number to be what it was")
    assert house.visit_of(WHO) is not None


def test_a_page_is_as_large_as_one_likes(browser: Browser, house: House) -> None:
    """Plus and minus change the size, the fit comes back to the window; text lies over the picture and can be selected."""
    pass_gate(browser, "/view/deck.pdf/2")
    wait_for_page(browser, 2)
    width = int(browser.js("return document.querySelector('#sheet').clientWidth"))
    body = browser.find("body")
    body.send_keys("-")
    browser.wait(lambda: browser.js("return document.querySelector('#sheet').clientWidth") < width * 0.85, "a smaller page")
    browser.find("#larger").click()
    browser.wait(lambda: abs(browser.js("return document.querySelector('#sheet').clientWidth") - width) < 3, "the size from before")
    browser.find("#fit").click()
    browser.wait(lambda: browser.find("#fit").text == "Fit page", "the width to be fitted")
    assert browser.js("return document.querySelector('.text').innerText").startswith("This is page 2.")
    over = "const t = document.querySelector('.text span').getBoundingClientRect(); return [t.width, t.height]"
    assert all(side > 20 for side in browser.js(over))
    assert house.visit_of(WHO) is not None


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing(browser: Browser, house: House, look: str) -> None:
    """Listing, viewer and its trouble: everybody can use them, at any width, light and dark; nothing is wider than the window."""
    width, height, scheme = LOOKS[look]
    cdp = browser.driver.execute_cdp_cmd
    cdp("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    cdp(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": look.startswith("phone")}
    )
    pass_gate(browser)
    assert HOSTILE_NAME in browser.text()
    for path, shown in (("/", ".files"), ("/empty/", ".empty"), ("/deck.pdf", "#sheet canvas"), ("/broken.pdf", "#trouble:not([hidden])")):
        browser.open(path)
        browser.wait(lambda shown=shown: browser.js("return document.querySelector(arguments[0])", shown), shown)
        browser.js((CLIENT / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
        found = browser.driver.execute_async_script("axe.run().then(({violations}) => arguments[0](violations))")
        assert [(violation["id"], violation["nodes"][0]["html"]) for violation in found] == [], path
        assert browser.js("return document.documentElement.scrollWidth") <= width, path
    assert house.visit_of(WHO) is not None


def test_what_cannot_be_shown_is_said(browser: Browser, house: House) -> None:
    """A damaged document is told in words, with a way back; nothing hangs."""
    pass_gate(browser, "/view/broken.pdf/1")
    browser.wait(lambda: browser.find("#trouble").is_displayed(), "the sentence")
    assert "be read" in browser.find("#trouble-title").text
    assert not browser.find("#loading").is_displayed()
    assert house.visit_of(WHO) is not None


def test_scanned_pages_are_shown(browser: Browser, house: House) -> None:
    """What only WebAssembly can decode is decoded under the worker's policy, and drawn; the page itself may compile nothing."""
    pass_gate(browser, "/scan.pdf")
    browser.wait(lambda: browser.js("return document.querySelector('#sheet:not([aria-busy]) canvas') !== null"), "the picture")
    middle = """const { width, height } = document.querySelector('#sheet canvas')
        return [...document.querySelector('#sheet canvas').getContext('2d').getImageData(width / 2, height / 2, 1, 1).data]"""
    assert browser.js(middle) == [0, 0, 0, 255]
    assert browser.problems() == []
    compile_it = (
        "WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])).then(() => arguments[0]('yes'), () => arguments[0]('no'))"
    )
    assert browser.driver.execute_async_script(compile_it) == "no"
    assert house.visit_of(WHO) is not None


def test_the_owners_own_pages_run_and_are_counted(browser: Browser, house: House) -> None:
    """A page of the folder runs its own inline script, and the client that was put into it counts its time."""
    pass_gate(browser, "/portfolio.html")
    browser.wait(lambda: browser.driver.title == "Portfolio, opened", "the page's own script")
    stay(browser, 1_500)
    browser.close_tab()
    wait_until(
        lambda: views(house).get("/portfolio.html", {"visible_ms": 0})["visible_ms"] >= 1_500 - EXACT_MS, what="the view of the page"
    )
    assert views(house)["/portfolio.html"]["title"] == "Portfolio, opened"


def test_an_application_behind_the_gate_is_counted(browser: Browser, tmp_path: Path) -> None:
    """Through the gate to an application that knows nothing of us: its page is counted, and tells it who reads."""
    store = f"sqlite:///{tmp_path / 'upstream.db'}"
    with running() as application, serving(store, *SHORT, "--upstream", application.url, log=tmp_path / "upstream.log") as program:
        house, browser.base = House(program, tmp_path / "upstream.db"), program.url
        pass_gate(browser, "/page")
        stay(browser, 1_500)
        browser.open("/echo")
        assert f'"X-Stillhere-Subject", "{WHO}"' in browser.text().replace("x-stillhere-subject", "X-Stillhere-Subject")
        wait_until(lambda: views(house).get("/page", {"visible_ms": 0})["visible_ms"] >= 1_500 - EXACT_MS, what="the view of the page")
        assert views(house)["/page"]["title"] == "App"
