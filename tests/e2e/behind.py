"""A page that is closed without a server, and what others say of it later."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.e2e.test_visits import stay
from tests.e2e.truth import late_ms, on_screen

if TYPE_CHECKING:
    from tests.e2e.between import Between
    from tests.e2e.browser import Browser
    from tests.e2e.truth import Span


class Behind(NamedTuple):
    """A page that was closed without a server.

    Attributes:
        view: its name.
        spans: when it really was on screen.
        late_ms: see `truth.late_ms`.
        after_ms: how long it may have been on screen after that.
    """

    view: str
    spans: list[Span]
    late_ms: float
    after_ms: float


def leave_words_behind(browser: Browser, sky: Between, who: str) -> Behind:
    """Read a page, lose the server, read on and close it."""
    browser.enter(who)
    tab = browser.driver.current_window_handle
    view = str(browser.state()["view"])
    browser.driver.switch_to.new_window("window")
    blank = browser.driver.current_window_handle
    browser.bring(tab)
    late = late_ms(browser)
    sky.down()
    browser.js("window.stillhere.session.beat()")
    browser.wait(lambda: browser.state()["failures"] > 0, "a message into the void")
    stay(browser, 3)
    spans, looked = on_screen(browser), time.monotonic()
    browser.driver.close()
    after = 1_000 * (time.monotonic() - looked)
    browser.bring(blank)
    sky.up()
    return Behind(view, spans, late, after)


def told_of(sky: Between, view: str) -> list[dict[str, Any]]:
    """List what was said of a view from other pages."""
    return [beat for message in sky.beats() for beat in message.beats() if beat["view"] == view and "ageMs" in beat]
