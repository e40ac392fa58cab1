"""Crawlers, link scanners and previews that say so leave no visit, though they carry a session; a browser is never one of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.records import Lifecycle
from stillhere.core.wire import Beat, unseen
from stillhere.http import devices
from stillhere.http.devices import is_robot
from tests.core.worlds import beats
from tests.http.doubles import OURS, Web

if TYPE_CHECKING:
    from collections.abc import Iterator

WEBKIT: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"

ROBOTS: Final = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    f"Mozilla/5.0 (Linux; Android 6.0.1) {WEBKIT} Chrome/129.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1)",
    f"Mozilla/5.0 {WEBKIT} (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0 Safari/537.36",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
    "SomeMail LinkScanner/3",
    "TELEGRAMBOT (like TwitterBot)",
]

PEOPLE: Final = [
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/129.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/129.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) {WEBKIT} Chrome/90.0.0.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 9; CUBOT X30) {WEBKIT} Chrome/90.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0",
    "curl/8.5.0",
    "",
    None,
]

READING: Final = {"view": "v", "seq": 1, "page": "/a", "visibleMs": 5_000, "activeMs": 4_000, "idleMs": 100, "lifecycle": "active"}


@pytest.fixture(params=["with the library", "without it"])
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the library, and have it not installed."""
    if request.param == "without it":
        monkeypatch.setitem(sys.modules, "ua_parser", None)
    devices._library.cache_clear()
    is_robot.cache_clear()
    yield
    devices._library.cache_clear()
    is_robot.cache_clear()


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("agent", ROBOTS)
def test_honest_machines_are_known(agent: str) -> None:
    """Those that say what they are, in any case of letters, with the extra and without."""
    assert is_robot(agent)


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("agent", PEOPLE)
def test_browsers_of_people_are_not_taken_for_machines(agent: str | None) -> None:
    """Phones with such names, browsers without a window, programs that people write, and who says nothing."""
    assert not is_robot(agent)


def test_the_library_knows_more() -> None:
    """What only ua-parser calls a spider is one."""
    assert devices._ROBOTS.search("WhatsApp/2.23.20.0") is None
    assert is_robot("WhatsApp/2.23.20.0")


def test_a_name_of_any_length_costs_little() -> None:
    """Only the beginning is looked at."""
    assert not is_robot("x" * devices.LONGEST + "Googlebot/2.1")


async def test_a_machine_with_a_session_leaves_no_visit() -> None:
    """Whatever it says of a page, alone or in a queue, of a view or plainly, opens nothing; it is answered as anybody."""
    web = Web()
    started = await web.sign_in()
    for body in (READING, {"beats": [READING, {**READING, "view": "w", "kind": "extend"}]}, {**READING, "kind": "leave"}, b""):
        answer = await web.ask("POST", "/session/beat", headers={**OURS, "user-agent": ROBOTS[0]}, body=body, secret=started.secret)
        assert answer.status == 200
    assert (web.store.views, web.store.visits) == ({}, {})
    web.clock.advance(1_000)
    said = await web.ask("POST", "/session/beat", headers={**OURS, "user-agent": PEOPLE[0] or ""}, body=READING, secret=started.secret)
    assert said.status == 200
    assert [view.page for view in web.store.views[started.session.handle].values()] == ["/a"]


@given(beat=beats)
def test_of_a_machine_only_evidence_is_left(beat: Beat) -> None:
    """It speaks of no view and of nothing on screen; what kind it is, when it was made and when input was stay."""
    (told,) = unseen([beat])
    assert (told.view, told.visible_ms, told.lifecycle, told.is_plain) == (None, None, Lifecycle.HIDDEN, False)
    assert (told.kind, told.age_ms, told.idle_ms) == (beat.kind, beat.age_ms, beat.idle_ms)


@given(agent=st.text(max_size=600))
def test_any_name_is_judged(agent: str) -> None:
    """A header may hold anything."""
    assert is_robot(agent) in {True, False}
