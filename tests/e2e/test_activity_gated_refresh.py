"""A React hook that beats only while somebody is active and the tab is on screen: `examples/activity_gated_refresh`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.examples import HASTE, example, sent, watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House

WHO = "somebody"
BEAT = "/api/auth/heartbeat"
IDLE_S = 4
TICK = {"intervalMs = 5 * 60 * 1000": "intervalMs = 1_000"}
WINDOW_MS = 2_500
WINDOW = {"idleThresholdMs = 2 * 60 * 1000": f"idleThresholdMs = {WINDOW_MS}"}
SHORT_SESSION = {
    "SessionManager, minutes": "SessionManager, seconds",
    "idle_timeout=minutes(15)": f"idle_timeout=seconds({IDLE_S}), {HASTE}",
}

GATED = {"use-heartbeat.ts": {**TICK, **WINDOW}}
"""A tick each second, as long as the last input is no older than 2.5 s; the session lasts."""

UNGATED = {"use-heartbeat.ts": TICK}
"""A tick each second, with the window of two minutes that the hook has by itself."""

SHORT = {**GATED, "activity_gated_refresh.py": SHORT_SESSION}
"""The first, and a session that ends after 4 s without activity."""


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """Bundle and serve the example with the times that a test asks for."""
    with example("activity_gated_refresh", tmp_path, database="sessions.db", changes=request.param) as served:
        yield served


def enter(browser: Browser) -> None:
    """Sign in by the form, and wait for the page."""
    watch(browser)
    browser.open("/")
    browser.find("button").click()
    browser.wait(lambda: browser.js("return document.querySelector('textarea') === document.activeElement"), "the form")


def told(browser: Browser, name: str) -> int:
    """Read how often a callback was called."""
    return int(browser.js("return document.getElementById(arguments[0])?.textContent ?? 0", name))


def statuses(browser: Browser) -> list[int]:
    """Tell how the beats were answered."""
    return [beat.status for beat in sent(browser, BEAT)]


def work(browser: Browser, seconds: float) -> None:
    """Type for a while, as a person does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        browser.type()
        time.sleep(0.4)  # a person's pace


@pytest.mark.parametrize("house", [SHORT], indirect=True)
def test_whoever_works_stays_signed_in(browser: Browser, house: House) -> None:
    """Twice the idle timeout without a navigation: each beat is answered, the session goes on, the page hears of it."""
    enter(browser)
    work(browser, 2 * IDLE_S)
    assert set(statuses(browser)[:-1]) == {200}
    assert len(statuses(browser)) >= IDLE_S
    assert told(browser, "refreshed") >= IDLE_S
    assert (told(browser, "failed"), told(browser, "expired")) == (0, 0)
    session = house.session_of(WHO)
    assert session["ended_at"] is None
    assert session["last_active_at"] - session["created_at"] > IDLE_S * 1_000
    assert browser.problems() == []


@pytest.mark.parametrize("house", [GATED], indirect=True)
def test_without_input_nothing_is_sent(browser: Browser, house: House) -> None:
    """Once the last input is older than the window the ticks send nothing; the next input lets the next tick send again."""
    enter(browser)
    browser.wait(lambda: browser.js("return performance.now()") > WINDOW_MS + 3_500, "the window, and three ticks after it, to pass")
    quiet = sent(browser, BEAT)
    assert 1 <= len(quiet) <= 3
    assert quiet[-1].at < WINDOW_MS + 1_000
    typed_at = browser.js("return performance.now()")
    browser.type()
    browser.wait(lambda: len(sent(browser, BEAT)) > len(quiet), "a beat after the input")
    assert sent(browser, BEAT)[-1].at - typed_at < 1_500
    assert house.session_of(WHO)["ended_at"] is None


@pytest.mark.parametrize("house", [UNGATED], indirect=True)
def test_a_hidden_tab_sends_nothing_and_a_return_beats_at_once(browser: Browser, house: House) -> None:
    """Within the window of activity, but behind another tab: no tick sends; back after more than a tick, one beat comes at once."""
    enter(browser)
    browser.wait(lambda: 200 in statuses(browser), "the first beat")
    tab = browser.hide()
    time.sleep(4)  # four ticks pass
    browser.show(tab)
    hidden_at, shown_at = browser.js("return window.turns")
    browser.wait(lambda: sent(browser, BEAT)[-1].at >= shown_at, "a beat after the return")
    beats = [beat.at for beat in sent(browser, BEAT)]
    assert [at for at in beats if hidden_at < at < shown_at] == []
    assert next(at for at in beats if at >= shown_at) - shown_at < 500
    assert house.session_of(WHO)["ended_at"] is None


@pytest.mark.parametrize("house", [SHORT], indirect=True)
def test_the_end_is_told_once_and_then_nothing_is_sent(browser: Browser, house: House) -> None:
    """Who comes back too late gets one 401 and one call of `onSessionExpired`, and however they go on, not one more beat."""
    enter(browser)
    browser.wait(lambda: browser.js("return performance.now()") > WINDOW_MS + 2_000 + IDLE_S * 1_000, "the session to end unnoticed")
    assert told(browser, "expired") == 0
    browser.type()
    browser.wait(lambda: told(browser, "expired") == 1, "the end to be told")
    beats = len(statuses(browser))
    work(browser, 3)
    assert (told(browser, "expired"), told(browser, "failed")) == (1, 0)
    assert len(statuses(browser)) == beats
    assert statuses(browser).count(401) == 1
    session = house.session_of(WHO)
    assert (session["ended_by"], session["ended_at"]) == ("idle", session["last_active_at"] + IDLE_S * 1_000)


@pytest.mark.parametrize("house", [GATED], indirect=True)
def test_the_path_answers_as_the_hook_expects(browser: Browser, house: House) -> None:
    """A beat is answered 200 with `accessTokenExpiresAt`, any other method 405 with `Allow: POST`; neither is ever cached."""
    enter(browser)
    ask = (
        "return fetch(arguments[0], {method: arguments[1]}).then(async answer => "
        "[answer.status, answer.headers.get('allow'), answer.headers.get('cache-control'), await answer.json()])"
    )
    status, allow, caching, answer = browser.js(ask, BEAT, "POST")
    assert (status, allow, caching) == (200, None, "private, no-store")
    assert answer["accessTokenExpiresAt"] is None
    for method in ("GET", "PUT", "DELETE"):
        status, allow, caching, _ = browser.js(ask, BEAT, method)
        assert (status, allow, caching) == (405, "POST", "private, no-store")
    assert house.session_of(WHO)["ended_at"] is None
