"""What is stopped is gone: listeners, timers, channels, locks, memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from stillhere import Policy, hours, seconds
from tests.e2e.react import BADGE, HEART, bundled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.browser import Browser
    from tests.e2e.react import Page

SPY = """
const timers = new Set(), open = new Set()
for (const [set, clear] of [["setTimeout", "clearTimeout"], ["setInterval", "clearInterval"]]) {
  const start = window[set], stop = window[clear]
  window[set] = (fn, ms, ...rest) => {
    const id = start((...given) => { if (set === "setTimeout") timers.delete(id); fn(...given) }, ms, ...rest)
    timers.add(id)
    return id
  }
  window[clear] = (id) => { timers.delete(id); stop(id) }
}
for (const name of ["BroadcastChannel", "EventSource", "WebSocket"]) {
  window[name] = class extends window[name] {
    constructor(...given) { super(...given); open.add(this) }
    close() { open.delete(this); super.close() }
  }
}
window.counted = () => navigator.locks.query().then(({ held, pending }) => {
  const locks = held.length + pending.length
  return { timers: timers.size, open: open.size, locks, dialogs: document.querySelectorAll("stillhere-dialog").length }
})
"""
"""Counts timers and what is open. Listeners are counted by the browser itself: what leaves by a signal calls no `removeEventListener`."""

TARGETS = ("window", "document", "document.documentElement", "navigation", "navigator.connection", "visualViewport", "screen")


@pytest.fixture(scope="module", params=["18", "19"])
def bundle(request: pytest.FixtureRequest, dist: Path) -> bytes:
    """Bundle the page with each React, as it is shipped."""
    return bundled(dist, str(request.param), "production")


CALM = Policy(idle_timeout=seconds(120), warning_timeout=seconds(10), beat_interval=seconds(60), activity_window=seconds(10))

WARNING = Policy(idle_timeout=seconds(60), warning_timeout=seconds(50), beat_interval=seconds(10), activity_window=seconds(10))
"""The warning comes soon and stays for as long as a slow machine needs to look at it."""


@pytest.fixture
def policy(request: pytest.FixtureRequest) -> Policy:
    """Give the policy that a test names, or the calm one."""
    policy: Policy = getattr(request, "param", CALM)
    return policy


@pytest.fixture(autouse=True)
def spy(chromium: Browser) -> Iterator[None]:
    """Count from before the page's first script."""
    added = chromium.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SPY})
    yield
    chromium.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def inventory(page: Page) -> dict[str, Any]:
    """Tell what is there: listeners by target and type, timers, channels, streams, locks, dialogs."""
    counted: dict[str, Any] = page.browser.driver.execute_async_script("counted().then(arguments[0])")
    for target in TARGETS:
        expression = f"Object.fromEntries(Object.entries(getEventListeners({target})).map(([type, all]) => [type, all.length]))"
        command = {"expression": expression, "includeCommandLineAPI": True, "returnByValue": True}
        counted[target] = page.browser.driver.execute_cdp_cmd("Runtime.evaluate", command)["result"]["value"]
    return counted


def wait_for(page: Page, before: dict[str, Any]) -> None:
    """Wait until everything is as it was before."""
    page.browser.wait(lambda: inventory(page) == before, f"{before}, not {inventory(page)}")


@pytest.mark.parametrize(
    ("state", "policy"),
    [("unknown", CALM), ("active", CALM), ("expiring", WARNING), ("ended", CALM)],
    ids=["unknown", "active", "expiring", "ended"],
    indirect=["policy"],
)
def test_stop_takes_everything_back(page: Page, state: str) -> None:
    """Whatever the client is at, asking, waiting, warning, saying goodbye: afterwards the page is as before, and nobody is sent away."""
    before = inventory(page)
    page.stand.holds_answers = state == "unknown"
    page.browser.js("window.session = lab.start({notice: 30_000})")
    page.browser.wait(lambda: page.browser.js("return session.state().state") == ("active" if state == "ended" else state), state)
    if state == "ended":
        page.expected = "status of 401"
        page.stand.end_session()
        page.browser.js("session.check()")
        page.browser.wait(lambda: inventory(page)["dialogs"], "the notice")
    during = inventory(page)
    assert during["timers"], "nothing to take back"
    assert during["window"]["keydown"] == 1
    page.browser.js("session.stop()")
    page.stand.holds_answers = False
    wait_for(page, before)
    page.settle()
    assert inventory(page) == before
    assert page.browser.path == "/"


@pytest.mark.parametrize("policy", [WARNING], ids=["warning"], indirect=True)
def test_the_notice_stays_though_the_warning_showed(page: Page) -> None:
    """The end takes the place of the warning at once: what the browser tells late of the one's closing does not answer the other."""
    page.expected = "status of 401"
    page.browser.js("Object.defineProperty(navigator, 'locks', {value: undefined}); window.session = lab.start({notice: 60_000})")
    looks = "return document.querySelector('stillhere-dialog')?.shadowRoot.querySelector('#card').parentElement.localName"
    page.browser.wait(lambda: page.browser.js(looks) == "dialog", "the warning")
    page.stand.end_session()
    page.browser.js("session.check()")
    page.browser.wait(lambda: page.browser.js(looks) == "div" or page.browser.path != "/", "the notice")
    page.settle()
    assert page.browser.js(looks) == "div"
    page.browser.js("session.stop()")


def test_unmounting_takes_everything_back(page: Page) -> None:
    """The last component gone, the page is as it was when React had rendered nothing of ours."""
    page.show({**BADGE, "options": {"enabled": False}})
    page.unmount()
    before = inventory(page)
    page.show({**BADGE, "options": {"tickMs": 100}}, {**HEART, "options": {}})
    page.wait_for_state("active")
    assert inventory(page) != before
    page.unmount()
    wait_for(page, before)


CYCLES = 10_000 if os.environ.get("TESTS_PROFILE") == "nightly" else 3_000
"""How often components are mounted and taken away; ten thousand times each night."""


class TestMemory:
    """Thousands of times mounted and taken away, by the React of the day."""

    @pytest.fixture
    def bundle(self, dist: Path) -> bytes:
        """Bundle the page as it is shipped."""
        return bundled(dist, "19", "production")

    @pytest.fixture
    def policy(self) -> Policy:
        """Let nothing end meanwhile."""
        return Policy(idle_timeout=hours(1))

    def test_memory_is_stable_over_thousands_of_mount_cycles(self, page: Page) -> None:
        """Each cycle starts a client, which beats, and stops it, which leaves: the heap after all of them is that after half."""
        self.cycle(page, CYCLES // 2)
        early = self.heap(page)
        self.cycle(page, CYCLES // 2)
        late = self.heap(page)
        assert len(page.stand.views()) == CYCLES
        # A single forgotten closure for each cycle would be more.
        assert late["bytes"] - early["bytes"] < 20 * CYCLES, f"{early}, then {late}"
        assert late["nodes"] == early["nodes"]
        assert late["jsEventListeners"] == early["jsEventListeners"]

    @staticmethod
    def cycle(page: Page, times: int) -> None:
        """Mount two components and take them away, so often."""
        for _ in range(times // 20):
            page.browser.driver.execute_async_script("lab.cycle(20).then(arguments[0])")

    @staticmethod
    def heap(page: Page) -> dict[str, int]:
        """Tell what is left once the garbage is collected."""
        page.settle()
        tools = page.browser.driver.execute_cdp_cmd
        for _ in range(3):
            tools("HeapProfiler.collectGarbage", {})
        counters: dict[str, int] = tools("Memory.getDOMCounters", {})
        return {"bytes": tools("Runtime.getHeapUsage", {})["usedSize"], **counters}
