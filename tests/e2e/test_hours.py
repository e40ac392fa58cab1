"""Hours in seconds: the clocks of the page and of the server both run 120 times as fast, so that every span is as long as it really is.

Backoff, ramp, interval and timeouts are those of every day; nothing is scaled against anything else.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from stillhere import Policy, RequestsExtend, hours, minutes, seconds
from tests.e2e.application import Application
from tests.e2e.between import between
from tests.e2e.test_weather import go_offline, recover
from tests.e2e.truth import late_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.between import Between
    from tests.e2e.browser import Browser

FASTER = 120

PAGES = {"/page": "<input autofocus><script src=/session/client.js defer></script>"}

CLOCKS = f"""
const from = BEGAN, now = performance.now.bind(performance), wall = Date.now, {{ setTimeout: later, setInterval: repeat }} = window
performance.now = () => now() * {FASTER}
Date.now = () => from + (wall() - from) * {FASTER}
window.setTimeout = (fn, ms = 0, ...rest) => later(fn, ms / {FASTER}, ...rest)
window.setInterval = (fn, ms = 0, ...rest) => repeat(fn, ms / {FASTER}, ...rest)
"""

OUTAGES = (seconds(30), minutes(5), minutes(30))

CLOSE_MS = seconds(20)
"""A sixth of a second, as it really is."""


class Days:
    """A clock that runs faster, from the moment it is made."""

    def __init__(self) -> None:
        self.began_at = round(time.time() * 1000)

    def __call__(self) -> int:
        """Tell the milliseconds since 1970."""
        return self.began_at + round((time.time() * 1000 - self.began_at) * FASTER)

    def wait(self, span: int) -> None:
        """Let so many of its milliseconds pass."""
        time.sleep(span / FASTER / 1000)  # the span is what is tested


@pytest.fixture
def days() -> Days:
    """Make the clock."""
    return Days()


@pytest.fixture
def application(days: Days) -> Iterator[Application]:
    """Serve an application by that clock."""
    policy = Policy(idle_timeout=hours(1), absolute_timeout=hours(8), requests_extend=RequestsExtend.NONE)
    application = Application(policy, PAGES, days)
    with application.serving():
        yield application


@pytest.fixture
def sky(application: Application, chromium: Browser, days: Days) -> Iterator[Between]:
    """Put a proxy before it, and somebody who has signed in and types before that."""
    with ExitStack() as later, between(application.url) as sky:
        added = chromium.driver.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument", {"source": CLOCKS.replace("BEGAN", str(days.began_at))}
        )
        later.callback(chromium.driver.execute_cdp_cmd, "Page.removeScriptToEvaluateOnNewDocument", added)
        chromium.base = sky.url
        chromium.open("/enter?then=/page")
        chromium.wait_for_client()
        yield sky
        go_offline(chromium, offline=False)
        chromium.driver.get("about:blank")


@pytest.mark.parametrize("outage", ["the browser has no network", "connections are refused"])
def test_outages_of_half_a_minute_to_half_an_hour(
    chromium: Browser, application: Application, sky: Between, days: Days, outage: str
) -> None:
    """The page waits and asks ever less often; then the time is counted, and who typed meanwhile was active when they did."""
    chromium.record()
    for span in OUTAGES:
        chromium.js("window.told.length = 0")
        down_at = days()
        sky.down() if outage.startswith("conn") else go_offline(chromium)
        chromium.js("window.stillhere.session.beat()")
        days.wait(span // 3)
        types_at = days()
        chromium.type()
        typed_at = days()
        days.wait(span - span // 3)
        assert chromium.path == "/page"
        tried = [told for told in chromium.told() if told["via"] == "fetch" and told["status"] is None]
        # Waits double up to two minutes, and by the dice are half of that: nine tries in the first five minutes, then one a minute.
        assert 1 <= len(tried) <= 12 + 2 * (days() - down_at) / minutes(1)
        came = len(sky.messages)
        sky.up() if outage.startswith("conn") else go_offline(chromium, offline=False)
        least_ms, back_at = chromium.state()["visibleMs"], days()
        recover(chromium)
        assert len(sky.messages) - came <= 4 + (days() - back_at) / minutes(3), "a storm"
        session = application.session
        assert session.ended_at is None
        # What came late was credited late: so much of its way passes a hundred times as fast here.
        late = CLOSE_MS + max(told["ms"] for told in chromium.told() if told["status"] == 200) + FASTER * late_ms(chromium)
        assert types_at - CLOSE_MS < session.last_active_at < typed_at + late
        assert least_ms - late < application.visible_ms < chromium.state()["visibleMs"] + CLOSE_MS
    # A timer that a busy machine lets be late by 40 ms is five seconds late here, which passes for sleep.
    assert chromium.state()["visibleMs"] > 0.6 * sum(OUTAGES)
