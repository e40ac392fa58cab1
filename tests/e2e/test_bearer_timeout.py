"""A React application with a token in the page and heartbeats that only validate, unchanged: `examples/bearer_timeout`."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.examples import HASTE, example, hand_on, sent_before, watch
from tests.support import BUSY_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House

WHO = "reader@clinic.example"
ME = "/v1/auth/me"
IDLE_S = 10
ABSOLUTE_S = 11

PATIENT = (60, 600)
"""Where no end is waited for: idle and absolute timeout in seconds."""

_WITNESS = """
new MutationObserver(() => {
  const title = document.querySelector("[data-sonner-toast] [data-title]")
  if (title && !sessionStorage.toast) sessionStorage.toast = JSON.stringify({ text: title.textContent, at: Date.now() })
}).observe(document, { childList: true, subtree: true })
addEventListener("session-expired", () => { sessionStorage.expired ??= Date.now() })
addEventListener("pagehide", () => sessionStorage.setItem("left", JSON.stringify([...JSON.parse(sessionStorage.left ?? "[]"), Date.now()])))
"""
"""Notes the first word of the end, the first toast and every time a page goes away, over the redirect."""


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """Bundle and serve the example, with a heartbeat each second and the timeouts that a test asks for."""
    idle_s, absolute_s = getattr(request, "param", PATIENT)
    policy = {
        "SessionManager, hours, minutes": "SessionManager, seconds",
        "minutes(20)": f"seconds({idle_s}), {HASTE}",
        "hours(24)": f"seconds({absolute_s})",
    }
    changes = {"bearer_timeout.py": policy, "src/components/AuthContext.tsx": {"}, 60000);": "}, 1000);"}}
    with example("bearer_timeout", tmp_path, database="sessions.db", changes=changes) as served:
        yield served


def sign_in(browser: Browser) -> str:
    """Sign in by the form; tells the token that the page keeps."""
    watch(browser)
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WITNESS})
    browser.open("/")
    browser.wait(lambda: "Password" in browser.text(), "the form")
    browser.find("input[name=email]").send_keys(WHO)
    browser.find("input[name=password]").send_keys("open sesame")
    browser.find("button").click()
    browser.wait(lambda: "Signed in as reader." in browser.text(), "the page")
    return str(browser.js("return localStorage.token"))


def toasted(browser: Browser) -> dict[str, Any]:
    """Read the toast that was shown."""
    found: dict[str, Any] = json.loads(browser.js("return sessionStorage.toast ?? '{}'"))
    return found


def went_away(browser: Browser) -> list[int]:
    """Tell when pages went away."""
    found: list[int] = json.loads(browser.js("return sessionStorage.left ?? '[]'"))
    return found


def wait_for_redirect(browser: Browser, *, since: list[int]) -> int:
    """Wait until the page has gone to the start and stands there; tells when it left."""
    browser.wait(lambda: len(went_away(browser)) > len(since), "the redirect")
    browser.wait(lambda: "Password" in browser.text(), "the form")
    left = went_away(browser)[len(since) :]
    assert len(left) == 1, left
    return left[0]


def works(browser: Browser) -> None:
    """Do something in the page, as a person does, if it is still there."""
    browser.js("document.getElementById('work')?.click()")
    time.sleep(0.5)  # a person's pace


def part_of(text: str) -> bytes:
    """Read a part of a token."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def part(claims: dict[str, Any]) -> str:
    """Write a part of a token."""
    return urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def asked_with(browser: Browser, token: str) -> tuple[int, str | None]:
    """Ask who a token belongs to; tells the status and the reason."""
    script = (
        "return fetch(arguments[0], {headers: {Authorization: `Bearer ${arguments[1]}`}})"
        ".then(async answer => [answer.status, (await answer.json()).reason])"
    )
    status, reason = browser.js(script, ME, token)
    return status, reason


@pytest.mark.parametrize("house", [(IDLE_S, 600)], indirect=True, ids=["idle"])
def test_an_untouched_page_is_signed_out_with_a_toast_and_one_redirect(browser: Browser, house: House) -> None:
    """Heartbeats go on and extend nothing: the idle end comes on time, is said for half a second, and the page goes to its start."""
    hand_on(browser)
    token = sign_in(browser)
    left_at = wait_for_redirect(browser, since=[])
    heartbeats = sent_before(browser, ME)
    assert all(ask.is_marked for ask in heartbeats)
    assert [ask.status for ask in heartbeats[:2]] == [200] * 2
    session = house.session_of(WHO)
    assert (session["ended_by"], session["ended_at"]) == ("idle", session["created_at"] + IDLE_S * 1_000)
    toast = toasted(browser)
    assert toast["text"] == "The session ended after 10 seconds without activity. Please sign in again."
    assert toast["at"] < left_at
    assert left_at - int(browser.js("return sessionStorage.expired")) >= 500
    assert left_at - session["ended_at"] < 3_000 + 1_000 * BUSY_S
    assert browser.js("return localStorage.token ?? null") is None
    assert asked_with(browser, token) == (401, "idle")


@pytest.mark.parametrize("house", [(IDLE_S, 600)], indirect=True, ids=["idle"])
def test_what_somebody_does_extends(browser: Browser, house: House) -> None:
    """Ordinary requests keep the session past its idle timeout, a reload of the page among them."""
    sign_in(browser)
    began = time.monotonic()
    while time.monotonic() - began < IDLE_S:
        works(browser)
    browser.driver.refresh()
    browser.wait(lambda: "Signed in as reader." in browser.text(), "the page, still signed in")
    works(browser)
    session = house.session_of(WHO)
    assert session["ended_at"] is None
    assert session["last_active_at"] - session["created_at"] > IDLE_S * 1_000
    assert toasted(browser) == {}


def test_a_sign_out_bites_at_once(browser: Browser, house: House) -> None:
    """The moment somebody signs out the token opens nothing, and the page's own path is what ended the session."""
    token = sign_in(browser)
    assert asked_with(browser, token) == (200, None)
    browser.find("#leave").click()
    browser.wait(lambda: house.session_of(WHO)["ended_by"] == "signed_out", "the sign-out")
    assert asked_with(browser, token) == (401, "signed_out")
    browser.wait(lambda: "Password" in browser.text(), "the form")
    assert browser.js("return localStorage.token ?? null") is None


def test_the_token_names_its_session_and_carries_no_secret(browser: Browser, house: House) -> None:
    """It is a signed token of the session's public handle that ends when the session must, and no secret id is anywhere in it."""
    header, payload = (json.loads(part_of(text)) for text in sign_in(browser).split(".")[:2])
    session = house.session_of(WHO)
    assert (header["alg"], header["typ"]) == ("EdDSA", "at+jwt")
    assert (payload["sid"], payload["sub"], payload["role"]) == (session["handle"], WHO, "reader")
    assert payload["exp"] == session["absolute_end_at"] // 1_000
    assert (house.file.parent / "token-key.jwk").stat().st_mode & 0o777 == 0o600


def test_a_tampered_token_is_nobodys(browser: Browser, house: House) -> None:
    """Whoever changes a claim, the signature or the algorithm is a stranger, and the session that they meant goes on."""
    token = sign_in(browser)
    header, payload, signature = token.split(".")
    claims = json.loads(part_of(payload))
    forged = [
        ".".join((header, part({**claims, "sub": "director@clinic.example"}), signature)),
        ".".join((header, part({**claims, "exp": claims["exp"] + 3_600}), signature)),
        ".".join((header, payload, signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB"))),
        ".".join((part({"alg": "none", "typ": "at+jwt"}), payload, "")),
    ]
    assert [asked_with(browser, text) for text in forged] == [(401, "no_session")] * len(forged)
    assert asked_with(browser, token) == (200, None)
    assert house.session_of(WHO)["ended_at"] is None


@pytest.mark.parametrize("house", [(IDLE_S, ABSOLUTE_S)], indirect=True, ids=["absolute"])
def test_nothing_outlasts_the_absolute_timeout(browser: Browser, house: House) -> None:
    """However busy somebody is, it is over at the absolute end, and the toast says so."""
    sign_in(browser)
    before = went_away(browser)
    while not toasted(browser):
        works(browser)
    wait_for_redirect(browser, since=before)
    session = house.session_of(WHO)
    assert (session["ended_by"], session["ended_at"]) == ("absolute", session["created_at"] + ABSOLUTE_S * 1_000)
    assert toasted(browser)["text"] == "The session reached its longest allowed time of 11 seconds. Please sign in again."


def test_no_cookie_is_ever_set(browser: Browser, house: House) -> None:
    """The page's token is its only credential: no cookie exists that could compete with it."""
    sign_in(browser)
    works(browser)
    assert browser.driver.get_cookies() == []
    assert house.session_of(WHO)["subject"] == WHO
