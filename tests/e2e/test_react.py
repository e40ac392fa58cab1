"""The hooks in real React, 18 and 19, in strict mode: one client, told once, gone when nobody wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from stillhere import Policy, seconds
from tests.e2e.react import BADGE, HEART, QUIET, bundled

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.react import Page
    from tests.e2e.stand import Stand


CALM = Policy(
    idle_timeout=seconds(120), warning_timeout=seconds(10), beat_interval=seconds(60), activity_window=seconds(10), ramp=(seconds(60),)
)
"""After the first beat nothing is said unasked for as long as a test takes, also on a slow machine."""

BEATING = msgspec.structs.replace(CALM, ramp=(seconds(5),))

WARNING = msgspec.structs.replace(CALM, idle_timeout=seconds(30), warning_timeout=seconds(20), beat_interval=seconds(10))
"""The warning can be waited for, and stays for a while."""


@pytest.fixture(scope="module", params=["18", "19"])
def bundle(request: pytest.FixtureRequest, dist: Path) -> bytes:
    """Bundle the page with each React, for development."""
    return bundled(dist, str(request.param), "development")


@pytest.fixture
def policy(request: pytest.FixtureRequest) -> Policy:
    """Give the policy that a test names, or the calm one."""
    policy: Policy = getattr(request, "param", CALM)
    return policy


def test_strict_mode_starts_one_client(page: Page) -> None:
    """Each component is mounted twice; the server sees one view, one first beat, nobody leaving."""
    page.show(BADGE, HEART)
    page.wait_for_state("active")
    page.settle()
    assert page.browser.js("return lab.mounts") == {"badge": [2, 1], "heart": [2, 1]}
    assert [message["kind"] for message in page.stand.messages if "kind" in message] == ["beat"]


@pytest.mark.parametrize("policy", [BEATING], ids=["beating"], indirect=True)
def test_many_components_share_one_stream_of_beats(page: Page) -> None:
    """Ten badges and ten hearts cost what one costs: the beat at once and the one after five seconds."""
    page.show(*({**part, "name": f"{part['name']}{n}"} for n in range(10) for part in (BADGE, HEART)))
    page.wait_for_messages("beat", 2)
    page.wait_for_state("active", "badge9")
    page.settle()
    assert len(page.stand.beats()) == 2
    assert [len(page.told(f"heart{n}", "refreshed")) for n in range(10)] == [2] * 10


def test_callbacks_come_once_and_the_latest_is_called(page: Page) -> None:
    """Each answer is told once to each; a callback that changed is the one called, and nothing starts anew for it."""
    page.show(HEART)
    page.browser.wait(lambda: page.told("heart", "refreshed"), "the first answer")
    page.show({**HEART, "says": "second"})
    page.browser.js("lab.latest.heart.beat()")
    page.browser.wait(lambda: len(page.told("heart", "refreshed")) == 2, "the second answer")
    assert [told["says"] for told in page.told("heart", "refreshed")] == ["first", "second"]
    assert len(page.stand.views()) == 1


def test_nothing_is_called_after_unmounting(page: Page) -> None:
    """What is still on its way when a component goes is told to nobody; the tab's last words are sent."""
    page.stand.holds_answers = True
    page.show(HEART)
    page.wait_for_messages("beat", 1)
    page.unmount()
    page.stand.holds_answers = False
    page.wait_for_messages("leave", 1)
    page.settle()
    assert page.browser.js("return lab.told") == []


def test_one_that_goes_is_told_nothing_while_others_stay(page: Page) -> None:
    """The client runs on for those who stay, and only they hear of it."""
    page.show(HEART, {**HEART, "name": "other"})
    page.browser.wait(lambda: page.told("heart", "refreshed"), "the first answer")
    page.show({**HEART, "name": "other"})
    page.browser.js("lab.latest.other.beat()")
    page.browser.wait(lambda: len(page.told("other", "refreshed")) == 2, "the second answer")
    assert len(page.told("heart", "refreshed")) == 1
    assert len(page.stand.views()) == 1


def test_a_change_of_route_keeps_the_client(page: Page) -> None:
    """One component goes and another comes in the same commit: the view goes on."""
    page.show({**BADGE, "name": "one"})
    page.wait_for_state("active", "one")
    page.show({**BADGE, "name": "two"})
    page.wait_for_state("active", "two")
    page.settle()
    assert [message["kind"] for message in page.stand.messages if "kind" in message] == ["beat"]


def test_other_options_start_it_anew(page: Page) -> None:
    """Options are compared by value: equal ones change nothing, another page name is another client."""
    page.show({**HEART, "options": {"page": "/a"}})
    page.wait_for_messages("beat", 1)
    page.show({**HEART, "options": {"page": "/a"}})
    page.settle()
    assert len(page.stand.views()) == 1
    page.show({**HEART, "options": {"page": "/b"}})
    page.wait_for_messages("beat", 2)
    assert [beat["page"] for beat in page.stand.beats()] == ["/a", "/b"]


def test_it_runs_only_while_enabled(page: Page) -> None:
    """`enabled: false` asks the server nothing; switched on it starts, switched off it says its last words."""
    page.show({**BADGE, "options": {"enabled": False}})
    page.settle()
    assert page.state().startswith("unknown")
    assert page.stand.beats() == []
    page.show(BADGE)
    page.wait_for_state("active")
    page.show({**BADGE, "options": {"enabled": False}})
    page.wait_for_messages("leave", 1)
    page.wait_for_state("unknown")


def test_the_end_is_told_once_and_leaves_the_page_alone(page: Page) -> None:
    """`useHeartbeat` with its callback: once, with the reason; no notice, no redirect; whoever comes later is told, too."""
    page.show(HEART)
    page.browser.wait(lambda: page.told("heart", "refreshed"), "the first answer")
    page.stand.end_session()
    page.browser.js("lab.latest.heart.check(); lab.latest.heart.check()")
    page.browser.wait(lambda: page.told("heart", "expired"), "the end")
    page.show(HEART, {**HEART, "name": "late"}, BADGE)
    page.wait_for_state("ended")
    page.settle()
    assert [told["reason"] for told in page.told("heart", "expired")] == ["revoked"]
    assert [told["reason"] for told in page.told("late", "expired")] == ["revoked"]
    assert "revoked" in page.state()
    assert page.browser.js("return document.querySelectorAll('stillhere-dialog').length") == 0
    assert page.browser.path == "/"
    page.expected = "status of 401"


def test_drafts_are_saved_by_those_who_are_there(page: Page) -> None:
    """`saveDrafts` of each component is called once, with the reason; one that went before is not asked."""
    page.show(BADGE, HEART, {**HEART, "name": "gone"})
    page.wait_for_state("active")
    page.show(BADGE, HEART)
    page.expected = "status of 401"
    page.stand.end_session()
    page.browser.js("lab.latest.heart.check()")
    page.browser.wait(lambda: page.told("heart", "drafts") and page.told("badge", "drafts"), "the drafts")
    page.settle()
    assert [(told["name"], told["reason"]) for told in page.browser.js("return lab.told") if told["callback"] == "drafts"] == [
        ("badge", "revoked"),
        ("heart", "revoked"),
    ]


def test_an_end_from_elsewhere_is_told_at_once(page: Page) -> None:
    """The server says so itself; the client asks once more, to be sure."""
    page.expected = "status of 401"
    page.show({**BADGE, "options": {"dialog": False}}, {**HEART, "options": {}})
    page.browser.wait(lambda: len(page.told("heart", "refreshed")) == 2, "the answer to the beat, and what a stream begins with")
    page.stand.end_session()
    page.wait_for_state("ended")
    assert len(page.stand.beats()) == 1
    assert [told["reason"] for told in page.told("heart", "expired")] == ["revoked"]


def test_whoever_signs_in_again_starts_anew(page: Page) -> None:
    """After the end, `restart` begins a new view under the new session, without a new page."""
    page.show({**BADGE, "options": {"login": False, "dialog": False}})
    page.wait_for_state("active")
    page.stand.end_session()
    page.browser.js("lab.latest.badge.check()")
    page.wait_for_state("ended")
    page.browser.driver.execute_async_script("fetch('/enter').then(arguments[0])")
    page.browser.js("lab.latest.badge.restart()")
    page.wait_for_state("active")
    assert len(page.stand.views()) == 2
    page.expected = "status of 401"


def test_only_who_asks_is_rendered_each_second(page: Page) -> None:
    """A countdown renders itself; its neighbour is rendered only when the server answered."""
    page.show({**BADGE, "name": "still"}, {**BADGE, "name": "ticking", "options": {**QUIET, "tickMs": 100}})
    page.wait_for_state("active", "still")
    page.settle()
    before = page.browser.js("return lab.renders.still")
    ticks = page.browser.js("return lab.renders.ticking")
    page.browser.wait(lambda: page.browser.js("return lab.renders.ticking") > ticks + 20, "twenty ticks")
    assert page.browser.js("return lab.renders.still") == before
    page.show({**BADGE, "name": "still"})
    shown = page.state("still")
    page.browser.wait(lambda: page.browser.js("return lab.latest.still.expiresInMs") is not None, "a render")
    assert page.state("still").startswith("active"), shown


@pytest.mark.parametrize("policy", [WARNING], ids=["warning"], indirect=True)
def test_a_warning_can_be_answered_from_a_component(stand: Stand, page: Page) -> None:
    """The state turns to `expiring`, `extend` asks for more time, and the dialog is ours to leave out."""
    page.show({**BADGE, "options": {"dialog": False}})
    page.wait_for_state("expiring")
    dialogs = page.browser.js("lab.latest.badge.extend(); return document.querySelectorAll('stillhere-dialog').length")
    assert dialogs == 0
    page.wait_for_state("active")
    assert [message["kind"] for message in stand.messages if message.get("kind") == "extend"] == ["extend"]


def test_a_server_in_trouble_is_an_error_and_no_end(page: Page) -> None:
    """A 503 calls `onError` with the status, and the client tries again by itself."""
    page.stand.is_down = True
    page.show(HEART)
    page.browser.wait(lambda: page.told("heart", "error"), "the error")
    page.stand.is_down = False
    page.browser.wait(lambda: page.told("heart", "refreshed"), "the answer")
    assert page.told("heart", "expired") == []
    page.expected = "status of 503"


def test_a_callback_that_throws_harms_nobody(page: Page) -> None:
    """Its error is reported in the console; the others are called, and the client goes on."""
    page.show({**HEART, "name": "thrower", "throws": True}, HEART)
    page.browser.wait(lambda: page.told("heart", "refreshed"), "the first answer")
    page.browser.js("lab.latest.heart.beat()")
    page.browser.wait(lambda: len(page.told("heart", "refreshed")) == 2, "the second answer")
    assert len(page.told("thrower", "refreshed")) == 2
    assert len([problem for problem in page.browser.problems() if "thrown on purpose" in problem]) == 2


def test_what_a_server_rendered_comes_to_life(page: Page) -> None:
    """The server's html says that nothing is known; React finds it as it would have rendered it, and the client starts."""
    page.browser.js("return lab.hydrate(arguments[0])", [BADGE, HEART])
    page.wait_for_state("active")
    assert page.browser.js("return lab.complaints") == []
    assert len(page.stand.views()) == 1


def test_a_client_of_the_page_is_joined_and_left_alone(page: Page) -> None:
    """`start()` came first: components see its state, its options hold, and it runs on without them."""
    page.browser.js("window.own = lab.start({page: '/own', dialog: false})")
    page.show(BADGE, {**HEART, "options": {"page": "/other"}})
    page.wait_for_state("active")
    page.unmount()
    page.browser.js("own.beat()")
    page.wait_for_messages("beat", 2)
    assert {beat["page"] for beat in page.stand.beats()} == {"/own"}
    assert [message["kind"] for message in page.stand.messages] == ["beat", "beat"]
    page.browser.js("own.stop()")


def test_beats_go_where_an_application_has_them(page: Page) -> None:
    """`endpoint` is the whole path of a beat route, by whatever name; a sign-out still goes to its own route, and ends the session."""
    page.show({**HEART, "options": {"endpoint": "/api/auth/heartbeat", "intervalMs": 1_000, "activityWindowMs": 5_000}})
    page.browser.wait(lambda: len(page.told("heart", "refreshed")) >= 2, "two answers, a second apart")
    assert {message["path"] for message in page.stand.messages} == {"/api/auth/heartbeat"}
    over = page.browser.driver.execute_async_script("lab.latest.heart.end().then(arguments[0])")
    assert over["reason"] == "signed_out"
    assert page.stand.messages[-1]["path"] == "/session/end"


def test_a_changed_prefix_is_read_off_the_beat_route(page: Page) -> None:
    """Where `endpoint` ends in `/beat`, the other routes are beside it."""
    page.expected = "status of 404"
    page.show({**HEART, "options": {"endpoint": "/elsewhere/beat", "push": False}})
    page.wait_for_messages("beat", 1)
    page.browser.js("lab.latest.heart.end()")
    # A beat that was answered 404 may be tried again meanwhile.
    page.browser.wait(lambda: "/elsewhere/end" in [message["path"] for message in page.stand.messages], "the sign-out")
    assert page.stand.messages[0]["path"] == "/elsewhere/beat"
