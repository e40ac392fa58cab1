"""A session in a real browser: warned, kept, ended once, taken up again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House, StartBrowser, StartHouse

WHO = "investor@fund.example"

BRIEF = ("--idle-timeout", "14s", "--warning-timeout", "7s", "--beat-interval", "7s", "--activity-window", "7s")
"""Timeouts for tests that wait for an end."""


ORDER_MS = 100
"""The client hears of a turn of the page before the test does."""


def record_turns(browser: Browser) -> None:
    """Keep every message from now on, and when the page was hidden and shown."""
    browser.record()
    browser.js("window.turns = []; document.addEventListener('visibilitychange', () => turns.push(performance.now()))")


def sent_at(told: dict[str, Any]) -> float:
    """Tell when a message was sent; it is told of when it was answered."""
    return float(told["at"] - told["ms"])


def beats_since(browser: Browser, hidden_at: float) -> list[dict[str, Any]]:
    """List the beats sent since the page was hidden."""
    return [told for told in browser.told() if told["kind"] == "beat" and sent_at(told) > hidden_at]


def test_the_page_beats_and_the_console_stays_clean(browser: Browser, house: House) -> None:
    """A gated page opens a view at once, under the site's strict content security policy."""
    browser.enter(WHO)
    house.wait_for_visit(WHO, bool, "the first beat")
    [view] = house.rows("views")
    assert (view["page"], view["lifecycle"]) == ("/confidential", "active")
    assert browser.problems() == []


def test_a_return_to_the_tab_beats_at_once(browser: Browser) -> None:
    """Coming back to a tab tells the server so within moments, not at the next interval."""
    browser.enter(WHO)
    record_turns(browser)
    tab = browser.hide()
    browser.show(tab)
    [hidden_at, *_, shown_at] = browser.js("return turns")
    browser.wait(lambda: beats_since(browser, hidden_at), "a beat after the return")
    [beat, *_] = beats_since(browser, hidden_at)
    assert beat["status"] == 200
    assert -ORDER_MS < sent_at(beat) - shown_at < 1_000


def test_a_hidden_tab_says_its_last_words_and_then_nothing(browser: Browser) -> None:
    """While a tab is hidden it sends nothing, past several marks of the ramp."""
    browser.enter(WHO)
    record_turns(browser)
    tab = browser.hide()
    time.sleep(8)  # the marks at 5 s pass
    browser.show(tab)
    [hidden_at, *_, shown_at] = [at - ORDER_MS for at in browser.js("return turns")]
    assert [told["kind"] for told in browser.told() if hidden_at < sent_at(told) < shown_at] == ["leave"]


def test_a_tab_that_nobody_saw_leaves_no_row(browser: Browser, house: House) -> None:
    """A page opened in the background opens no view until somebody looks at it."""
    browser.enter(WHO)
    house.wait_for_visit(WHO, bool, "the first beat")
    background = browser.open_in_background("/lab")
    time.sleep(7)  # it has had its chance
    assert [view["page"] for view in house.rows("views")] == ["/confidential"]
    browser.driver.switch_to.window(background)
    browser.driver.execute_cdp_cmd("Target.activateTarget", {"targetId": background})
    browser.wait(lambda: len(house.rows("views")) == 2, "the view, once somebody looks")


def test_the_warning_shows_and_only_a_choice_extends(start_house: StartHouse, start_browser: StartBrowser) -> None:
    """Idle for 7 of 30 seconds, a person is warned; typing then does not extend, the button does."""
    house = start_house(*BRIEF, "--idle-timeout", "30s", "--warning-timeout", "23s")
    browser = start_browser(house)
    browser.enter(WHO)
    browser.record()
    browser.wait(lambda: browser.js("return !!document.querySelector('stillhere-dialog')"), "the warning")
    before = house.session_of(WHO)["last_active_at"]
    browser.type("xyz")
    remaining = browser.state()["expiresInMs"]
    browser.wait(lambda: browser.state()["expiresInMs"] < remaining - 1_500, "time to pass while typing")
    assert house.session_of(WHO)["last_active_at"] == before
    assert browser.state()["state"] == "expiring"
    browser.js("document.querySelector('stillhere-dialog').shadowRoot.querySelector('#primary').click()")
    browser.wait(lambda: browser.state()["state"] == "active", "the session to be extended")
    assert [told["kind"] for told in browser.told() if told["kind"] not in {"beat", "check"}] == ["extend"]
    assert house.session_of(WHO)["last_active_at"] > before


def test_an_idle_session_ends_with_one_notice_and_one_redirect(start_house: StartHouse, start_browser: StartBrowser) -> None:
    """Left alone, the page says why it ended, then goes to the gate with the way back."""
    house = start_house(*BRIEF)
    browser = start_browser(house)
    browser.enter(WHO)
    browser.wait_for_path("/")
    assert "next=%2Fconfidential" in browser.path
    assert "reason=idle" in browser.path
    assert "without activity" in browser.text()
    session = house.session_of(WHO)
    assert session["ended_by"] == "idle"
    assert session["ended_at"] == session["last_active_at"] + 14_000


def test_a_session_ended_elsewhere_is_noticed_at_the_next_message(browser: Browser, house: House) -> None:
    """An operator ends the session; the page learns it, says so once and leaves."""
    browser.enter(WHO)
    browser.js("sessionStorage.notices = 0; window.stillhere.session.on('ended', () => sessionStorage.notices++)")
    house.end_from_elsewhere(WHO)
    browser.js("for (let i = 0; i < 5; i++) window.stillhere?.session?.check()")  # it may be gone already
    browser.wait_for_path("/")
    assert browser.js("return sessionStorage.notices") == "1"
    assert "reason=revoked" in browser.path


def test_a_restored_page_is_a_new_view_and_is_checked(browser: Browser, house: House) -> None:
    """Back from the back/forward cache, a living session goes on under a new view at once."""
    browser.enter(WHO)
    first = browser.state()["view"]
    browser.js("window.addEventListener('pageshow', e => { window.restored = e.persisted })")
    browser.open("/healthz")
    browser.driver.back()
    browser.wait(lambda: browser.js("return window.restored") is True, "the page to come from the back/forward cache")
    browser.wait(lambda: browser.state()["view"] != first, "a new view")
    browser.wait(lambda: len(house.rows("views")) == 2, "its first beat")
    assert [visit["subject"] for visit in house.rows("visits")] == [WHO]


def test_a_restart_loses_nothing_and_signs_nobody_out(
    start_house: StartHouse,
    start_browser: StartBrowser,
) -> None:
    """The server dies and comes back in the middle of a visit; the page waits, and the visit goes on."""
    house = start_house()
    browser = start_browser(house)
    browser.enter(WHO)
    browser.record()
    before = house.wait_for_visit(WHO, lambda visit: visit["visible_ms"] > 4_000, "the mark at 5 s")
    house.program.process.kill()
    house.program.process.wait()
    browser.js("window.stillhere.session.beat()")
    browser.wait(lambda: any(not told["status"] for told in browser.told()), "a message into the void")
    assert browser.path == "/confidential"
    port = int(house.url.rpartition(":")[2])
    start_house(port=port)
    after = house.wait_for_visit(WHO, lambda visit: visit["visible_ms"] > before["visible_ms"] + 1_000, "the visit to go on")
    assert after["number"] == 1
    assert browser.path == "/confidential"
    assert browser.state()["state"] == "active"


def test_signed_out_in_one_tab_is_signed_out_in_the_other(browser: Browser, house: House) -> None:
    """A sign-out counts its tab's last moments; the other tab says so once when it is looked at, and Back shows nothing of it."""
    browser.enter(WHO)
    first = browser.driver.current_window_handle
    browser.hide()
    browser.open("/confidential")
    browser.wait_for_client()
    browser.js("window.stillhere.session.end()")
    browser.wait_for_path("/")
    assert "You signed out." in browser.text()
    assert house.session_of(WHO)["ended_by"] == "signed_out"
    browser.show(first)
    browser.wait_for_path("/")
    assert "next=%2Fconfidential" in browser.path
    browser.driver.back()
    browser.wait_for_path("/")
    assert len(house.rows("visits")) == 1


def test_a_session_that_ended_while_hidden_is_noticed_on_return(start_house: StartHouse, start_browser: StartBrowser) -> None:
    """Who comes back too late is told why, and nothing of the page can be used on."""
    house = start_house(*BRIEF)
    browser = start_browser(house)
    browser.enter(WHO)
    tab = browser.hide()
    browser.wait(lambda: house.session_of(WHO)["ended_by"] == "idle", "the sweep to record the end")
    browser.show(tab)
    browser.wait_for_path("/")
    assert "reason=idle" in browser.path


def test_the_server_dies_while_the_warning_shows(start_house: StartHouse, start_browser: StartBrowser) -> None:
    """A choice to stay that finds no server waits for it, counts from when it was made, and nobody is signed out meanwhile."""
    arguments = (*BRIEF, "--idle-timeout", "37s", "--warning-timeout", "30s")  # a server that starts may need a while
    house = start_house(*arguments)
    browser = start_browser(house)
    browser.enter(WHO)
    browser.wait(lambda: browser.js("return !!document.querySelector('stillhere-dialog')"), "the warning")
    before = house.session_of(WHO)["last_active_at"]
    house.program.process.kill()
    house.program.process.wait()
    browser.js("document.querySelector('stillhere-dialog').shadowRoot.querySelector('#primary').click()")
    browser.wait(lambda: browser.state()["failures"] > 0, "the choice to find nobody")
    assert browser.path == "/confidential"
    start_house(*arguments, port=int(house.url.rpartition(":")[2]))
    browser.wait(lambda: browser.state()["failures"] == 0, "the choice to be heard")
    after = house.session_of(WHO)
    assert (after["last_active_at"] > before, after["ended_at"]) == (True, None)
