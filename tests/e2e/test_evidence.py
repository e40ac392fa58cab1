"""What keeps a session at the last moment, and what only looks as if it did."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.support import BUSY_S

if TYPE_CHECKING:
    from tests.e2e.browser import Browser
    from tests.e2e.conftest import Visit

PAGES = {"/page": "<input autofocus><script src=/session/client.js defer></script>"}

SYNTHETIC = """
  document.body.style.height = "9000px"
  const [input] = document.getElementsByTagName("input")
  let turn = 0
  setInterval(() => {
    const init = { bubbles: true, composed: true, clientX: turn, screenX: turn * 50, key: "x", deltaY: 9 }
    const made = [new KeyboardEvent("keydown", init), new PointerEvent("pointerdown", init), new PointerEvent("pointermove", init),
      new MouseEvent("click", init), new WheelEvent("wheel", init), new Event("touchstart", init), new InputEvent("input", init)]
    for (const event of made) input.dispatchEvent(event)
    input.click()
    input.blur()
    input.focus()
    input.value += "x"
    scrollTo(0, (turn++ % 80) * 50)
    history.replaceState(null, "", "?" + turn)
  }, 100)"""


def test_a_key_near_the_deadline_keeps_the_session(chromium: Browser, visit: Visit) -> None:
    """Input just before the warning is told at once, long before the next beat, and nobody is warned."""
    application = visit("/page", PAGES, idle_timeout=30_000, beat_interval=15_000, requests_extend="none")
    chromium.js("window.warned = 0; stillhere.session.on('expiring', () => warned++)")
    born_at = application.session.last_active_at
    # From ten seconds before the deadline on input is told at once; the warning shows two seconds before it.
    chromium.wait(lambda: chromium.state()["expiresInMs"] < 10_000, "the deadline to be near")
    begun_at = time.time() * 1000
    chromium.type()
    typed_at = time.time() * 1000
    chromium.wait(lambda: application.session.last_active_at > born_at, "the input to be credited")
    assert application.session.last_seen_at < typed_at + 1_000 + 1_000 * BUSY_S
    assert begun_at - 1_000 < application.session.last_active_at < typed_at + 1_000 + 1_000 * BUSY_S
    chromium.wait(lambda: time.time() * 1000 > born_at + 30_000 + 500, "the old deadline to pass")
    assert (chromium.state()["state"], chromium.js("return warned"), chromium.path) == ("active", 0, "/page")


def test_what_a_script_makes_up_keeps_nobody_signed_in(chromium: Browser, visit: Visit) -> None:
    """Ten times a second a script types, points, clicks, scrolls, moves the focus and the address: the session ends on time, unmoved."""
    application = visit("/page", PAGES, idle_timeout=12_000, requests_extend="none")
    born_at = application.session.last_active_at
    chromium.js(SYNTHETIC)
    chromium.wait_for_path("/")
    session = application.session
    assert (session.ended_by, session.last_active_at, session.ended_at) == ("idle", born_at, born_at + 12_000)
    assert all("idleMs" not in message or message["idleMs"] is None for message in application.messages)
