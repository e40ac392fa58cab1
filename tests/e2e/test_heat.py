"""What was read, and when, in a real browser: heat adds up to visible time, and bands lie where things happened."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from stillhere.core.heat import PARTS, read_bands, read_heat
from tests.e2e.truth import late_ms

if TYPE_CHECKING:
    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House, Visit

WHO = "investor@fund.example"

EXACT_MS = 1_000

AWAY_MS = 3_000

READ_MS = 12_000

IN_VIEW = """
const { scrollTop, clientHeight, scrollHeight } = document.documentElement
return [scrollTop / scrollHeight, (scrollTop + clientHeight) / scrollHeight]
"""


def wait_for_visible(browser: Browser, more_ms: int) -> None:
    """Stay until the page was visible for so much longer."""
    until = browser.state()["visibleMs"] + more_ms
    browser.wait(lambda: browser.state()["visibleMs"] >= until, f"{more_ms} ms more of visible time")


def go_away(browser: Browser) -> list[tuple[float, float]]:
    """Put the tab away for a while; tell between which instants it was hidden, and shown again."""
    spans = list[tuple[float, float]]()
    begun_at = time.time() * 1000
    tab = browser.hide()
    spans.append((begun_at, time.time() * 1000))
    browser.wait(lambda: time.time() * 1000 >= spans[0][1] + AWAY_MS, "the person's time away")
    begun_at = time.time() * 1000
    browser.show(tab)
    spans.append((begun_at, time.time() * 1000))
    return spans


def parts_in_view(browser: Browser) -> set[int]:
    """Tell which twentieths of the page are on screen."""
    top, bottom = browser.js(IN_VIEW)
    return {part for part in range(PARTS) if part / PARTS < bottom and (part + 1) / PARTS > top}


def the_view(house: House, page: str) -> dict[str, Any]:
    """Read the only view of a page."""
    (view,) = (row for row in house.rows("views") if row["page"] == page)
    return view


def test_a_reading_is_told_by_part_and_by_time(browser: Browser, house: House) -> None:
    """Types at the top, reads the middle, is away, comes back and leaves: all is told where and when it was, and adds up to the totals."""
    browser.enter(WHO)
    for _ in range(4):
        browser.type()
        wait_for_visible(browser, 600)
    top = parts_in_view(browser)
    at_top_ms = browser.state()["visibleMs"]
    browser.js("scrollTo({top: (document.documentElement.scrollHeight - innerHeight) / 2, behavior: 'instant'})")
    scrolled_ms = browser.state()["visibleMs"]
    wait_for_visible(browser, 4_000)
    middle = parts_in_view(browser)
    left, returned = go_away(browser)
    wait_for_visible(browser, 2_000)
    late = late_ms(browser)
    total_ms = browser.state()["visibleMs"] - late - EXACT_MS
    browser.close_tab()
    house.wait_for_visit(WHO, lambda visit: visit["left_at"] is not None and visit["visible_ms"] >= total_ms, "the last words")

    view = the_view(house, "/confidential")
    heat = read_heat(view["heat"], view["visible_ms"])
    assert abs(sum(heat) - view["visible_ms"]) < EXACT_MS
    assert top.isdisjoint(middle), "the page is too short to tell its parts apart"
    # A second of rounding, and what a command takes to reach the page.
    in_top, in_middle = (sum(heat[part] for part in parts) for parts in (top, middle))
    assert at_top_ms - 1.5 * EXACT_MS <= in_top <= scrolled_ms + 1.5 * EXACT_MS
    assert view["visible_ms"] - scrolled_ms - 1.5 * EXACT_MS <= in_middle <= view["visible_ms"] - at_top_ms + 1.5 * EXACT_MS
    assert {part for part in range(PARTS) if heat[part]} <= top | middle

    bands = read_bands(view["bands"], view["opened_at"], view["last_seen_at"])
    of = {state: sum(band.until_at - band.from_at for band in bands if band.state == state) for state in ("active", "idle", "hidden")}
    assert [band.state for band in bands][-4:] == ["active", "idle", "hidden", "idle"]
    (hidden,) = (band for band in bands if band.state == "hidden")
    # Bands begin when the first message came, so one that was late moves them; the last moments are cut off if the last one was faster.
    assert left[0] - EXACT_MS < hidden.from_at < left[1] + late + EXACT_MS
    assert returned[0] - EXACT_MS < hidden.until_at < returned[1] + late + EXACT_MS
    assert abs(of["active"] - view["active_ms"]) < EXACT_MS
    assert abs(of["active"] + of["idle"] - view["visible_ms"]) < late + EXACT_MS


def test_each_path_of_an_application_is_measured_for_itself(browser: Browser, house: House) -> None:
    """The page changes its path without loading: the next view begins with nothing, and the old one's last words have what it was."""
    browser.enter(WHO)
    wait_for_visible(browser, 2_500)
    first = browser.state()["view"]
    browser.js("history.pushState({}, '', '/confidential/next')")
    browser.wait(lambda: browser.state()["view"] != first, "the next view")
    browser.wait(lambda: browser.state()["visibleMs"] >= 3_000, "3 s of the next view")
    less_ms = late_ms(browser) + EXACT_MS
    browser.close_tab()
    house.wait_for_visit(WHO, lambda visit: visit["left_at"] is not None and visit["visible_ms"] > 5_500 - less_ms, "the last words")
    for page, least_ms in (("/confidential", 2_500), ("/confidential/next", 3_000)):
        view = the_view(house, page)
        assert view["visible_ms"] >= least_ms - less_ms
        assert abs(sum(read_heat(view["heat"], view["visible_ms"])) - view["visible_ms"]) < EXACT_MS
        (band,) = read_bands(view["bands"], view["opened_at"], view["last_seen_at"])
        assert band.state == "idle"
        assert abs(band.until_at - band.from_at - view["visible_ms"]) < EXACT_MS


def test_heat_costs_no_message(visit: Visit, chromium: Browser) -> None:
    """What was read rides in the beats: a page that tells it sends as many messages in the same time as one that does not."""
    sent = []
    for more in ("", " data-heat"):
        page = f'<script src="/session/client.js" defer{more}></script>{"<p>Much to read.</p>" * 200}'
        application = visit("/page", {"/page": page}, idle_timeout=60_000)
        chromium.wait(lambda: chromium.state()["visibleMs"] >= READ_MS + 3_000, "what was read, and the message after it")
        assert {one.path for one in application.asked if one.method == "POST"} == {"/session/beat"}
        told = [one for one in application.messages if one.get("heat")]
        assert bool(told) == bool(more)
        assert {one["kind"] for one in told} <= {"start", "beat"}
        sent.append(sum(one.get("visibleMs", 0) <= READ_MS for one in application.messages))
    without, with_heat = sent
    assert without >= 3
    assert abs(with_heat - without) <= 1
