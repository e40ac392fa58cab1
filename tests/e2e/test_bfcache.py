"""Back and forward: a page comes back from the browser's cache as it was, and the server is asked before anybody sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.application import Application
    from tests.e2e.browser import Browser
    from tests.e2e.conftest import Visit

    Leave = Callable[..., Application]

CONTENT = "<h1>Confidential</h1><p>Figures</p><textarea></textarea><div></div>"

PAGES = {
    "/page": CONTENT + "<script src=/session/client.js defer data-notice=10000></script>",
    "/headless": CONTENT + "<script src=/session/client.js defer data-dialog=off data-login=off></script>",
    "/away": "Away",
}


WHOLE = (True, True)

NOTHING = (False, False)


def seen(chromium: Browser) -> tuple[bool, bool]:
    """Tell whether the page is painted, and whether it is there for those who have it read to them."""
    is_painted = bool(chromium.js("return getComputedStyle(document.body).opacity !== '0'"))
    tree = chromium.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})
    return is_painted, any(node.get("name", {}).get("value") == "Confidential" for node in tree["nodes"])


@pytest.fixture
def leave(chromium: Browser, visit: Visit) -> Leave:
    """Visit a page, leave a text and a place to scroll to in it, and go elsewhere; the page has gone into the cache."""

    def start(path: str = "/page", script: str = "") -> Application:
        application = visit(path, PAGES, idle_timeout=60_000)
        chromium.js(script)
        chromium.js("addEventListener('pageshow', event => { window.restored = event.persisted })")
        chromium.find("textarea").send_keys("half a sentence")
        chromium.js("document.querySelector('div').style.height = '4000px'; scrollTo(0, 700)")
        chromium.open("/away")
        return application

    return start


def go_back(chromium: Browser, path: str = "/page") -> None:
    """Press Back, and make sure that the page comes from the back/forward cache."""
    chromium.driver.back()
    chromium.wait_for_path(path)
    chromium.wait(lambda: chromium.js("return window.restored") is True, "the page to come from the back/forward cache")


def test_nothing_is_seen_of_a_page_whose_session_ended_elsewhere(chromium: Browser, leave: Leave) -> None:
    """While the server is asked, while the notice says why, and until the gate: nothing of the old page is painted or can be read."""
    application = leave()
    application.end_session()
    application.holds_answers = True
    go_back(chromium)
    chromium.wait(lambda: [asked for asked in application.asked if asked.path == "/session/beat"][1:], "the server to be asked")
    assert seen(chromium) == NOTHING
    application.holds_answers = False
    shows = "return document.querySelector('stillhere-dialog')?.checkVisibility({ opacityProperty: true, visibilityProperty: true })"
    chromium.wait(lambda: chromium.js(shows), "the notice")
    assert seen(chromium) == NOTHING
    chromium.wait_for_path("/")
    assert "next=%2Fpage&reason=revoked" in chromium.path


def test_a_page_of_a_living_session_comes_back_as_it_was(chromium: Browser, leave: Leave) -> None:
    """It shows as soon as the server has said so, with its text, its place and its own style, under a new view."""
    application = leave(script="document.body.style.color = 'green'; window.first = stillhere.session.state().view")
    application.holds_answers = True
    go_back(chromium)
    assert seen(chromium) == NOTHING
    application.holds_answers = False
    chromium.wait(lambda: seen(chromium) == WHOLE, "the page to show")
    assert chromium.js("return [document.activeElement.value, scrollY]") == ["half a sentence", 700]
    assert chromium.js("return [document.body.style.cssText, document.body.inert]") == ["color: green;", False]
    assert chromium.js("return stillhere.session.state().view !== first") is True


def test_while_the_server_is_away_the_page_stays_covered_and_nobody_is_signed_out(chromium: Browser, leave: Leave) -> None:
    """Trouble shows nothing and ends nothing: when the server answers again, the page is there."""
    application = leave()
    application.is_down = True
    go_back(chromium)
    chromium.wait(lambda: chromium.state()["failures"] >= 2, "two questions in vain")
    assert seen(chromium) == NOTHING
    assert chromium.path == "/page"
    application.is_down = False
    chromium.wait(lambda: seen(chromium) == WHOLE, "the page to show")


def test_an_application_that_ends_by_itself_gets_its_page_back(chromium: Browser, leave: Leave) -> None:
    """Where nobody is sent away, the page is the application's own again as soon as it was told of the end; once more it is not covered."""
    application = leave("/headless", "stillhere.session.on('ended', ({ reason }) => { window.told = reason })")
    application.end_session()
    go_back(chromium, "/headless")
    chromium.wait(lambda: chromium.js("return window.told") == "revoked", "the application to be told")
    chromium.wait(lambda: seen(chromium) == WHOLE, "the page to show")
    chromium.open("/away")
    go_back(chromium, "/headless")
    assert seen(chromium) == WHOLE


def test_a_page_that_was_over_when_it_was_left_shows_nothing_either(chromium: Browser, leave: Leave) -> None:
    """Left while the notice was up, a page comes back covered, and goes to the gate at once."""
    application = leave()
    go_back(chromium)
    chromium.wait(lambda: seen(chromium) == WHOLE, "the page to show")
    application.end_session()
    chromium.js("stillhere.session.check()")
    chromium.wait(lambda: chromium.js("return !!document.querySelector('stillhere-dialog')"), "the notice")
    chromium.js("addEventListener('pageshow', () => fetch('/api/seen-' + getComputedStyle(document.body).opacity))")
    chromium.open("/away")
    chromium.driver.back()
    chromium.wait_for_path("/")
    assert [asked.path for asked in application.asked if "seen" in asked.path] == ["/api/seen-0"]


def test_a_page_whose_client_was_stopped_is_nobodys_business(chromium: Browser, leave: Leave) -> None:
    """After stop() a page goes and comes back as if there had been no client."""
    leave(script="stillhere.session.stop()")
    go_back(chromium)
    assert seen(chromium) == WHOLE
    assert chromium.js("return document.activeElement.value") == "half a sentence"
