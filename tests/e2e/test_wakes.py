"""A page that was frozen, or whose machine slept: it knows within a second what is true now, and the gap counts as nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import BUSY_S

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.e2e.application import Application
    from tests.e2e.browser import Browser
    from tests.e2e.conftest import Visit

PAGES = {"/page": "<input autofocus data-stillhere-saved><script src=/session/client.js defer data-notice=60000></script>"}

IDLE_MS = 14_000

SOON_MS = 1_000 + 1_000 * BUSY_S
"""A second, and what a busy machine takes."""

ON_THE_WAY_MS = 500 + 1_000 * BUSY_S
"""Input is credited from when a message arrives, so two messages can differ by how long they took."""

RECORD = """
  window.log = []
  for (const name of ["expiring", "ended"]) stillhere.session.on(name, () => log.push([name, Date.now()]))
  for (const name of ["freeze", "resume"]) document.addEventListener(name, () => log.push([name, Date.now()]))"""

CARD = "return document.querySelector('stillhere-dialog')?.shadowRoot.textContent ?? ''"


def enter(chromium: Browser, visit: Visit, **policy: Any) -> Application:
    """Sign in, type something, wait until the server knows all of it, and record from there on."""
    application = visit("/page", PAGES, requests_extend="none", **policy)
    born_at = application.session.last_active_at
    chromium.type()
    chromium.js("stillhere.session.quiet(true)")
    chromium.wait(lambda: application.session.last_active_at > born_at, "the server to know of the input")
    chromium.js(RECORD)
    return application


def gap(chromium: Browser, how: str) -> AbstractContextManager[None]:
    """Freeze the page, or stop its process."""
    return chromium.frozen() if how == "frozen" else chromium.asleep()


def log(chromium: Browser, name: str) -> list[float]:
    """Tell when something happened in the page, by the wall clock in milliseconds."""
    return [at for told, at in chromium.js("return log") if told == name]


def back_at(chromium: Browser, woken_at: float) -> float:
    """Tell when the page ran again: to thaw a frozen one takes its time, and the browser says when it is done."""
    return max([woken_at, *log(chromium, "resume")])


@pytest.mark.parametrize("how", ["frozen", "asleep"])
def test_who_comes_back_too_late_sees_the_end_within_a_second(chromium: Browser, visit: Visit, how: str) -> None:
    """No warning flashes by, the page says why it is over, the gap counts nothing, and nobody is taken for active."""
    application = enter(chromium, visit, idle_timeout=IDLE_MS)
    before, visible_ms = application.session, chromium.state()["visibleMs"]
    with gap(chromium, how):
        begun_at = time.time()
        chromium.wait(lambda: time.time() > begun_at + 2, "the last words to arrive")
        said = len(application.messages)
        # Long enough to be over, and to be taken for sleep.
        chromium.wait(lambda: time.time() * 1000 > before.last_active_at + IDLE_MS + 5_000, "the session to be over")
        assert {message["kind"] for message in application.messages[said:]} <= {"leave"}, "the last will of a page that does not answer"
        woken_at = time.time() * 1000
    chromium.wait(lambda: log(chromium, "ended"), "the end")
    assert log(chromium, "ended")[0] - back_at(chromium, woken_at) < SOON_MS
    assert log(chromium, "expiring") == []
    chromium.wait(lambda: "without activity" in chromium.js(CARD), "the notice")
    assert chromium.js("return document.body.inert") is True
    after = application.session
    assert (after.ended_by, after.ended_at) == ("idle", after.last_active_at + IDLE_MS)
    assert after.last_active_at - before.last_active_at < ON_THE_WAY_MS
    assert chromium.state()["visibleMs"] - visible_ms < IDLE_MS - 5_000
    assert len(log(chromium, "freeze")) == len(log(chromium, "resume")) == (how == "frozen")


@pytest.mark.parametrize("how", ["frozen", "asleep"])
def test_who_comes_back_in_time_goes_on(chromium: Browser, visit: Visit, how: str) -> None:
    """The session lives, the server is asked within a second, the gap counts nothing, and nobody is taken for active by coming back."""
    application = enter(chromium, visit, idle_timeout=60_000)
    before, visible_ms, started_at = application.session, chromium.state()["visibleMs"], time.time()
    with gap(chromium, how):
        chromium.wait(lambda: time.time() > started_at + 10, "more than a moment to pass")
        seen_at = application.session.last_seen_at
        woken_at = time.time() * 1000
    chromium.wait(lambda: application.session.last_seen_at > seen_at, "a message")
    assert application.session.last_seen_at - back_at(chromium, woken_at) < SOON_MS
    after = application.session
    assert after.ended_at is None
    assert after.last_active_at - before.last_active_at < ON_THE_WAY_MS
    chromium.wait(lambda: chromium.state()["state"] == "active", "the answer")
    spent_ms = (time.time() - started_at) * 1000
    assert chromium.state()["visibleMs"] - visible_ms < spent_ms - 8_000
    assert application.beats()[-1]["visibleMs"] - visible_ms < spent_ms - 8_000
    assert log(chromium, "expiring") == log(chromium, "ended") == []
