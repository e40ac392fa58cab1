"""Activity that the page itself sees nothing of: sound that plays, and input in frames. Only with the adapter, and only if it is real."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support import BUSY_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.application import Application
    from tests.e2e.browser import Browser
    from tests.e2e.conftest import Visit

    Attend = Callable[..., Application]

CLIENT = "<script src=/session/client.js defer {}></script>"

PAGES = {
    "/media": "<audio src=/tone.wav></audio>" + CLIENT.format("data-media"),
    "/frames": CLIENT.format("data-frames") + "<iframe src=/inner></iframe>",
    "/plain": CLIENT.format("") + "<audio src=/tone.wav></audio><iframe src=/inner></iframe>",
    "/inner": "<input autofocus>",
    "/outer": "<iframe src=/inner></iframe>",
}

IDLE_MS = 12_000
"""Sound is told each five seconds and a little, which must be well before the warning."""

PATIENT_MS = 60_000
"""Where nobody waits for the end, which a slow machine must not reach."""

PLAY = "const [audio] = document.getElementsByTagName('audio'); Object.assign(audio, arguments[0] ?? {}); return audio.play()"


@pytest.fixture
def attend(chromium: Browser, visit: Visit) -> Attend:
    """Visit a page of an application on which requests keep nobody signed in, and wait until its adapter is there."""

    def start(path: str, idle_timeout: int = PATIENT_MS) -> Application:
        application = visit(path, PAGES, idle_timeout=idle_timeout, requests_extend="none")
        if path != "/plain":
            # Whoever imports it later is told later.
            chromium.js(f"return import('{application.url}/session/client{path}.js').then(() => null)")
        return application

    return start


def is_idle(browser: Browser) -> bool:
    """Tell whether the client has seen no activity at all yet."""
    return browser.state()["idleMs"] is None


def played(browser: Browser) -> float:
    """Tell how many seconds of the sound have played."""
    return float(browser.js("return document.getElementsByTagName('audio')[0].currentTime"))


def test_sound_that_plays_keeps_the_session(chromium: Browser, attend: Attend) -> None:
    """Who listens stays signed in past the idle timeout without touching anything, and is signed out on time once it is over."""
    application = attend("/media", IDLE_MS)
    chromium.js(PLAY)
    born_at = application.session.created_at
    chromium.wait(lambda: application.session.last_active_at > born_at + 1.2 * IDLE_MS, "the session to outlive its idle timeout")
    assert chromium.path == "/media"
    chromium.js("document.getElementsByTagName('audio')[0].pause()")
    paused_at = time.time() * 1000
    chromium.wait_for_path("/")
    assert application.session.ended_by == "idle"
    assert application.session.last_active_at <= paused_at + 1_000 + 1_000 * BUSY_S  # the pause takes its way into the page


def test_without_the_adapter_the_same_sound_does_not(chromium: Browser, attend: Attend) -> None:
    """A page that plays and is not touched ends at its idle timeout."""
    application = attend("/plain", IDLE_MS)
    chromium.js(PLAY)
    chromium.wait_for_path("/")
    session = application.session
    assert (session.ended_by, session.last_active_at) == ("idle", session.created_at)


@pytest.mark.parametrize("silence", [{"muted": True}, {"volume": 0}, {"loop": True}], ids=str)
def test_what_nobody_hears_or_never_ends_is_no_activity(chromium: Browser, attend: Attend, silence: dict[str, object]) -> None:
    """Muted, silenced and looping media play on and count nothing, nor do events that a script makes up."""
    attend("/media")
    chromium.js(PLAY, silence)
    chromium.wait(lambda: played(chromium) > 1, "it to play for a second")
    chromium.js("document.getElementsByTagName('audio')[0].dispatchEvent(new Event('timeupdate'))")
    assert is_idle(chromium)
    chromium.js(PLAY, {"muted": False, "volume": 1, "loop": False})
    chromium.wait(lambda: not is_idle(chromium), "the same sound to count once it can be heard")


def test_a_synthetic_event_of_a_playing_element_counts_nothing(chromium: Browser, attend: Attend) -> None:
    """Only the browser's own word that media moves on counts: in a page that has stopped listening to it nothing does."""
    attend("/media")
    chromium.js("addEventListener('timeupdate', event => event.isTrusted && event.stopImmediatePropagation(), true)")
    chromium.js(PLAY)
    chromium.wait(lambda: played(chromium) > 1, "it to play for a second")
    chromium.js("document.getElementsByTagName('audio')[0].dispatchEvent(new Event('timeupdate'))")
    assert is_idle(chromium)


def test_sound_in_a_hidden_tab_counts_nothing(chromium: Browser, attend: Attend) -> None:
    """Music in a tab that nobody looks at keeps nobody signed in; it counts from the return on."""
    application = attend("/media")
    chromium.js("""
      const [audio] = document.getElementsByTagName("audio"), { session } = stillhere
      window.active = { hidden: 0, visible: 0 }
      session.activity = () => active[document.visibilityState]++
      addEventListener("visibilitychange", () => document.hidden && audio.play())
      audio.ontimeupdate = () => document.hidden && audio.currentTime > 1 && fetch("/api/played")""")
    tab = chromium.hide()
    chromium.wait(lambda: application.heartbeats("/api/played"), "it to play for a second")
    chromium.show(tab)
    chromium.wait(lambda: chromium.js("return active.visible") >= 1, "it to count again")
    assert chromium.js("return active.hidden") == 0


def type_in_frame(browser: Browser, *path: int) -> None:
    """Type into the input of a frame, by its place in the page, and in the frame's own page, and so on."""
    for place in path:
        browser.driver.switch_to.frame(place)
    browser.find("input").send_keys("abc")
    browser.driver.switch_to.default_content()


def test_input_in_a_frame_keeps_the_session(chromium: Browser, attend: Attend) -> None:
    """Who types in a frame of the same origin stays signed in past the idle timeout."""
    idle_ms = 16_000  # to type in a frame takes many calls
    application = attend("/frames", idle_ms)
    born_at = application.session.created_at

    def outlived() -> bool:
        type_in_frame(chromium, 0)
        return bool(application.session.last_active_at > born_at + 1.2 * idle_ms)

    chromium.wait(outlived, "the session to outlive its idle timeout")
    assert chromium.path == "/frames"


def test_without_the_adapter_input_in_a_frame_is_not_seen(chromium: Browser, attend: Attend) -> None:
    """A page sees nothing of what happens in its frames."""
    attend("/plain")
    type_in_frame(chromium, 0)
    type_in_frame(chromium, 0)
    chromium.js("window.stillhere.session.check()")
    assert is_idle(chromium)


def test_frames_added_navigated_and_nested_are_covered(chromium: Browser, attend: Attend) -> None:
    """Whatever frame of the same origin somebody types in, and however it came there, it counts."""
    for change, path in (
        ("document.body.append(Object.assign(document.createElement('iframe'), {src: '/inner'}))", (1,)),
        ("frames[0].location = '/inner?again'", (0,)),
        ("frames[0].location = '/outer'", (0, 0)),
    ):
        attend("/frames")
        chromium.js(f"window.loads = 0; document.addEventListener('load', () => loads++, true); {change}")
        chromium.wait(lambda: chromium.js("return loads") == 1, "the frame to load")
        assert is_idle(chromium)
        type_in_frame(chromium, *path)
        chromium.wait(lambda: not is_idle(chromium), f"input after {change}")


def test_frames_of_other_origins_are_passed_over_without_an_error(chromium: Browser, attend: Attend) -> None:
    """They are nobody's activity here, and the console stays clean."""
    application = attend("/frames")
    chromium.js(
        "window.loads = 0; document.addEventListener('load', () => loads++, true);"
        "document.body.append(Object.assign(document.createElement('iframe'), {src: arguments[0]}))",
        f"{application.other_url}/inner",
    )
    chromium.wait(lambda: chromium.js("return loads") == 1, "the frame to load")
    type_in_frame(chromium, 1)
    assert is_idle(chromium)
    assert chromium.problems() == []


def test_synthetic_input_in_a_frame_counts_nothing_and_stop_ends_it(chromium: Browser, attend: Attend) -> None:
    """What a script makes up is nobody's activity; and after stop() nothing listens in the frames any more."""
    attend("/frames")
    chromium.js("""
      const [input] = frames[0].document.getElementsByTagName("input")
      input.dispatchEvent(new KeyboardEvent("keydown", { bubbles: true }))
      input.click()""")
    assert is_idle(chromium)
    listening = "window.active = 0; const { session } = stillhere; session.activity = () => active++"
    chromium.js(listening)
    type_in_frame(chromium, 0)
    assert chromium.js("return active") >= 1
    chromium.js("window.active = 0; stillhere.session.stop()")
    chromium.js("return new Promise(done => setTimeout(done, 1100))")
    type_in_frame(chromium, 0)
    assert chromium.js("return active") == 0
