"""A script that pings while its page is open, unchanged: `examples/keep_alive`. By policy a ping keeps the session, or it does not."""

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
IDLE_MS = 5_000
PING = {"5 * 60 * 1000": "1_000"}
IMPORT = {"BeatsExtend, Policy, SessionManager, minutes": "BeatsExtend, Policy, SessionManager, seconds"}
ALWAYS = {"keepalive.js": PING, "keep_alive.py": {**IMPORT, "idle_timeout=minutes(30)": f"idle_timeout=seconds(5), {HASTE}"}}
BY_DEFAULT = {
    **ALWAYS,
    "keep_alive.py": {**ALWAYS["keep_alive.py"], "beats_extend=BeatsExtend.ALWAYS": "beats_extend=BeatsExtend.ACTIVITY"},
}


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """Serve the example, with a session that lasts 5 s without activity and a ping each second."""
    with example("keep_alive", tmp_path, database="sessions.db", changes=request.param) as served:
        yield served


def enter(browser: Browser) -> None:
    """Sign in by the form, and wait for the first ping."""
    watch(browser)
    browser.open("/")
    browser.find("button").click()
    browser.wait(lambda: browser.driver.title == "Editor", "the page")
    browser.wait(lambda: any(ping.status == 200 for ping in sent(browser, "/keepalive")), "the first ping")


def profile(browser: Browser) -> tuple[int, dict[str, object]]:
    """Ask the application who is signed in."""
    status, answer = browser.js("return fetch('/profile').then(async answer => [answer.status, await answer.json()])")
    return status, answer


@pytest.mark.parametrize("house", [ALWAYS], indirect=True, ids=["always"])
def test_a_ping_keeps_the_session(browser: Browser, house: House) -> None:
    """Under `always` an open page keeps its session, untouched, for much longer than the idle timeout."""
    enter(browser)
    began = time.monotonic()
    browser.wait(lambda: time.monotonic() - began > 2 * IDLE_MS / 1_000, "twice the idle timeout to pass")
    assert {ping.status for ping in sent(browser, "/keepalive")[:-1]} == {200}
    assert profile(browser) == (200, {"userId": WHO})
    session = house.session_of(WHO)
    assert session["ended_at"] is None
    assert session["last_active_at"] - session["created_at"] > 2 * IDLE_MS
    assert browser.problems() == []


@pytest.mark.parametrize("house", [ALWAYS], indirect=True, ids=["always"])
def test_closing_the_page_lets_it_end(browser: Browser, house: House) -> None:
    """Without the page nothing pings, and the session ends at its idle timeout: who comes back signs in again."""
    enter(browser)
    browser.driver.get("about:blank")
    left = house.session_of(WHO)["last_active_at"]
    began = time.monotonic()
    browser.wait(lambda: time.monotonic() - began > IDLE_MS / 1_000 + 1, "the idle timeout to pass")
    browser.open("/")
    assert browser.driver.title == "Sign in"
    session = house.session_of(WHO)
    assert (session["ended_by"], session["ended_at"]) == ("idle", left + IDLE_MS)


@pytest.mark.parametrize("house", [BY_DEFAULT], indirect=True, ids=["activity"])
def test_by_default_a_ping_is_no_activity(browser: Browser, house: House) -> None:
    """Under `activity` the pings are answered and keep nothing: the session ends at its idle timeout, and says so."""
    enter(browser)
    browser.wait(lambda: sent(browser, "/keepalive")[-1].status == 401, "a ping to find the session over")
    session = house.session_of(WHO)
    assert (session["ended_by"], session["ended_at"]) == ("idle", session["last_active_at"] + IDLE_MS)
    status, problem = profile(browser)
    assert (status, problem["reason"]) == (401, "idle")
    assert [ping.status for ping in sent(browser, "/keepalive")[:4]] == [200] * 4
