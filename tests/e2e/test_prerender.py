"""A page that the browser renders ahead: nobody has seen it, so it is nothing until somebody goes there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.browser import Browser
    from tests.e2e.conftest import Visit

CLIENT = "<script src=/session/client.js defer></script>"

PAGES = {"/page": "Here" + CLIENT, "/next": "There" + CLIENT + "<script src=/poller.js></script>"}

AHEAD = """
const rules = document.createElement("script")
rules.type = "speculationrules"
rules.textContent = JSON.stringify({ prerender: [{ source: "list", urls: ["/next"] }] })
document.head.append(rules)
"""


def test_a_page_rendered_ahead_is_nothing_until_somebody_goes_there(chromium: Browser, visit: Visit) -> None:
    """Its scripts run for seconds, and it says no word and has no view; then it beats at once, and counts from there."""
    application = visit("/page", PAGES, idle_timeout=60_000, beat_interval=30_000)
    # Rules in the page are scripts to the policy, and this page has none of its own.
    chromium.driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    chromium.driver.refresh()
    chromium.wait_for_client()
    views = application.views()
    chromium.js(AHEAD)
    chromium.wait(lambda: len([asked for asked in application.asked if asked.path == "/api/poll"]) >= 3, "scripts to run ahead")
    assert application.views() == views
    began = time.time() * 1000
    chromium.js("location.href = '/next'")
    chromium.wait_for_path("/next")
    chromium.wait_for_client()
    assert chromium.js("return performance.getEntriesByType('navigation')[0].activationStart") > 2_000, "it was not rendered ahead"
    # It may have heard ahead, from the page before it, that the session lives.
    chromium.wait(lambda: application.views() - views == {chromium.state()["view"]}, "its first beat, and no other page's")
    assert chromium.state()["visibleMs"] <= time.time() * 1000 - began
    chromium.driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": False})
