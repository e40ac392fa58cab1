"""How long they stayed: the six visits of the yardstick, in a real browser, with scaled times.

Each is compared with what really happened, by a clock outside the browser. A normal close must be exact to a second; a process that is
killed may lose one step of the ramp; hidden time and unseen pages count nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.e2e.truth import late_ms

if TYPE_CHECKING:
    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House, StartBrowser

WHO = "investor@fund.example"

EXACT_MS = 1_000

RECORD_KEYS = "window.typed = []; addEventListener('keydown', () => typed.push(performance.now()), true)"
"""Keeps in `window.typed` when keys were pressed."""


def stay(browser: Browser, seconds: float, *, typing: bool = False) -> None:
    """Stay on the page for a while, pressing a key about once a second if asked."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if typing:
            browser.type()
        time.sleep(min(left, 0.8))  # the person's time, not ours: how long they stay is what is measured


def enter(browser: Browser, house: House) -> float:
    """Pass the gate; tells when the page was first seen, by the clock outside."""
    browser.enter(WHO)
    house.wait_for_visit(WHO, bool, "the first beat")
    seen_at_ms = float(browser.js("return Date.now() - window.stillhere.session.state().visibleMs"))
    return seen_at_ms / 1000 - time.time() + time.monotonic()


Span = tuple[float, float]
"""Least and most, ms: what the driver of the browser takes its time over on a busy machine lies between them."""


def close(browser: Browser, seen_at: float) -> Span:
    """Close the tab; tell how long it was seen, and at least credited."""
    late = late_ms(browser)
    least_ms = (time.monotonic() - seen_at) * 1000 - late
    browser.close_tab()
    return least_ms, (time.monotonic() - seen_at) * 1000


def is_exact(ms: float, span: Span, exact_ms: float = EXACT_MS) -> bool:
    """Tell whether a time is what was seen, to a second."""
    return span[0] - exact_ms < ms < span[1] + exact_ms


def has_left(visit: dict[str, Any], least_ms: int) -> bool:
    """Tell whether a visit of so long is over by last words, not just away."""
    return visit["left_at"] is not None and visit["last_seen_at"] - visit["started_at"] > least_ms


def test_a_visit_that_closes_normally_is_exact(browser: Browser, house: House) -> None:
    """Reads, then closes the tab: the recorded time is the real time, to a second."""
    seen_at = enter(browser, house)
    stay(browser, 8)
    seen = close(browser, seen_at)
    visit = house.wait_for_visit(WHO, lambda visit: visit["left_at"] is not None, "the last words")
    assert is_exact(visit["visible_ms"], seen)
    assert is_exact(visit["last_seen_at"] - visit["started_at"], seen)


def test_a_killed_browser_loses_at_most_one_step(browser: Browser, house: House) -> None:
    """Reads, then every process is killed: what is missing is less than the step from 5 to 15 seconds."""
    seen_at = enter(browser, house)
    stay(browser, 8)
    late = late_ms(browser)
    least_ms = (time.monotonic() - seen_at) * 1000 - late
    browser.kill()
    real_ms = (time.monotonic() - seen_at) * 1000
    visit = house.visit_of(WHO)
    assert visit["left_at"] is None
    assert 5_000 - late - EXACT_MS < visit["visible_ms"] <= real_ms
    assert least_ms - visit["visible_ms"] < 10_000


def test_a_killed_page_loses_seconds(browser: Browser, house: House) -> None:
    """Reads on between two beats, at 5 and at 15 seconds, then the page's process is killed: the browser sends its last will."""
    seen_at = enter(browser, house)
    stay(browser, 13.5)
    least_ms = (time.monotonic() - seen_at) * 1000 - late_ms(browser)
    browser.kill_pages()
    real_ms = (time.monotonic() - seen_at) * 1000
    visit = house.wait_for_visit(WHO, lambda visit: visit["left_at"] is not None, "the last will")
    # The browser is asked to look every 5 s, and a timer may be late.
    assert least_ms - 5_000 - EXACT_MS < visit["visible_ms"] <= real_ms + EXACT_MS
    assert visit["visible_ms"] > 5_000 + 2 * EXACT_MS, "no more than the last beat"


def test_hidden_time_counts_nothing(browser: Browser, house: House) -> None:
    """Reads, puts the tab away, comes back, reads on, closes: the two stretches count, the absence between them does not."""
    seen_at = enter(browser, house)
    stay(browser, 3)
    leaves_at = time.monotonic()
    tab = browser.hide()
    hidden_at = time.monotonic()
    stay(browser, 9)
    returns_at = time.monotonic()
    browser.show(tab)
    shown_at = time.monotonic()
    stay(browser, 2)
    whole = close(browser, seen_at)
    away = (returns_at - hidden_at) * 1000, (shown_at - leaves_at) * 1000
    visit = house.wait_for_visit(WHO, lambda visit: has_left(visit, 13_000), "the last words")
    assert is_exact(visit["visible_ms"], (whole[0] - away[1], whole[1] - away[0]))
    assert is_exact(visit["last_seen_at"] - visit["started_at"], whole)


def test_a_page_never_seen_is_nothing(house: House, start_browser: StartBrowser) -> None:
    """Opened in the background and closed unseen: no view, no visit, though a session exists."""
    browser = start_browser(house)
    browser.open("/?next=/lab/cover")
    browser.find("input[name=email]").send_keys(WHO)
    browser.find("form[action='/gate'] button[type=submit]").click()
    browser.wait_for_path("/lab/cover")
    browser.js("document.getElementById('cover-stay').click()")  # which would go on by itself
    background = browser.open_in_background("/confidential")
    stay(browser, 7)
    browser.driver.execute_cdp_cmd("Target.closeTarget", {"targetId": background})
    stay(browser, 1)
    assert house.session_of(WHO)["subject"] == WHO
    assert house.rows("views") == []
    assert house.rows("visits") == []


def test_visible_and_active_time_are_two_numbers(browser: Browser, house: House) -> None:
    """Types for a while, then only looks: all of it was visible, only the typing was active."""
    seen_at = enter(browser, house)
    browser.js(RECORD_KEYS)
    stay(browser, 5, typing=True)
    typed_ms = browser.js("return typed.at(-1) - typed[0]")
    stay(browser, 7)
    seen = close(browser, seen_at)
    visit = house.wait_for_visit(WHO, lambda visit: visit["left_at"] is not None, "the last words")
    assert is_exact(visit["visible_ms"], seen)
    assert abs(visit["active_ms"] - typed_ms) < 1.5 * EXACT_MS


def test_a_short_visit_is_exact(browser: Browser, house: House) -> None:
    """Stays two seconds: two seconds are recorded, not none and not an average."""
    seen_at = enter(browser, house)
    stay(browser, 2)
    seen = close(browser, seen_at)
    visit = house.wait_for_visit(WHO, lambda visit: visit["left_at"] is not None, "the last words")
    assert is_exact(visit["visible_ms"], seen)


def test_two_tabs_count_once(browser: Browser, house: House) -> None:
    """Reads in one tab, then in another: the visit's visible time is their union and both views are there."""
    seen_at = enter(browser, house)
    stay(browser, 3)
    first_ms = (time.monotonic() - seen_at) * 1000
    browser.hide()
    browser.open("/lab")
    browser.wait_for_client()
    opened_at = time.monotonic()
    stay(browser, 3)
    second_ms, _ = close(browser, opened_at)
    whole_ms = (time.monotonic() - seen_at) * 1000
    visit = house.wait_for_visit(WHO, lambda visit: has_left(visit, 5_500), "the last words")
    views = house.rows("views")
    assert sorted(view["page"] for view in views) == ["/confidential", "/lab"]
    assert visit["visible_ms"] <= sum(view["visible_ms"] for view in views)
    assert is_exact(visit["visible_ms"], (first_ms + second_ms - EXACT_MS, whole_ms))
