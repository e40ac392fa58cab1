"""The server's own voice in a real browser: an end from elsewhere is known at once, in every open tab."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.support import BUSY_S

if TYPE_CHECKING:
    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House, StartHouse

WHO = "investor@fund.example"

KNOWN_IN_S = 1.0 + BUSY_S


def test_an_end_from_elsewhere_is_known_in_every_tab_within_a_second(browser: Browser, house: House, start_house: StartHouse) -> None:
    """Ended in another process, two tabs know, one of them hidden: that on screen says why and goes, and nobody had to ask."""
    browser.enter(WHO)
    first = browser.driver.current_window_handle
    wait_for_stream(browser)
    browser.hide()
    browser.open("/confidential")
    browser.wait_for_client()
    browser.js("window.stillhere.session.on('ended', () => { localStorage.shownEndedAt = Date.now() })")
    second = browser.driver.current_window_handle
    browser.driver.switch_to.window(first)
    browser.js("window.stillhere.session.on('ended', () => { localStorage.hiddenEndedAt = Date.now() })")
    browser.driver.switch_to.window(second)
    start_house().end_from_elsewhere(WHO)
    ended_at = house.session_of(WHO)["ended_at"]
    browser.wait(lambda: browser.js("return localStorage.shownEndedAt && localStorage.hiddenEndedAt"), "both tabs to know")
    known_at = [int(at) for at in browser.js("return [localStorage.shownEndedAt, localStorage.hiddenEndedAt]")]
    assert max(known_at) - ended_at < KNOWN_IN_S * 1000, known_at
    browser.wait_for_path("/")
    assert "reason=revoked" in browser.path


def test_one_stream_serves_all_tabs_and_passes_on(browser: Browser) -> None:
    """Three tabs hold one stream; when the tab that holds it is closed, another takes over."""
    browser.enter(WHO)
    wait_for_stream(browser)
    last = holder = browser.driver.current_window_handle
    browser.hide()
    for _ in range(2):
        browser.open("/confidential")
        browser.wait_for_client()
        last = browser.hide()
    browser.driver.switch_to.window(last)
    browser.wait(lambda: locks(browser) == (1, 2), "one to hold the stream and two to wait for it")
    browser.driver.switch_to.window(holder)
    browser.driver.close()
    browser.driver.switch_to.window(last)
    browser.wait(lambda: locks(browser) == (1, 1), "the stream to pass on")


def test_an_open_stream_does_not_keep_a_page_out_of_the_cache(browser: Browser) -> None:
    """The page lets its stream go before it is left, is restored from the back/forward cache, and opens it anew."""
    browser.enter(WHO)
    wait_for_stream(browser)
    browser.js("window.addEventListener('pageshow', e => { window.restored = e.persisted })")
    browser.open("/lab/cover")
    browser.driver.back()
    browser.wait(lambda: browser.js("return window.restored"), "the page from the cache")
    wait_for_stream(browser)
    assert browser.problems() == []


def wait_for_stream(browser: Browser) -> None:
    """Wait until a tab holds the stream."""
    browser.wait(lambda: locks(browser)[0] == 1, "the stream")
    time.sleep(0.3)  # from the lock to the server's first word


def locks(browser: Browser) -> tuple[int, int]:
    """Tell how many hold the stream's lock, and how many wait for it."""
    found = browser.driver.execute_async_script(
        "const done = arguments[0]; navigator.locks.query().then(({held, pending}) => done([held, pending]"
        ".map(all => all.filter(({name}) => name.endsWith('/events')).length)))",
    )
    return found[0], found[1]
