"""Many tabs and windows of one browser: one voice, one deadline, one notice, and each tab its own name."""

from __future__ import annotations

import os
import resource
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.between import Between, Weather
from tests.e2e.test_visits import stay
from tests.e2e.truth import late_ms, on_screen, union_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House, StartBrowser

WHO = "investor@fund.example"

EXACT_MS = 1_000

INTERVAL_S = 2.5

FAST = ("--beat-interval", f"{INTERVAL_S}s", "--idle-timeout", "120s", "--beats-per-minute", "10000")
"""A beat every 2.5 seconds, in place of three minutes: 72 times as often. All marks of the ramp fall on one of them."""

CROWD_INTERVAL_S = 10
CROWD = ("--beat-interval", f"{CROWD_INTERVAL_S}s", "--idle-timeout", "600s", "--beats-per-minute", "10000")
"""The same for twenty windows on screen, which keep a small machine so busy that it takes them seconds to hear of one another."""

QUICK = ("--idle-timeout", "45s", "--warning-timeout", "30s", "--beat-interval", "6s", "--activity-window", "6s")
"""Timeouts for a test that waits for a warning."""

AGREE_WITHIN = 4
"""Times four intervals in which they must have agreed."""

TOLERANCE_MS = 1_000

MARKED_BYTES = 64 << 20
"""More memory than a page needs for anything else."""


@pytest.fixture
def browser(sky: Between, start_browser: StartBrowser) -> Browser:
    """Start a browser that knows only the proxy."""
    return start_browser(sky)


def open_windows(browser: Browser, count: int) -> list[str]:
    """Enter, and open so many windows side by side; tells their handles."""
    browser.enter(WHO)
    return [browser.driver.current_window_handle, *(browser.open_window("/confidential") for _ in range(count - 1))]


def deadlines(browser: Browser, handles: list[str]) -> list[float]:
    """Tell when the session ends, as each tab sees it, in milliseconds since 1970."""
    return browser.in_each(handles, lambda: browser.js("return Date.now() + window.stillhere.session.state().expiresInMs"))


def requests_in(sky: Between, intervals: int, interval_s: float = INTERVAL_S) -> int:
    """Count the messages of so many intervals."""
    since = time.monotonic()
    time.sleep(intervals * interval_s)  # how often they speak is what is measured
    return len(sky.beats(since))


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    ("house", "count", "interval_s"), [(FAST, 1, INTERVAL_S), (FAST, 5, INTERVAL_S), (CROWD, 20, CROWD_INTERVAL_S)], indirect=["house"]
)
def test_windows_side_by_side_speak_with_one_voice(browser: Browser, sky: Between, count: int, interval_s: float) -> None:
    """One, five and twenty windows on screen send as many messages as one does, tell all of them, and agree about the deadline.

    At the default interval of three minutes a message in each interval is one third of a message in a minute; 0.6 are allowed.
    """
    windows = open_windows(browser, count)
    stay(browser, 2 * interval_s)
    intervals = 4
    since, sent = time.monotonic(), requests_in(sky, intervals, interval_s)
    for _ in range(AGREE_WITHIN - 1):
        if sent > intervals + 3:  # windows that came just now, and take seconds for each step on a busy machine
            since, sent = time.monotonic(), requests_in(sky, intervals, interval_s)
    # One more or less by where the intervals begin, one less by slow answers, and one more by a window that misses a message.
    assert intervals - 2 <= sent <= intervals + 3
    assert sent / intervals / 3 <= 0.6
    said = {beat["view"] for message in sky.beats(since) for beat in message.beats()}
    assert said == set(browser.in_each(windows, lambda: browser.state()["view"]))
    ends = deadlines(browser, windows)
    assert max(ends) - min(ends) < TOLERANCE_MS


REPORTER = """
const { session } = window.stillhere, answers = [], channel = new BroadcastChannel("report")
let endings = 0
session.on("ended", () => endings++)
channel.onmessage = ({ data }) => {
  if (data === "tell") {
    const { tab, expiresInMs } = session.state()
    channel.postMessage({ tab, endsAt: Date.now() + expiresInMs, endings, answers, path: location.pathname, hidden: document.hidden })
  } else if (data === "poll") {
    for (let n = 0; n < 5; n++) fetch("/session").then(({ status }) => {
      answers.push(status)
      if (status === 401) session.check()
    })
  }
}
"""
"""A page that tells how it stands, unlooked at, and an application's poller that asks the client whenever it is told 401."""

LISTENER = """
const [count, done] = arguments, told = [], channel = new BroadcastChannel("report")
const stop = () => (channel.close(), done(told))
channel.onmessage = ({ data }) => data.hidden && told.push(data) === count && stop()
channel.postMessage("tell")
setTimeout(stop, 25000)
"""


def reports(browser: Browser, count: int) -> list[dict[str, Any]]:
    """Ask so many hidden pages how they stand. WebDriver itself can't without showing them."""
    told: list[dict[str, Any]] = browser.driver.execute_async_script(LISTENER, count)
    assert len(told) == count
    return told


def open_tabs(browser: Browser, count: int) -> list[str]:
    """Enter, and open so many tabs in one window, which report; tells their handles. The last is in front."""
    browser.enter(WHO)
    browser.js(REPORTER)
    tabs = [browser.driver.current_window_handle]
    while len(tabs) < count:
        browser.hide()
        browser.open("/confidential")
        browser.wait_for_client()
        browser.js(REPORTER)
        tabs.append(browser.driver.current_window_handle)
    return tabs


def test_twenty_tabs_that_meet_the_end_at_once_show_it_once(browser: Browser, house: House, sky: Between) -> None:
    """Each of five requests of each of twenty tabs is told 401 at once: one notice, one redirect; the others go when they are looked at."""
    # Nobody shall hear of it from the stream.
    sky.weather = Weather(holds=lambda message: message.path == "/session/events")
    tabs = open_tabs(browser, 20)
    house.end_from_elsewhere(WHO)
    pages = len(sky.pages)
    since = time.monotonic()
    browser.js("new BroadcastChannel('report').postMessage('poll')")
    browser.wait(lambda: browser.js("return !!document.querySelector('stillhere-dialog')"), "the notice")
    browser.wait_for_path("/")
    assert "reason=revoked" in browser.path
    browser.wait(lambda: all(len(told["answers"]) == 5 for told in reports(browser, 19)), "all requests to be answered")
    for told in reports(browser, 19):
        assert told == {**told, "answers": [401] * 5, "endings": 1, "path": "/confidential", "hidden": True}
    assert sky.pages[pages:].count("/") == 1
    assert len([message for message in sky.beats(since) if message.status == 401]) <= 5
    for tab in tabs[:3]:
        browser.bring(tab)
        browser.wait_for_path("/")
    pages = len(sky.pages)
    browser.driver.refresh()
    stay(browser, 3)
    assert browser.path.startswith("/?")
    assert sky.pages[pages:].count("/") == 1


@pytest.mark.parametrize("house", [FAST], indirect=True)
def test_twenty_tabs_of_one_window_send_what_one_does(browser: Browser, sky: Between) -> None:
    """Of twenty tabs in a window one is seen: it speaks, the others are silent and know what it knows."""
    open_tabs(browser, 20)
    tab = browser.state()["tab"]
    since = time.monotonic()
    assert 2 <= requests_in(sky, 4) <= 6
    assert {beat["tab"] for message in sky.beats(since) for beat in message.beats()} == {tab}
    ends = [told["endsAt"] for told in reports(browser, 19)] + browser.js(
        "return [Date.now() + window.stillhere.session.state().expiresInMs]"
    )
    assert max(ends) - min(ends) < TOLERANCE_MS


def process_of(browser: Browser) -> int:
    """Find the process of the page in front: the one that grows when the page fills some memory."""
    before = {pid: _resident(pid) for pid in browser.page_processes()}
    browser.js("window.filled = new Uint8Array(arguments[0]).fill(1)", MARKED_BYTES)
    grown = {pid: _resident(pid) - had for pid, had in before.items()}
    browser.js("delete window.filled")
    mine = max(grown, key=grown.__getitem__)
    assert grown[mine] > 0.9 * MARKED_BYTES  # meanwhile some of what it had may be given back
    return mine


def _resident(pid: int) -> int:
    """Tell how many bytes of memory a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def speaker(browser: Browser, sky: Between, windows: list[str]) -> str:
    """Tell which window spoke last."""
    tabs: dict[str, str] = dict(zip(browser.in_each(windows, lambda: browser.state()["tab"]), windows, strict=True))
    return tabs[str(sky.beats()[-1].beats()[-1]["tab"])]


@contextmanager
def still(pid: int) -> Iterator[None]:
    """Hold a process still until the block ends."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("house", [FAST], indirect=True)
def test_a_speaker_that_dies_or_stops_is_replaced(browser: Browser, house: House, sky: Between) -> None:
    """The process of the speaking page is stopped, that of its successor killed: another speaks within an interval and a few seconds."""
    windows = open_windows(browser, 4)
    tabs = dict(zip(windows, browser.in_each(windows, lambda: browser.state()["tab"]), strict=True))
    processes = browser.in_each(windows, lambda: process_of(browser))
    assert len(set(processes)) == 4
    first = speaker(browser, sky, windows)
    rest = [window for window in windows if window != first]
    browser.driver.switch_to.window(rest[0])

    def heard_from_others(gone: set[str], since: float) -> bool:
        return any(message.status == 200 and message.beats()[-1]["tab"] not in gone for message in sky.beats(since))

    with still(processes[windows.index(first)]):
        since = time.monotonic()
        browser.wait(lambda: heard_from_others({tabs[first]}, since), "another window to speak", INTERVAL_S + 6)
        second = speaker(browser, sky, rest)
        last = [window for window in rest if window != second]
        browser.driver.switch_to.window(last[0])
        os.kill(processes[windows.index(second)], signal.SIGKILL)
        since = time.monotonic()
        browser.wait(lambda: heard_from_others({tabs[first], tabs[second]}, since), "a third window to speak", INTERVAL_S + 6)
    # The one that was stopped goes on in its place: still one voice.
    sent = requests_in(sky, 4)
    for _ in range(AGREE_WITHIN - 1):
        if sent > 6:  # one more by waking, one by where the intervals begin, one by a window that missed a message
            sent = requests_in(sky, 4)
    assert sent <= 6
    alive = [first, *last]
    ends = deadlines(browser, alive)
    assert max(ends) - min(ends) < TOLERANCE_MS
    assert house.session_of(WHO)["ended_by"] is None


def test_a_tab_keeps_its_name_and_gives_it_to_nobody(browser: Browser) -> None:
    """A tab is the same over reloads, pages and the way back; one that was opened with a copy of its storage is another."""
    browser.enter(WHO)
    tab, window = browser.state()["tab"], browser.driver.current_window_handle
    browser.driver.refresh()
    browser.wait_for_client()
    assert browser.state()["tab"] == tab
    browser.open("/lab")
    browser.wait_for_client()
    assert browser.state()["tab"] == tab
    browser.driver.back()
    browser.wait_for_client()
    assert browser.state()["tab"] == tab
    # The page that was left gives the name back, perhaps after this one has come back.
    browser.wait(lambda: browser.js("return sessionStorage.stillhereTab") is None, "the name to be out of the storage", 7)
    browser.js("sessionStorage.copied = 'yes'; window.open('/lab')")
    [opened] = [handle for handle in browser.driver.window_handles if handle != window]
    browser.driver.switch_to.window(opened)
    browser.wait_for_client()
    assert browser.js("return sessionStorage.copied") == "yes"
    other = browser.state()["tab"]
    assert other != tab
    browser.driver.refresh()
    browser.wait_for_client()
    assert browser.state()["tab"] == other


@pytest.mark.parametrize("house", [QUICK], indirect=True)
def test_a_warning_shows_in_all_windows_and_goes_from_all(browser: Browser) -> None:
    """Three windows warn together; a person stays in one of them, and no window warns any more."""
    windows = open_windows(browser, 3)

    def warned() -> list[Any]:
        return browser.in_each(windows, lambda: browser.js("return !!document.querySelector('stillhere-dialog')"))

    browser.wait(lambda: all(warned()), "the warning in all windows")
    browser.js("document.querySelector('stillhere-dialog').shadowRoot.querySelector('#primary').click()")
    browser.wait(lambda: not any(warned()), "the warning to go from all windows", 10)
    assert browser.in_each(windows, lambda: browser.state()["state"]) == ["active"] * 3


def test_windows_side_by_side_count_once(browser: Browser, house: House) -> None:
    """A second window is opened beside the first and closed again: every second counts once, and none is lost by the order."""
    browser.enter(WHO)
    first = browser.driver.current_window_handle
    stay(browser, 7)
    browser.open_window("/lab")
    stay(browser, 6)
    spans = on_screen(browser)
    browser.driver.close()
    browser.driver.switch_to.window(first)
    stay(browser, 1)
    least_ms = union_ms([*spans, *on_screen(browser)]) - late_ms(browser) - EXACT_MS
    browser.js("window.stillhere.session.beat()")
    browser.wait(lambda: house.visit_of(WHO)["visible_ms"] > least_ms, "every second to be counted")
    assert house.visit_of(WHO)["visible_ms"] < union_ms([*spans, *on_screen(browser)]) + EXACT_MS


NAVIGATE = {
    "history.pushState": "history.pushState(null, '', arguments[0])",
    "the Navigation API": "navigation.onnavigate = event => event.intercept(); navigation.navigate(arguments[0])",
    "history.replaceState": "history.replaceState(null, '', arguments[0])",
}


@pytest.mark.parametrize("how", NAVIGATE)
def test_a_path_that_changes_without_loading_is_a_view(browser: Browser, house: House, how: str) -> None:
    """An application goes to another path by itself: a view for each, with the time it was on screen; a query or a fragment makes none."""
    browser.enter(WHO)
    stay(browser, 2)
    begun = time.monotonic()
    browser.js(NAVIGATE[how], "/second")
    stay(browser, 3)
    for where in ("/second?page=2", "/second#end"):
        browser.js("history.replaceState(null, '', arguments[0])", where)
        browser.js("history.pushState(null, '', arguments[0])", where)
    stay(browser, 1)
    browser.js(NAVIGATE[how], "/third")
    second_ms = (time.monotonic() - begun) * 1_000
    stay(browser, 1.5)
    less_ms, real_ms, looked = late_ms(browser) + EXACT_MS, union_ms(on_screen(browser)), time.monotonic()
    browser.close_tab()
    most_ms = real_ms + (time.monotonic() - looked) * 1_000 + EXACT_MS
    house.wait_for_visit(WHO, lambda visit: visit["left_at"] is not None and visit["visible_ms"] > 7_500 - less_ms, "the last words")
    views = {view["page"]: view["visible_ms"] for view in house.rows("views")}
    assert sorted(views) == ["/confidential", "/second", "/third"]
    assert len(house.rows("views")) == 3
    assert 4_000 - less_ms < views["/second"] < second_ms + EXACT_MS
    assert real_ms - less_ms < sum(views.values()) < most_ms
    assert real_ms - less_ms < house.visit_of(WHO)["visible_ms"] < most_ms
