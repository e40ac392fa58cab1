"""Streams in a real browser, without our client: what a page of ours may open, and what a page of another origin may not."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House

WHO: Final = "investor@fund.example"

OPEN: Final = """
window.told = []
const tell = (name, what) => window.told.push([name, what])
const events = new EventSource(arguments[0] + "/session/events", { withCredentials: true })
for (const name of ["state", "expiring", "ended"]) events.addEventListener(name, event => tell("events " + name, JSON.parse(event.data)))
events.onerror = () => tell("events error", events.readyState)
const socket = new WebSocket(arguments[0].replace("http", "ws") + "/session/socket")
socket.onmessage = event => { const { event: name, data } = JSON.parse(event.data); tell("socket " + name, data) }
socket.onclose = event => tell("socket close", event.code)
"""
"""Opens a stream of each kind at an origin and remembers all that is told."""


def told(browser: Browser) -> dict[str, Any]:
    """Tell what the streams have told so far, the last of each name."""
    return dict(browser.js("return window.told"))


@contextmanager
def hostile_site() -> Iterator[str]:
    """Serve a page of another origin on the same host, so that the browser adds the cookie even to what that page asks for."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title>")

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_page_of_ours_is_told_by_both_kinds(browser: Browser, house: House) -> None:
    """Under the site's content security policy both open, tell the state and the end with its reason, and are closed as documented."""
    browser.enter(WHO)
    browser.open("/")  # a page without our client, which would leave when the session ends
    browser.js(OPEN, house.url)
    browser.wait(lambda: {"events state", "socket state"} <= told(browser).keys(), "both states")
    assert told(browser)["events state"].keys() == told(browser)["socket state"].keys() >= {"state", "expiresInMs", "warnInMs", "canExtend"}
    house.end_from_elsewhere(WHO)
    browser.wait(lambda: {"events error", "socket close"} <= told(browser).keys(), "both ends")
    heard = told(browser)
    assert heard["events ended"]["reason"] == heard["socket ended"]["reason"] == "revoked"
    assert heard["socket close"] == 4401


def test_a_page_of_another_origin_is_told_nothing(browser: Browser, house: House) -> None:
    """The browser sends the cookie along, and the server refuses all the same; the session does not notice."""
    browser.enter(WHO)
    before = house.session_of(WHO)
    with hostile_site() as elsewhere:
        browser.driver.get(f"{elsewhere}/")
        browser.js(OPEN, house.url)
        browser.wait(lambda: {"events error", "socket close"} <= told(browser).keys(), "both refusals")
        assert told(browser) == {"events error": 2, "socket close": 1006}
    after = house.session_of(WHO)
    assert (after["last_active_at"], after["ended_at"]) == (before["last_active_at"], None)
