"""The 64 KiB of all that may outlive a page, when the application's own beacons have taken them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.between import Weather
from tests.e2e.test_visits import stay
from tests.e2e.test_weather import EXACT_MS, WHO, recover
from tests.e2e.truth import late_ms, on_screen, union_ms

if TYPE_CHECKING:
    from tests.e2e.between import Between
    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House, StartBrowser


@pytest.fixture
def browser(sky: Between, start_browser: StartBrowser) -> Browser:
    """Start a browser that knows only the proxy."""
    return start_browser(sky)


@pytest.mark.parametrize("keeper", ["the browser", "the next page"])
def test_an_application_that_uses_up_what_may_outlive_a_page_costs_nothing(
    browser: Browser, house: House, sky: Between, keeper: str
) -> None:
    """All of the 64 KiB are taken: beats go without them a moment later, last words by the browser's own keeping, or with the next page."""
    sky.weather = Weather(holds=lambda message: message.path == "/session/elsewhere")
    browser.enter(WHO)
    if keeper != "the browser":
        browser.js("window.fetchLater = undefined")
    assert browser.js("return navigator.sendBeacon('/session/elsewhere', 'x'.repeat(65_500))")
    browser.record()
    browser.js("window.stillhere.session.beat()")
    browser.wait(lambda: [told["status"] for told in browser.told() if told["via"] == "fetch"][:1] == [None], "a refusal")
    browser.wait(lambda: browser.told()[-1]["status"] == 200, "an answer")
    told = sky.beats()[-1].beats()[-1]["visibleMs"]
    tab = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("window")
    blank = browser.driver.current_window_handle
    browser.bring(tab)
    stay(browser, 3)
    spans, late, looked = on_screen(browser), late_ms(browser), time.monotonic()
    browser.driver.close()
    closing_ms = (time.monotonic() - looked) * 1_000
    browser.driver.switch_to.window(blank)
    least_ms = union_ms(spans) - late - EXACT_MS
    if keeper != "the browser":
        browser.open("/lab")
        browser.wait_for_client()
        recover(browser)
        spans += on_screen(browser)
    browser.wait(lambda: house.visit_of(WHO)["visible_ms"] > max(least_ms, told + 2_000), "every second to be counted")
    assert house.visit_of(WHO)["visible_ms"] < union_ms(spans) + closing_ms + EXACT_MS
    sky.release()
