"""A React hook that beats only while somebody is active and the tab is on screen: `examples/activity_gated_refresh`."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.e2e.examples import HASTE, ROOT, example, sent, watch
from tests.e2e.openid import WHO, Home, at_a_provider, sign_in
from tests.services.process import free_port
from tests.support import BUSY_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House, StartBrowser

BEAT = "/api/auth/heartbeat"
IDLE_S = 8
TICK = {"intervalMs = 5 * 60 * 1000": "intervalMs = 1_000"}
WINDOW_MS = 5_000
WINDOW = {"idleThresholdMs = 2 * 60 * 1000": f"idleThresholdMs = {WINDOW_MS}"}
SHORT_SESSION = {
    "SessionManager, StoreError, minutes": "SessionManager, StoreError, seconds",
    "idle_timeout=minutes(15)": f"idle_timeout=seconds({IDLE_S}), {HASTE}",
}

GATED = {"use-heartbeat.ts": {**TICK, **WINDOW}}
"""A tick each second, as long as the last input is no older than 5 s; the session lasts."""

UNGATED = {"use-heartbeat.ts": TICK}
"""A tick each second, with the window of two minutes that the hook has by itself."""

SHORT = {**GATED, "activity_gated_refresh.py": SHORT_SESSION}
"""The first, and a session that ends after 8 s without activity."""


SWEPT = {"SWEEP_EVERY_S = 60": "SWEEP_EVERY_S = 1"}
"""Ends that nobody noticed are recorded each second."""

LIFE_S = 4
"""How long an access token lives where it is scarce; it is due for the next one when half of that is left."""

SCARCE = {"access_lifetime": LIFE_S, "refresh_lifetime": 3 * LIFE_S}
"""A refresh token that nobody uses is over soon, too."""

LIVING = {"access_lifetime": LIFE_S, "refresh_lifetime": 60}
"""The same, where a busy machine may leave one unused for a while."""

LASTING = {"access_lifetime": 600, "refresh_lifetime": 3_600}
"""Nothing is due for as long as a test takes."""

CLIENT = {
    "page.html": {
        '<div id="root"></div>': '<textarea aria-label="Your text" autofocus></textarea>',
        '<script src="/page.js" defer></script>': '<script src="/session/client.js" data-sign-in="/" defer></script>',
    },
    "activity_gated_refresh.py": {
        "SessionManager, StoreError, minutes": "SessionManager, StoreError, seconds",
        "idle_timeout=minutes(15)": "idle_timeout=seconds(16), warning_timeout=seconds(3), ramp=(seconds(1),)",
        "beats_extend=BeatsExtend.ALWAYS": "beat_interval=seconds(1), activity_window=seconds(2), beats_extend=BeatsExtend.ACTIVITY",
        **SWEPT,
    },
}
"""Our client in the place of the hook, beating each second; it warns 3 s before the session ends after 16."""


@pytest.fixture
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Home]:
    """Bundle and serve the example with the times that a test asks for, and a provider to sign in at."""
    changes, lifetimes = request.param if isinstance(request.param, tuple) else (request.param, {})
    with at_a_provider(tmp_path, changes, **lifetimes) as served:
        yield served


@pytest.fixture
def house(home: Home) -> House:
    """Give the application alone."""
    return home.house


def enter(browser: Browser) -> None:
    """Sign in at the provider, and wait for the page."""
    watch(browser)
    browser.open("/")
    sign_in(browser, browser.base)
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


@pytest.mark.parametrize("home", [SHORT], indirect=True)
def test_whoever_works_stays_signed_in(browser: Browser, house: House) -> None:
    """Twice the idle timeout without a navigation: each beat is answered, the session goes on, the page hears of it."""
    enter(browser)
    work(browser, 2 * IDLE_S)
    assert set(statuses(browser)[:-1]) == {200}
    assert told(browser, "refreshed") >= 2
    assert (told(browser, "failed"), told(browser, "expired")) == (0, 0)
    session = house.session_of(WHO)
    assert session["ended_at"] is None
    assert session["last_active_at"] - session["created_at"] > IDLE_S * 1_000
    assert browser.problems() == []


@pytest.mark.parametrize("home", [GATED], indirect=True)
def test_without_input_nothing_is_sent(browser: Browser, house: House) -> None:
    """Once the last input is older than the window the ticks send nothing; the next input lets the next tick send again."""
    enter(browser)
    browser.wait(lambda: sent(browser, BEAT), "the first beat")
    first = sent(browser, BEAT)[0]  # a tick after the window began
    browser.wait(
        lambda: browser.js("return performance.now()") > first.at + WINDOW_MS + 2_000, "the window, and three ticks after it, to pass"
    )
    quiet = sent(browser, BEAT)
    assert quiet[-1].at - first.at < WINDOW_MS
    browser.js("addEventListener('keydown', () => window.typedAt ??= performance.now(), true)")
    browser.type()
    browser.wait(lambda: len(sent(browser, BEAT)) > len(quiet), "a beat after the input")
    assert 0 <= sent(browser, BEAT)[len(quiet)].at - browser.js("return typedAt") < 1_500 + 1_000 * BUSY_S
    assert house.session_of(WHO)["ended_at"] is None


@pytest.mark.parametrize("home", [UNGATED], indirect=True)
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
    assert next(at for at in beats if at >= shown_at) - shown_at < 900  # the next tick would be a second later
    assert house.session_of(WHO)["ended_at"] is None


@pytest.mark.parametrize("home", [SHORT], indirect=True)
def test_the_end_is_told_once_and_then_nothing_is_sent(browser: Browser, house: House) -> None:
    """Who comes back too late gets one 401 and one call of `onSessionExpired`, and however they go on, not one more beat."""
    enter(browser)
    browser.wait(
        lambda: time.time() * 1_000 > house.session_of(WHO)["last_active_at"] + IDLE_S * 1_000 + 500, "the session to end unnoticed"
    )
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


@pytest.mark.parametrize("home", [(GATED, LASTING)], indirect=True)
def test_the_path_answers_as_the_hook_expects(browser: Browser, house: House) -> None:
    """A beat is answered 200 with when the provider's token ends, any other method 405 with `Allow: POST`; neither is ever cached."""
    enter(browser)
    ask = (
        "return fetch(arguments[0], {method: arguments[1]}).then(async answer => "
        "[answer.status, answer.headers.get('allow'), answer.headers.get('cache-control'), await answer.json()])"
    )
    status, allow, caching, answer = browser.js(ask, BEAT, "POST")
    assert (status, allow, caching) == (200, None, "private, no-store")
    left_s = datetime.fromisoformat(answer["accessTokenExpiresAt"]).timestamp() - time.time()
    assert 0 < left_s <= 600
    for method in ("GET", "PUT", "DELETE"):
        status, allow, caching, _ = browser.js(ask, BEAT, method)
        assert (status, allow, caching) == (405, "POST", "private, no-store")
    assert house.session_of(WHO)["ended_at"] is None


@pytest.mark.parametrize("home", [({**SHORT, "activity_gated_refresh.py": {**SHORT_SESSION, **SWEPT}}, SCARCE)], indirect=True)
def test_tokens_are_fresh_while_somebody_works_and_dead_when_they_stop(browser: Browser, home: Home) -> None:
    """Five lives of a token typed through without a navigation; then no refresh any more, the end, and what was left is taken back."""
    began = time.monotonic()
    enter(browser)
    work(browser, 5 * LIFE_S)
    assert 4 <= home.refreshes <= (time.monotonic() - began) // (LIFE_S // 2) + 1
    assert home.provider.calls["revocation"] == 0
    assert asks_the_api(browser) == WHO
    assert (told(browser, "failed"), told(browser, "expired")) == (0, 0)
    browser.js("document.activeElement.blur()")
    stopped_at = browser.js("return performance.now()")
    browser.wait(lambda: browser.js("return performance.now()") - stopped_at > WINDOW_MS + 1_500, "the window to pass")
    browser.wait(lambda: 0 not in statuses(browser), "the last beat to be answered")
    refreshed = home.refreshes
    wait_until(lambda: home.house.session_of(WHO)["ended_by"] == "idle", what="the end")
    wait_until(lambda: home.provider.calls["revocation"] >= 1, what="the tokens to be taken back")
    assert home.refreshes == refreshed
    work(browser, 2)
    browser.wait(lambda: told(browser, "expired") == 1, "the end to be told")
    assert home.refreshes == refreshed


@pytest.mark.parametrize("home", [(GATED, LASTING)], indirect=True)
def test_a_provider_on_another_site_and_a_strict_cookie_go_together(browser: Browser, home: Home) -> None:
    """One login, one callback, one code: people who come back from another site are signed in, and stay so over a reload."""
    enter(browser)
    cookie = browser.driver.get_cookie("session")
    assert cookie is not None
    assert (cookie["sameSite"], cookie["httpOnly"]) == ("Strict", True)
    assert [name for name in (each["name"] for each in browser.driver.get_cookies()) if name.startswith("login")] == []
    asked = [line.split('"')[1].split("?")[0].removesuffix(" HTTP/1.1") for line in log_of(home) if " /session/" in line]
    assert asked == ["GET /session/login", "GET /session/callback"]
    assert home.provider.calls["token"] == 1
    browser.driver.refresh()
    browser.wait(lambda: browser.driver.title == "A long form", "the page again")
    assert asks_the_api(browser) == WHO
    assert home.refreshes == 0
    assert browser.problems() == []


@pytest.mark.parametrize("home", [(GATED, LIVING)], indirect=True)
def test_five_tabs_ask_no_oftener_than_one(browser: Browser, home: Home) -> None:
    """Five tabs on screen, used in turn, share one session's tokens: each is replaced once, whoever beats first, and all stay signed in."""
    enter(browser)
    tabs = [browser.driver.current_window_handle]
    for _ in range(4):
        browser.driver.switch_to.new_window("window")
        watch(browser)
        browser.open("/")
        browser.wait(lambda: browser.js("return document.querySelector('textarea') !== null"), "the form")
        tabs.append(browser.driver.current_window_handle)
    began, before = time.monotonic(), home.refreshes
    while (took_s := time.monotonic() - began) < 3 * LIFE_S:
        browser.in_each(tabs, browser.type)
    assert 1 <= home.refreshes - before <= took_s // (LIFE_S // 2) + 1
    assert browser.in_each(tabs, lambda: (told(browser, "expired"), told(browser, "failed"))) == [(0, 0)] * 5
    beats = browser.in_each(tabs, lambda: [status for status in statuses(browser) if status])
    assert {status for each in beats for status in each} == {200}
    assert sum(map(len, beats)) > home.refreshes - before
    assert home.house.session_of(WHO)["ended_at"] is None


@pytest.mark.parametrize("home", [(CLIENT, LIVING)], indirect=True)
def test_our_client_in_its_place_warns_before_the_end(browser: Browser, home: Home) -> None:
    """With our client typing keeps session and tokens; stop, and nothing is refreshed, the warning comes, then the end."""
    enter(browser)
    browser.wait_for_client()
    browser.js("stillhere.session.on('expiring', () => { sessionStorage.warned = 'yes' })")
    work(browser, 4 * LIFE_S)
    assert home.refreshes >= 3
    assert browser.js("return [stillhere.session.state().state, sessionStorage.warned ?? null]") == ["active", None]
    browser.wait(lambda: browser.js("return sessionStorage.warned"), "the warning")
    refreshed = home.refreshes
    wait_until(lambda: home.house.session_of(WHO)["ended_by"] == "idle", what="the end")
    wait_until(lambda: home.provider.calls["revocation"] >= 1, what="the tokens to be taken back")
    assert home.refreshes == refreshed


@pytest.mark.parametrize("home", [GATED], indirect=True)
def test_a_sign_out_takes_the_tokens_back_and_leads_to_the_providers(browser: Browser, home: Home) -> None:
    """The button ends the session, has the tokens revoked, and goes to where the person signs out at the provider, too."""
    enter(browser)
    browser.find("#leave").click()
    browser.wait(lambda: str(browser.driver.current_url).startswith(home.provider.url), "the provider's sign-out")
    assert home.house.session_of(WHO)["ended_by"] == "signed_out"
    wait_until(lambda: home.provider.calls["revocation"] >= 1, what="the tokens to be taken back")
    browser.open("/")
    assert browser.driver.title == "Sign in"


def test_it_runs_as_it_is(tmp_path: Path, start_browser: StartBrowser) -> None:
    """Without any setting the example starts the provider that comes with it, and people sign in there."""
    environment = {"PORT": str(free_port())}
    modules = ROOT / "tests" / "services" / "oidc" / "node_modules"
    served = example("activity_gated_refresh", tmp_path, database="sessions.db", changes={}, environment=environment, modules=modules)
    with served as house:
        browser = start_browser(house)
        enter(browser)
        assert asks_the_api(browser) == WHO
        assert house.session_of(WHO)["ended_at"] is None


def asks_the_api(browser: Browser) -> str:
    """Press the button that has the application call an API in the person's name; tells what came."""
    browser.find("#ask").click()
    browser.wait(lambda: browser.find("#who").text, "the API's answer")
    return browser.find("#who").text


def log_of(home: Home) -> list[str]:
    """Read what the application logged."""
    return home.house.program.log.read_text("utf-8").splitlines()
