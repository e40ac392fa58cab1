"""Bad weather in a real browser: no network, no server, no store, storms of refusals, lost and doubled messages.

Whatever happens, nobody is signed out, nobody storms, and in the end the sums are what really was on screen, to a second. Spans are scaled:
where a person would wait a minute, a second passes; idle, warning and interval are scaled alike.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest
from psycopg.sql import SQL

from tests.e2e.behind import leave_words_behind, told_of
from tests.e2e.between import FAIR, Between, Message, Weather, between
from tests.e2e.conftest import SHORT
from tests.e2e.test_visits import stay
from tests.e2e.truth import late_ms, on_screen, union_ms
from tests.services import postgresql
from tests.support import BUSY_S, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House, StartBrowser, StartHouse
    from tests.e2e.truth import Span

WHO = "investor@fund.example"
OTHER = "somebody@else.example"

EXACT_MS = 1_000

OUTAGES_S = (0.2, 2, 5)
"""Hours are in test_hours.py."""

QUICK = ("--idle-timeout", "12s", "--warning-timeout", "5s", "--beat-interval", "5s", "--activity-window", "5s")
"""Timeouts for a test that waits for an end."""


@pytest.fixture
def browser(sky: Between, start_browser: StartBrowser) -> Browser:
    """Start a browser that knows only the proxy."""
    return start_browser(sky)


def go_offline(browser: Browser, *, offline: bool = True) -> None:
    """Take the network from the page in front, as the browser does when it has none; or give it back."""
    browser.driver.set_network_conditions(offline=offline, latency=0, throughput=-1)


def attempts(browser: Browser) -> int:
    """Count what the page in front has sent or tried to send since `record`."""
    return sum(told["via"] == "fetch" for told in browser.told())


def recover(browser: Browser) -> None:
    """Let the application ask, so that no backoff has to be waited for; wait for the answer."""
    browser.js("window.stillhere.session.beat()")
    browser.wait(lambda: (state := browser.state())["failures"] == 0 and state["state"] in {"active", "expiring"}, "an answer")


def close_and_compare(browser: Browser, house: House, others: list[Span] | None = None, late: float = 0) -> None:
    """Close the page in front; what was counted is what was on screen, but for what messages were late by, there or on other pages."""
    real_ms = union_ms([*(others or []), *on_screen(browser)])
    began, least_ms = time.monotonic(), real_ms - max(late, late_ms(browser)) - EXACT_MS
    browser.close_tab()
    most_ms = real_ms + (time.monotonic() - began) * 1000  # on a busy machine a tab takes its time to go
    # The last words take a moment.
    with contextlib.suppress(AssertionError):
        browser.wait(lambda: least_ms < house.visit_of(WHO)["visible_ms"] < most_ms + EXACT_MS, "the last words", 20)
    assert least_ms < house.visit_of(WHO)["visible_ms"] < most_ms + EXACT_MS


@pytest.mark.parametrize("outage", ["the browser has no network", "connections are refused"])
def test_without_network_nothing_is_lost(browser: Browser, house: House, sky: Between, outage: str) -> None:
    """Once and again without network: the page waits, asks ever less often, and every second is counted."""
    browser.enter(WHO)
    browser.record()
    for span_s in OUTAGES_S:
        before, since = attempts(browser), time.monotonic()
        sky.down() if outage.startswith("conn") else go_offline(browser)
        browser.js("window.stillhere.session.beat()")
        browser.wait(lambda: browser.state()["failures"] > 0, "a message into the void")
        stay(browser, span_s)
        assert browser.path == "/confidential"
        assert attempts(browser) - before <= 4 + (time.monotonic() - since) / 2
        sky.up() if outage.startswith("conn") else go_offline(browser, offline=False)
        recover(browser)
    close_and_compare(browser, house)


def open_tab(browser: Browser, path: str) -> str:
    """Open a page in a tab in front of the others; tells its handle."""
    browser.hide()
    browser.open(path)
    browser.wait_for_client()
    return str(browser.driver.current_window_handle)


def test_an_outage_over_tabs_and_paths_leaves_no_gap(browser: Browser, house: House, sky: Between) -> None:
    """Without a server, a person goes from tab to tab and path to path and closes one: what each says later is counted in its order."""
    browser.enter(WHO)
    one = browser.driver.current_window_handle
    two = open_tab(browser, "/lab")
    browser.bring(one)
    stay(browser, 1)
    sky.down()
    browser.bring(two)
    stay(browser, 3)
    browser.bring(one)
    stay(browser, 2)
    begun = time.monotonic()
    browser.js("history.pushState(null, '', '/elsewhere')")
    stay(browser, 2)
    browser.js("history.replaceState(null, '', '/elsewhere?page=2')")
    stay(browser, 1)
    spans, looked = on_screen(browser), time.monotonic()
    browser.driver.close()
    closed = time.monotonic()
    browser.bring(two)
    stay(browser, 2)
    sky.up()
    recover(browser)
    house.wait_for_visit(WHO, bool, "a visit")
    views = {view["page"]: view["visible_ms"] for view in house.rows("views")}
    assert sorted(views) == ["/confidential", "/elsewhere", "/lab"]
    assert 3_000 - EXACT_MS < views["/elsewhere"] < (closed - begun) * 1_000 + EXACT_MS
    whole_ms = views["/confidential"] + views["/elsewhere"]
    assert union_ms(spans) - late_ms(browser) - EXACT_MS < whole_ms < union_ms(spans) + (closed - looked) * 1_000 + EXACT_MS
    close_and_compare(browser, house, spans)


def test_a_killed_server_comes_back_to_three_windows(browser: Browser, house: House, sky: Between, start_house: StartHouse) -> None:
    """The program is killed and comes back on its port and its file: three windows wait and go on together, and no second is missing."""
    browser.enter(WHO)
    windows = [browser.driver.current_window_handle, browser.open_window("/lab"), browser.open_window("/confidential")]
    browser.in_each(windows, browser.record)
    since = time.monotonic()
    house.program.process.kill()
    house.program.process.wait()
    browser.js("window.stillhere.session.beat()")
    stay(browser, 6)
    assert sum(browser.in_each(windows, lambda: attempts(browser))) <= 3 * (2 + (time.monotonic() - since) / 2)
    assert browser.in_each(windows, lambda: browser.path) == ["/confidential", "/lab", "/confidential"]
    start_house(port=int(house.url.rpartition(":")[2]))
    back_at = time.monotonic()
    recover(browser)
    for handle in windows:
        browser.driver.switch_to.window(handle)
        browser.wait(lambda: browser.state()["failures"] == 0, "the answer to be known in every window")
    stay(browser, 3)
    assert len(sky.beats(back_at)) <= 3 * (1 + (time.monotonic() - back_at) / 3)
    spans = browser.in_each(windows, lambda: on_screen(browser))
    late = max(browser.in_each(windows, lambda: late_ms(browser)))
    for handle in windows[:2]:
        browser.driver.switch_to.window(handle)
        browser.driver.close()
    browser.driver.switch_to.window(windows[2])
    close_and_compare(browser, house, [span for found in spans[:2] for span in found], late)


def test_a_store_that_is_away_signs_nobody_out(tmp_path: Path, start_browser: StartBrowser) -> None:
    """PostgreSQL is stopped and comes back: until then 503, the cookie is kept, and the visit has every second."""
    arguments = (*SHORT, "--archive-interval", "1s")
    with (
        postgresql(tmp_path / "postgresql") as store,
        serving(store.url, *arguments, verb="demo", log=tmp_path / "program.log") as program,
        between(program.url) as sky,
    ):
        browser = start_browser(sky)
        browser.enter(WHO)
        browser.record()
        store.stop()
        away_at = time.monotonic()
        browser.js("window.stillhere.session.beat()")
        browser.wait(lambda: browser.state()["failures"] > 0, "an answer that is none")
        stay(browser, 5)
        answered = sky.beats(away_at)
        assert {message.status for message in answered if message.is_done.is_set()} == {503}
        assert len(answered) <= 2 + (time.monotonic() - away_at) / 2
        assert browser.path == "/confidential"
        store.start()
        least_ms = union_ms(on_screen(browser)) - late_ms(browser)
        recover(browser)
        most_ms = union_ms(on_screen(browser))
        [(counted_ms,)] = store.execute(SQL("SELECT visible_ms FROM stillhere_visits"), database="stillhere")
        assert least_ms - EXACT_MS < counted_ms < most_ms + EXACT_MS


def test_a_storm_of_refusals_is_not_answered_by_a_storm(browser: Browser, house: House, sky: Between) -> None:
    """Told by 429 when to come back, three windows keep to it together, whatever else happens in them, and nobody is signed out."""
    browser.enter(WHO)
    windows = [browser.driver.current_window_handle, browser.open_window("/lab"), browser.open_window("/confidential")]
    sky.weather = Weather(status=429, retry_after_s=3)
    since = time.monotonic()
    browser.js("window.stillhere.session.beat()")
    browser.wait(lambda: browser.state()["failures"] > 0, "a refusal")
    for handle in windows:
        browser.driver.switch_to.window(handle)
        browser.type()
        browser.js("dispatchEvent(new Event('online')); for (let i = 0; i < 5; i++) window.stillhere.session.check()")
    stay(browser, 7)
    # At 0 s, 3 s and 6 s, perhaps at 9 s; if two windows ask in the same moment, each is refused.
    assert 2 <= len(sky.beats(since)) <= 2 * (1 + (time.monotonic() - since) / 3)
    assert browser.in_each(windows, lambda: browser.path) == ["/confidential", "/lab", "/confidential"]
    sky.weather = FAIR
    browser.wait(lambda: browser.state()["failures"] == 0, "an answer")
    spans = browser.in_each(windows, lambda: on_screen(browser))
    late = max(browser.in_each(windows, lambda: late_ms(browser)))
    for handle in windows[:2]:
        browser.driver.switch_to.window(handle)
        browser.driver.close()
    browser.driver.switch_to.window(windows[2])
    close_and_compare(browser, house, [span for found in spans[:2] for span in found], late)


def test_slow_answers_are_waited_for_and_given_up_in_time(browser: Browser, house: House, sky: Between) -> None:
    """Answers take seconds, then longer than the page waits: never two messages at a time, and the sums are right."""
    browser.enter(WHO)
    browser.record()
    sky.weather = Weather(delay_s=2)
    since = time.monotonic()
    for _ in range(10):
        browser.js("window.stillhere.session.beat()")
        stay(browser, 0.3)
    assert len(sky.beats(since)) <= 1 + (time.monotonic() - since) / 2
    browser.wait(lambda: any(told["ms"] > 2_000 and told["status"] == 200 for told in browser.told()), "a slow answer")
    sky.weather = Weather(delay_s=60)
    browser.js("window.stillhere.session.beat()")
    browser.wait(lambda: browser.state()["failures"] > 0, "the page to give up")
    assert 9_000 < browser.told()[-1]["ms"] < 11_000 + 1_000 * BUSY_S
    sky.weather = FAIR
    recover(browser)
    close_and_compare(browser, house)


def test_what_was_done_without_being_told_is_done_once(browser: Browser, house: House, sky: Between) -> None:
    """Answers are lost after the program has taken messages in: they are said again, and nothing counts twice, a sign-out included."""
    browser.enter(WHO)
    browser.record()
    sky.weather = Weather(loses_answers=True)
    for n in range(1, 4):
        browser.type()
        browser.js("window.stillhere.session.beat()")
        browser.wait(lambda n=n: browser.state()["failures"] >= n, "an answer to be lost")
        stay(browser, 1)
    said = [(message.status, message.body) for message in sky.beats() if message.is_done.is_set()]
    assert {status for status, _ in said} == {200}, said
    counted_ms = house.visit_of(WHO)["visible_ms"]
    assert counted_ms <= union_ms(on_screen(browser))
    least_ms = union_ms(on_screen(browser)) - late_ms(browser)
    sky.weather = FAIR
    recover(browser)
    counted_ms = house.visit_of(WHO)["visible_ms"]
    assert least_ms - EXACT_MS < counted_ms < union_ms(on_screen(browser)) + EXACT_MS
    sky.weather = Weather(loses_answers=True)
    browser.js("window.stillhere.session.end()")
    browser.wait(lambda: house.session_of(WHO)["ended_by"] == "signed_out", "the sign-out to be taken in")
    sky.weather = FAIR
    browser.wait_for_path("/")
    assert "reason=signed_out" in browser.path


def test_doubled_and_overtaken_messages_count_once(browser: Browser, house: House, sky: Between) -> None:
    """Every message arrives twice, and last words arrive after the return they were overtaken by: the sums and the state are right."""
    browser.enter(WHO)
    sky.weather = Weather(doubles=True)
    for _ in range(3):
        browser.type()
        stay(browser, 1)
        browser.js("window.stillhere.session.beat()")
    sky.weather = Weather(doubles=True, holds=lambda message: message.beats()[-1]["kind"] == "leave")
    tab = browser.hide()
    browser.wait(lambda: len(sky.held()) == 1, "the last words to be held back")
    stay(browser, 2)
    browser.show(tab)
    since = time.monotonic()
    browser.wait(lambda: any(message.status == 200 for message in sky.beats(since)), "a beat after the return")
    stay(browser, 1)
    sky.release()
    view = house.rows("views")[0]
    assert (view["lifecycle"], house.visit_of(WHO)["left_at"]) == ("active", None)
    sky.weather = FAIR
    close_and_compare(browser, house)


def test_words_of_a_closed_page_arrive_with_the_next_ones_once(browser: Browser, house: House, sky: Between) -> None:
    """A page is closed without network: of the next two pages of its session one says what it had to say; no repetition adds anything."""
    view, spans, late, after = leave_words_behind(browser, sky, WHO)
    pages = [
        browser.driver.execute_cdp_cmd("Target.createTarget", {"url": f"{sky.url}/lab", "newWindow": True})["targetId"] for _ in range(2)
    ]
    browser.wait(lambda: told_of(sky, view), "the words of the closed page")
    kept = next(message for message in sky.beats() if view in message.body and "ageMs" in message.body)
    browser.wait(lambda: len({beat["view"] for message in sky.beats() for beat in message.beats()}) == 3, "both pages")
    browser.wait(
        lambda: any(
            row["view"] == view and -late - EXACT_MS < row["visible_ms"] - union_ms(spans) < after + EXACT_MS for row in house.rows("views")
        ),
        "what it had to say to be counted",
    )
    browser.driver.switch_to.window(pages[0])
    again = "return fetch('/session/beat', {method: 'POST', headers: {'X-Stillhere': '1'}, body: arguments[0]}).then(a => a.status)"
    assert [browser.js(again, kept.body) for _ in range(3)] == [200] * 3
    told_ms = max(beat["visibleMs"] for beat in kept.beats() if beat["view"] == view)
    assert next(row["visible_ms"] for row in house.rows("views") if row["view"] == view) <= told_ms <= union_ms(spans) + after + EXACT_MS
    # Whoever has not heard an answer yet says it again by itself, too.
    assert len(told_of(sky, view)) >= 4 * len([beat for beat in kept.beats() if beat["view"] == view])
    for page in pages[1:]:
        browser.driver.switch_to.window(page)
        spans += on_screen(browser)
        browser.driver.close()
    browser.driver.switch_to.window(pages[0])
    close_and_compare(browser, house, spans, late)


def test_nobody_inherits_the_words_of_another(browser: Browser, house: House, sky: Between) -> None:
    """A page is closed without network, and another person signs in on the same browser: nothing of it is said, and it is forgotten."""
    view = leave_words_behind(browser, sky, WHO).view
    before = house.visit_of(WHO)["visible_ms"]
    # Sessions are told apart by their end; who signs in within ten seconds of somebody else could be taken for them.
    stay(browser, 11 - (time.time() - house.session_of(WHO)["created_at"] / 1_000))
    browser.driver.delete_all_cookies()
    browser.enter(OTHER)
    recover(browser)
    assert browser.js("return Object.keys(localStorage)") == []
    assert told_of(sky, view) == []
    assert house.visit_of(WHO)["visible_ms"] == before
    assert house.visit_of(OTHER)["visible_ms"] <= union_ms(on_screen(browser)) + EXACT_MS


@pytest.mark.parametrize("house", [QUICK], indirect=True)
def test_an_outage_longer_than_the_session_ends_with_the_truth(browser: Browser, house: House, sky: Between) -> None:
    """Past its deadline a page without a server waits; then it learns the end and the reason, and was counted up to there."""
    browser.enter(WHO)
    sky.down()
    browser.js("window.stillhere.session.beat()")
    browser.wait(lambda: browser.state()["state"] == "unknown", "the deadline to pass", 30)
    stay(browser, 2)
    assert browser.path == "/confidential"
    spans = on_screen(browser)
    sky.up()
    browser.js("window.stillhere.session.check()")
    browser.wait_for_path("/")
    assert "reason=idle" in browser.path
    ended_at = house.session_of(WHO)["ended_at"]
    real_ms = union_ms((start, min(end, ended_at)) for start, end in spans)
    # Words that came late are not missing here: the visit was on screen until the end.
    assert abs(house.visit_of(WHO)["visible_ms"] - real_ms) < EXACT_MS + 1_000 * BUSY_S


def test_a_stream_that_breaks_is_not_tried_without_end(
    house: House, sky: Between, start_browser: StartBrowser, start_house: StartHouse
) -> None:
    """The program dies: the browser tries its stream once more, not every few moments, and goes on when the program is back."""

    def streams(since: float = 0) -> list[Message]:
        return [message for message in sky.messages if message.path == "/session/events" and message.at >= since]

    sky.weather = Weather(retry_ms=50)
    browser = start_browser(sky)
    browser.enter(WHO)
    browser.wait(lambda: any(message.status == 200 for message in streams()), "the stream")
    since = time.monotonic()
    house.program.process.kill()
    house.program.process.wait()
    browser.wait(lambda: streams(since), "the stream to be tried again")
    stay(browser, 3)
    assert len(streams(since)) <= 2
    start_house(port=int(house.url.rpartition(":")[2]))
    recover(browser)
