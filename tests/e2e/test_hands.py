"""What a person's hands do: each way to touch a page counts, and what only looks like a hand does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support import BUSY_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.application import Application
    from tests.e2e.browser import Browser
    from tests.e2e.conftest import Visit

PAGES = {"/page": "<main>A page</main><input id=field><div id=box></div><script src=/session/client.js defer></script>"}

WATCH = """
document.querySelector("main").style.height = "9000px"
window.seen = {}
for (const type of ["pointermove", "scroll"]) {
  addEventListener(type, ({ isTrusted }) => { if (isTrusted) seen[type] = (seen[type] ?? 0) + 1 }, true)
}
"""
"""Counts what the browser itself tells, so that a test knows that its hand arrived."""


def mouse(browser: Browser, kind: str, x: int, y: int, **more: Any) -> None:
    """Do something with a mouse, as the system reports it."""
    browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **more})


def touch(browser: Browser, kind: str, *points: tuple[int, int]) -> None:
    """Do something with a finger."""
    browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})


def move(browser: Browser) -> None:
    """Move a mouse over the page."""
    for x in (100, 140):
        mouse(browser, "mouseMoved", x, 100)


def click(browser: Browser) -> None:
    """Press a button of a mouse that rests."""
    mouse(browser, "mousePressed", 100, 100, button="left", clickCount=1)
    mouse(browser, "mouseReleased", 100, 100, button="left", clickCount=1)


def roll(browser: Browser) -> None:
    """Turn a wheel."""
    mouse(browser, "mouseWheel", 100, 100, deltaX=0, deltaY=120)


def tap(browser: Browser) -> None:
    """Touch with a finger."""
    touch(browser, "touchStart", (100, 100))
    touch(browser, "touchEnd")


def press(browser: Browser) -> None:
    """Press a key that writes nothing."""
    for kind in ("rawKeyDown", "keyUp"):
        browser.driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, "key": "Shift", "code": "ShiftLeft"})


def dictate(browser: Browser) -> None:
    """Put in words without a key, as voices and assistants do."""
    browser.js("document.querySelector('#field').focus({preventScroll: true})")
    browser.driver.execute_cdp_cmd("Input.insertText", {"text": "some words"})


HANDS: dict[str, Callable[[Browser], None]] = {
    "a pointer that moves": move,
    "a click": click,
    "a wheel": roll,
    "a finger": tap,
    "a key": press,
    "words without keys": dictate,
}


@pytest.fixture
def application(visit: Visit, chromium: Browser) -> Application:
    """Visit a page that nobody has touched."""
    application = visit("/page", PAGES, idle_timeout=60_000, beat_interval=30_000, requests_extend="none")
    chromium.js(WATCH)
    assert chromium.state()["idleMs"] is None
    return application


@pytest.mark.parametrize("how", HANDS)
def test_every_hand_counts(chromium: Browser, application: Application, how: str) -> None:
    """A page that nobody had touched knows of it at once, and the next beat credits it to the session."""
    before = application.session.last_active_at
    HANDS[how](chromium)
    is_felt = "const { idleMs } = stillhere.session.state(); return idleMs !== null && idleMs < arguments[0]"
    chromium.wait(lambda: chromium.js(is_felt, 3_000 + 1_000 * BUSY_S), "the hand to be felt")
    chromium.js("stillhere.session.beat()")
    chromium.wait(lambda: application.session.last_active_at > before, "it to be credited")


def test_a_scroll_that_goes_on_after_a_hand_counts(chromium: Browser, application: Application) -> None:
    """A wheel is turned and the page glides on: the glide is the hand's; what the page scrolls by itself later is not."""
    roll(chromium)
    chromium.wait(lambda: chromium.js("return seen.scroll") and chromium.state()["idleMs"] > 1_500, "the glide to be over, and a while")
    idle_ms, scrolls = chromium.state()["idleMs"], chromium.js("return seen.scroll")
    chromium.js("scrollTo(0, 4000)")
    chromium.wait(lambda: chromium.js("return seen.scroll") > scrolls, "the page to have scrolled itself")
    assert chromium.state()["idleMs"] >= idle_ms
    assert application.session.ended_at is None


def test_a_pointer_that_rests_or_trembles_is_no_hand(chromium: Browser, application: Application) -> None:
    """A page that changes under a resting pointer makes the browser tell of movement; so does a table that is pushed. Neither counts."""
    mouse(chromium, "mouseMoved", 300, 200)
    chromium.wait(lambda: chromium.js("return seen.pointermove"), "the pointer to be there")
    for x, y in ((300, 200), (302, 201), (301, 199), (300, 202)):
        mouse(chromium, "mouseMoved", x, y)
    chromium.js("scrollTo(0, 500); document.querySelector('#box').style.cssText = 'position: fixed; inset: 0'")
    chromium.wait(lambda: chromium.js("return seen.pointermove") >= 4, "the browser to tell of movement")
    assert chromium.state()["idleMs"] is None
    chromium.js("stillhere.session.beat()")
    chromium.wait(lambda: len(application.beats()) >= 2, "a beat")
    assert all(beat.get("idleMs") is None for beat in application.beats())
    mouse(chromium, "mouseMoved", 340, 200)
    chromium.wait(lambda: chromium.state()["idleMs"] is not None, "the hand to be felt")
