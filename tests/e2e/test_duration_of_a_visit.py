"""A script that was there before stillhere measures how long people stay, unchanged: `examples/duration_of_a_visit`."""

from __future__ import annotations

import time
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.examples import example, sent, watch
from tests.support import BUSY_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House

WHO = "investor@fund.example"
PARTNER = "partner@ventures.example"
BEAT = "/api/session-heartbeat"
PAGE = "/portfolio/confidential"
BRISK = {"heartbeat.js": {"3 * 60 * 1000": "1_500"}}
"""A beat each second and a half instead of each three minutes."""


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """Serve the example; a test may ask for other changes."""
    changes = getattr(request, "param", BRISK)
    with example("duration_of_a_visit", tmp_path, database="visits.db", changes=changes) as served:
        yield served


def enter(browser: Browser, email: str = WHO) -> float:
    """Pass the gate by its form, and wait for the first beat to be answered; tells when the form was sent."""
    watch(browser)
    browser.open("/")
    browser.find("input[name=email]").send_keys(email)
    sent_at = now_ms()
    browser.find("button").click()
    browser.wait_for_path(PAGE)
    browser.wait(lambda: any(beat.status == 200 for beat in sent(browser, BEAT)), "the first beat")
    return sent_at


def now_ms() -> float:
    """Tell the time as the server does."""
    return time.time() * 1_000


def last_visit(house: House, who: str, until: float) -> dict[str, Any]:
    """Read somebody's last visit, once it reaches to when they left."""

    def last() -> dict[str, Any]:
        return max((row for row in house.rows("visits") if row["subject"] == who), key=itemgetter("started_at"))

    wait_until(lambda: bool(last()["last_seen_at"] >= until), what="the beacon")
    return last()


def test_it_beats_at_once_and_at_its_interval(browser: Browser, house: House) -> None:
    """Past the gate the script sees its marker and beats, and again at each interval; the visit's end rolls."""
    enter(browser)
    first = house.visit_of(WHO)
    browser.wait(lambda: [beat.status for beat in sent(browser, BEAT)][:4] == [200] * 4, "three more beats")
    beats = sent(browser, BEAT)
    mean_ms = (beats[-1].at - beats[0].at) / (len(beats) - 1)  # who is late once is earlier the next time
    assert 1_300 < mean_ms < 2_500, beats
    house.wait_for_visit(WHO, lambda visit: visit["last_seen_at"] - first["last_seen_at"] >= 3 * 1_300, "the end to roll")
    assert browser.problems() == []


def test_the_marker_is_readable_and_the_secret_is_not(browser: Browser, house: House) -> None:
    """The page sees the public handle, and nothing that opens a session; without the marker the script falls silent."""
    enter(browser)
    handle = house.session_of(WHO)["handle"]
    assert browser.js("return document.cookie") == f"session_record_id={handle}"
    [secret] = [cookie for cookie in browser.driver.get_cookies() if cookie["name"] == "session"]
    assert secret["httpOnly"] is True
    browser.js("document.cookie = 'session_record_id=; Max-Age=0; Path=/'")
    browser.js("return fetch('/session/end', {method: 'POST'})")
    browser.open(f"{PAGE}?again")
    browser.wait_for_path("/")
    assert browser.js("return document.cookie") == ""


def test_a_hidden_tab_pauses_and_a_return_beats_at_once(browser: Browser, house: House) -> None:
    """While another tab is in front no beat is sent, past several intervals; coming back sends one within moments."""
    enter(browser)
    tab = browser.hide()
    time.sleep(5)  # three intervals pass
    browser.show(tab)
    hidden_at, shown_at = browser.js("return window.turns")
    browser.wait(lambda: sent(browser, BEAT)[-1].at >= shown_at, "a beat after the return")
    beats = [beat.at for beat in sent(browser, BEAT)]
    assert [at for at in beats if hidden_at < at < shown_at] == []
    assert next(at for at in beats if at >= shown_at) - shown_at < 900  # the next tick would be a second later
    assert len(house.rows("visits")) == 1


@pytest.mark.parametrize("house", [{}], indirect=True, ids=["as printed"])
def test_leaving_tells_the_end_by_beacon(browser: Browser, house: House) -> None:
    """At its own three minutes no second beat comes while somebody reads; leaving brings the end up to date, to a second."""
    enter(browser)
    first = house.visit_of(WHO)
    entered = time.monotonic()
    browser.wait(lambda: time.monotonic() - entered > 4, "somebody to read for a while")
    assert house.visit_of(WHO) == first
    leaves_at = now_ms()
    browser.find("a").click()
    left_at = now_ms()
    visit = house.wait_for_visit(WHO, lambda visit: visit["last_seen_at"] > first["last_seen_at"], "the beacon")
    assert leaves_at - 1_000 < visit["last_seen_at"] < left_at + 1_000 + 1_000 * BUSY_S


def test_totals_of_each_visitor_are_the_sums_of_their_visits(house: House, browser: Browser) -> None:
    """Two visits of one visitor and one of another: the page of totals says what the visits add up to."""
    spans: dict[str, list[int]] = {WHO: [], PARTNER: []}
    for who, seconds in ((WHO, 2), (PARTNER, 2), (WHO, 6)):
        sent_at = enter(browser, who)
        entered_at = now_ms()
        browser.wait(lambda until=entered_at + 1_000 * seconds: now_ms() > until, "somebody to read")
        leaves_at = now_ms()
        browser.find("a").click()
        browser.wait_for_path("/totals")
        left_at = now_ms()
        visit = last_visit(house, who, leaves_at)
        spans[who].append(visit["last_seen_at"] - visit["started_at"])
        # A busy machine takes a moment to come and go; nothing is less than it was.
        assert leaves_at - entered_at - 500 < spans[who][-1] < left_at - sent_at + 1_000 * BUSY_S
    browser.open("/totals")
    for who, visits in spans.items():
        assert f"{who}: {len(visits)} visits, 0 min {sum(visits) // 1_000} s" in browser.text()
