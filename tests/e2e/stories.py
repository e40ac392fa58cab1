"""What nine people do with the program's pages, each in a browser of their own, and what really was on screen meanwhile.

Times are scaled: a minute of the yardstick is half a second here. Beats are scaled alike.
"""

from __future__ import annotations

import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.e2e.behind import leave_words_behind, told_of
from tests.e2e.between import between
from tests.e2e.browser import Browser
from tests.e2e.test_visits import RECORD_KEYS, stay
from tests.e2e.test_weather import WHO, go_offline, recover
from tests.e2e.truth import SPANS, late_ms, union_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.e2e.truth import Span

SETTINGS: Final = """
idle_timeout = "10m"
absolute_timeout = "1h"
warning_timeout = "20s"
beat_interval = "5s"
activity_window = "3s"
visit_gap = "30s"
sweep_interval = "1s"
admin_token = "an operator's token for tests"
viewer_token = "a viewer's token for tests"
"""
"""Of the program and of the command line alike, as a file."""

TWENTY_MINUTES_S: Final = 10

AT_ONCE: Final = 3
"""More browsers than that, and a small machine is late."""


class Stay(NamedTuple):
    """What really happened.

    Attributes:
        visitor: who.
        ended_by: how it ended, as the glossary calls it.
        spans: when each page was on screen, by its path.
        said_ms: visible time that the page's own client told at the end, by path.
        late_ms: see `truth.late_ms`.
        after_ms: how long pages may have been on screen after that was noted: on a busy machine one takes its time to go.
        active_ms: time in which somebody typed, and at most that of the activity window after it; None if that is not what was tried.
    """

    visitor: str
    ended_by: str
    spans: dict[str, list[Span]]
    said_ms: dict[str, float]
    late_ms: float
    after_ms: float
    active_ms: tuple[float, float] | None = None

    @property
    def visible_ms(self) -> float:
        """How long anything was on screen."""
        return union_ms(span for spans in self.spans.values() for span in spans)

    @property
    def began_at(self) -> float:
        """When the first page was seen, ms since 1970."""
        return min(start for spans in self.spans.values() for start, _ in spans)


class Seen:
    """What is noted of a page while it is in front."""

    def __init__(self) -> None:
        self.spans: dict[str, list[Span]] = defaultdict(list)
        self.said_ms: dict[str, float] = {}
        self.late_ms = 0.0
        self.after_ms = 0.0
        self._noted_at = time.monotonic()

    def note(self, browser: Browser) -> None:
        """Note what the browser and the page's client say of the page in front, in one breath."""
        self.late_ms = max(self.late_ms, late_ms(browser))
        said_ms, spans = browser.js(f"return [window.stillhere.session.state().visibleMs, (() => {{{SPANS}}})()]")
        self._noted_at = time.monotonic()
        self.said_ms[browser.path] = said_ms
        self.spans[browser.path] += [(start, end) for start, end in spans]

    def leave(self, browser: Browser) -> None:
        """Close the page in front like a person, another tab being open, and note what is said of it at the last moment."""
        self.note(browser)
        browser.close_tab()
        self.gone()

    def gone(self) -> None:
        """Note that the page that was noted last is gone."""
        self.after_ms = max(self.after_ms, 1_000 * (time.monotonic() - self._noted_at))

    def of(self, visitor: str, *, ended_by: str = "leave", active_ms: tuple[float, float] | None = None) -> Stay:
        """Tell it."""
        return Stay(visitor, ended_by, dict(self.spans), self.said_ms, self.late_ms, self.after_ms, active_ms)


def reads(browser: Browser) -> Stay:
    """Reads, then closes the tab."""
    return _reads(browser, "reader@studio.example", 6)


def glances(browser: Browser) -> Stay:
    """Stays two seconds."""
    return _reads(browser, "glance@studio.example", 2)


def _reads(browser: Browser, visitor: str, seconds: float) -> Stay:
    seen = Seen()
    browser.enter(visitor)
    stay(browser, seconds)
    seen.leave(browser)
    return seen.of(visitor)


def is_killed(browser: Browser) -> Stay:
    """Reads on after a beat, then every process is killed."""
    seen = Seen()
    browser.enter("counsel@law.example")
    stay(browser, 8)
    seen.note(browser)
    browser.kill()
    seen.gone()
    return seen.of("counsel@law.example", ended_by="lost")


def hides_it(browser: Browser) -> Stay:
    """Reads, puts the tab away for twenty minutes, comes back, reads on."""
    seen = Seen()
    browser.enter("partner@ventures.example")
    stay(browser, 3)
    tab = browser.hide()
    stay(browser, TWENTY_MINUTES_S)
    browser.show(tab)
    stay(browser, 2)
    seen.leave(browser)
    return seen.of("partner@ventures.example")


def never_looks(browser: Browser) -> None:
    """Opens a page in the background and closes it unseen."""
    browser.open("/?next=/lab/cover")
    browser.find("input[name=email]").send_keys("nobody@looks.example")
    browser.find("form[action='/gate'] button[type=submit]").click()
    browser.wait_for_path("/lab/cover")
    browser.js("document.getElementById('cover-stay').click()")  # which would go on by itself
    _opens_unseen(browser)


def _opens_unseen(browser: Browser) -> None:
    unseen = browser.open_in_background("/confidential?unseen")
    stay(browser, 3)
    browser.driver.execute_cdp_cmd("Target.closeTarget", {"targetId": unseen})


def types(browser: Browser) -> Stay:
    """Types for a while, then only looks, and signs out."""
    seen = Seen()
    browser.enter("author@studio.example")
    browser.js(RECORD_KEYS)
    stay(browser, 3, typing=True)
    typed_ms = browser.js("return typed.slice(1).reduce((sum, at, n) => sum + Math.min(3000, at - typed[n]), 0)")
    stay(browser, 5)
    seen.note(browser)
    browser.js("window.stillhere.session.end()")
    browser.wait_for_path("/")
    seen.gone()
    return seen.of("author@studio.example", ended_by="signed_out", active_ms=(typed_ms, typed_ms + 3_000))


def reads_two_at_once(browser: Browser) -> Stay:
    """Has two windows side by side, and opens a third page that nobody sees."""
    seen = Seen()
    browser.enter("analyst@corp.example")
    windows = [browser.driver.current_window_handle, browser.open_window("/lab")]
    _opens_unseen(browser)
    stay(browser, 3)
    for handle in windows:
        browser.driver.switch_to.window(handle)
        seen.leave(browser)
    return seen.of("analyst@corp.example")


def loses_the_network(browser: Browser) -> Stay:
    """Reads, has no network, reads on, has one again."""
    seen = Seen()
    browser.enter("traveller@train.example")
    stay(browser, 2)
    go_offline(browser)
    browser.js("window.stillhere.session.beat()")
    browser.wait(lambda: browser.state()["failures"] > 0, "a message into the void")
    stay(browser, 4)
    go_offline(browser, offline=False)
    recover(browser)
    seen.leave(browser)
    return seen.of("traveller@train.example")


def is_repeated(browser: Browser) -> Stay:
    """Closes a page without a server; the next page says what it had to say, and then that is said three times more."""
    seen = Seen()
    again = "return fetch('/session/beat', {method: 'POST', headers: {'X-Stillhere': '1'}, body: arguments[0]}).then(a => a.status)"
    with between(browser.base) as sky:
        browser.base = sky.url
        view, seen.spans["/confidential"], seen.late_ms, seen.after_ms = leave_words_behind(browser, sky, WHO)
        browser.open("/lab")
        browser.wait_for_client()
        browser.wait(lambda: told_of(sky, view), "the words of the closed page")
        kept = next(message for message in sky.beats() if view in message.body and "ageMs" in message.body)
        assert [browser.js(again, kept.body) for _ in range(3)] == [200] * 3
        seen.leave(browser)
        browser.wait(lambda: sky.beats()[-1].is_done.is_set() and sky.beats()[-1].beats()[-1]["kind"] == "leave", "the last words")
    return seen.of(WHO)


STORIES: Final[tuple[Callable[[Browser], Stay | None], ...]] = (
    *(hides_it, is_repeated, is_killed, types),
    *(loses_the_network, reads_two_at_once, reads, never_looks, glances),
)
"""The longest first."""


def live(url: str, folder: Path, stories: Iterable[Callable[[Browser], Stay | None]] = STORIES) -> list[Stay]:
    """Let all of it happen, some of it at the same time; tells what really happened.

    Args:
        url: of the program.
        folder: for the browsers.
        stories: what each does.
    """

    def tell(story: Callable[[Browser], Stay | None]) -> Stay | None:
        browser = Browser(folder / story.__name__, url)
        try:
            return story(browser)
        finally:
            browser.quit()

    with ThreadPoolExecutor(AT_ONCE) as people:
        return [stay for stay in people.map(tell, stories) if stay is not None]
