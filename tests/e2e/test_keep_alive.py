"""A script that pings while its page is open, unchanged: `examples/keep_alive`. By policy a ping keeps the session, or it does not."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.examples import HASTE, example, hand_on, sent, sent_before, watch
from tests.support import BUSY_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House

WHO = "somebody"
IDLE_MS = 9_000
PING = {"5 * 60 * 1000": "1_000"}
IMPORT = {"BeatsExtend, Policy, SessionManager, minutes": "BeatsExtend, Policy, SessionManager, seconds"}
LIFE_MS = 6_000
SPANS = {"idle_timeout=minutes(30)": f"idle_timeout=seconds(9), {HASTE}", "lifetime=minutes(5)": "lifetime=seconds(6)"}
ALWAYS = {
    "keepalive.js": PING,
    "refresh.js": {"REFRESH_BEFORE_MS = 60 * 1000": "REFRESH_BEFORE_MS = 3_000"},
    "keep_alive.py": {**IMPORT, **SPANS},
}
PATIENT = {
    **ALWAYS,
    "keep_alive.py": {**ALWAYS["keep_alive.py"], "idle_timeout=minutes(30)": f"idle_timeout=seconds(60), {HASTE}"},
}
"""Where a busy machine may let a page wait for more than nine seconds, and that is not what is looked at."""

BY_DEFAULT = {
    **ALWAYS,
    "keep_alive.py": {**ALWAYS["keep_alive.py"], "beats_extend=BeatsExtend.ALWAYS": "beats_extend=BeatsExtend.ACTIVITY"},
}


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """Serve the example, with a session that lasts 9 s without activity and a ping each second."""
    with example("keep_alive", tmp_path, database="sessions.db", changes=request.param) as served:
        yield served


def enter(browser: Browser) -> None:
    """Sign in by the form, and wait for the first ping."""
    watch(browser)
    browser.open("/")
    browser.find("button").click()
    browser.wait(lambda: browser.driver.title == "Editor", "the page")
    browser.wait(lambda: any(ping.status == 200 for ping in sent(browser, "/keepalive")), "the first ping")


def refreshes(browser: Browser) -> list[int]:
    """Tell how this page's refreshes were answered."""
    return [asked.status for asked in sent(browser, "/auth/refresh")]


def refresh_cookie(browser: Browser) -> dict[str, Any]:
    """Read the refresh token's cookie, as only the browser itself can."""
    found: dict[str, Any] | None = browser.driver.get_cookie("refresh")
    assert found is not None
    return found


def asks(browser: Browser) -> str:
    """Press the button that asks with the access token; tells the answer."""
    browser.js("document.getElementById('who').textContent = ''")
    browser.find("#ask").click()
    browser.wait(lambda: browser.find("#who").text, "the answer")
    return browser.find("#who").text


def profile(browser: Browser) -> tuple[int, dict[str, object]]:
    """Ask the application who is signed in."""
    status, answer = browser.js("return fetch('/profile').then(async answer => [answer.status, await answer.json()])")
    return status, answer


@pytest.mark.parametrize("house", [ALWAYS], indirect=True, ids=["always"])
def test_a_ping_keeps_the_session(browser: Browser, house: House) -> None:
    """Under `always` an open page keeps its session, untouched, for much longer than the idle timeout."""
    enter(browser)
    born_at = house.session_of(WHO)["created_at"]
    browser.wait(lambda: house.session_of(WHO)["last_active_at"] - born_at > 2 * IDLE_MS, "pings past twice the idle timeout")
    assert {ping.status for ping in sent(browser, "/keepalive")} - {0} == {200}
    assert profile(browser) == (200, {"userId": WHO})
    assert house.session_of(WHO)["ended_at"] is None
    assert browser.problems() == []


@pytest.mark.parametrize("house", [ALWAYS], indirect=True, ids=["always"])
def test_closing_the_page_lets_it_end(browser: Browser, house: House) -> None:
    """Without the page nothing pings, and the session ends at its idle timeout: who comes back signs in again."""
    enter(browser)
    browser.driver.get("about:blank")
    left_at = time.time() * 1_000
    browser.wait(lambda: time.time() * 1_000 > house.session_of(WHO)["last_active_at"] + IDLE_MS + 500, "the idle timeout to pass")
    browser.open("/")
    assert browser.driver.title == "Sign in"
    session = house.session_of(WHO)
    assert (session["ended_by"], session["ended_at"]) == ("idle", session["last_active_at"] + IDLE_MS)
    assert session["last_active_at"] < left_at + 1_000 * BUSY_S


@pytest.mark.parametrize("house", [BY_DEFAULT], indirect=True, ids=["activity"])
def test_by_default_a_ping_is_no_activity(browser: Browser, house: House) -> None:
    """Under `activity` pings and refreshes are answered and keep nothing: the session ends at its idle timeout, and says so."""
    hand_on(browser)
    enter(browser)
    browser.wait(lambda: browser.driver.title == "Sign in", "a refresh to find the session over")
    assert [ping.status for ping in sent_before(browser, "/keepalive")[:3]] == [200] * 3
    assert [asked.status for asked in sent_before(browser, "/auth/refresh")[:2]] == [200] * 2
    session = house.session_of(WHO)
    assert (session["ended_by"], session["ended_at"]) == ("idle", session["last_active_at"] + IDLE_MS)
    status, problem = profile(browser)
    assert (status, problem["reason"]) == (401, "idle")


@pytest.mark.parametrize("house", [PATIENT], indirect=True, ids=["always"])
def test_a_silent_refresh_keeps_a_page_supplied(browser: Browser, house: House) -> None:
    """The token is replaced in time, again and again, the cookie rotates at each use, and a reload goes on without a sign-in."""
    enter(browser)
    cookies, known = set(), 0
    for _ in range(4):
        browser.wait(lambda known=known: 200 in refreshes(browser)[known:], "the next token")
        cookies.add(refresh_cookie(browser)["value"])
        known = len(refreshes(browser))
        assert asks(browser) == WHO
    assert len(cookies) == 4
    asked = [refresh.at for refresh in sent(browser, "/auth/refresh")]
    assert all(later - earlier < LIFE_MS / 2 + 1_000 * BUSY_S for earlier, later in pairwise(asked))
    assert set(refreshes(browser)) - {0} == {200}
    browser.driver.refresh()
    browser.wait(lambda: 200 in refreshes(browser), "a token for the new page")
    assert asks(browser) == WHO
    assert house.session_of(WHO)["ended_at"] is None
    assert browser.problems() == []


@pytest.mark.parametrize("house", [PATIENT], indirect=True, ids=["always"])
def test_no_script_finds_a_token_that_lasts(browser: Browser, house: House) -> None:
    """The refresh cookie is `HttpOnly` and `Strict`, the storages are empty, and the access token is in memory alone."""
    enter(browser)
    cookie = refresh_cookie(browser)
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert cookie["value"].startswith(house.session_of(WHO)["handle"])
    assert browser.js("return document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)") == "{}{}"


@pytest.mark.parametrize("house", [PATIENT], indirect=True, ids=["always"])
def test_two_tabs_at_once_sign_nobody_out(browser: Browser, house: House) -> None:
    """Two tabs with one cookie refresh in the same moment, over and over: both get their tokens, and nobody takes it for theft."""
    enter(browser)
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("window")
    watch(browser)
    browser.open("/")
    both = (first, browser.driver.current_window_handle)
    ask = "fetch('/auth/refresh', {method: 'POST'}).then(answer => answer.status)"
    for _ in range(4):
        browser.in_each(both, lambda: browser.js(f"window.storm = Promise.all(Array.from({{length: 5}}, () => {ask}))"))
        assert browser.in_each(both, lambda: browser.js("return window.storm")) == [[200] * 5, [200] * 5]
    # The timers of both go off in their own time, too.
    browser.wait(lambda: all(browser.in_each(both, lambda: refreshes(browser).count(200) >= 23)), "more refreshes of both")
    assert browser.in_each(both, lambda: set(refreshes(browser)) - {0}) == [{200}, {200}]
    assert browser.in_each(both, lambda: asks(browser)) == [WHO, WHO]
    assert house.session_of(WHO)["ended_at"] is None


@pytest.mark.parametrize("house", [PATIENT], indirect=True, ids=["always"])
def test_a_sign_out_ends_both_tokens(browser: Browser, house: House) -> None:
    """After a sign-out the token in memory opens nothing, nothing new is given, and the page goes to the sign-in."""
    enter(browser)
    browser.wait(lambda: 200 in refreshes(browser), "the first token")
    ask = (
        "const token = arguments[0] ?? accessToken; "
        "return fetch('/profile', {headers: {Authorization: `Bearer ${token}`}}).then(answer => [token, answer.status])"
    )
    token, status = browser.js(ask, None)
    assert status == 200
    browser.js("void fetch('/session/end', {method: 'POST'})")
    browser.wait(lambda: house.session_of(WHO)["ended_by"] == "signed_out", "the end")
    browser.wait(lambda: browser.driver.title == "Sign in", "the way in")
    assert browser.js(ask, token) == [token, 401]
