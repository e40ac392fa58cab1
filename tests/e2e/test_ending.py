"""The end of a session as people meet it: one toast, what they typed kept, the way back, and no going in circles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.faces import ENTER, SCRIPT, STRICT, Faces, create_stand, page_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.browser import Browser
    from tests.e2e.stand import Stand

TAG = '<script src="/session/client.js" data-login="/login" data-notice="{notice}" defer></script>'


@pytest.fixture
def stand() -> Iterator[Stand]:
    """Serve a page with the client's tag under the strictest policy."""
    stand = create_stand()
    stand.csp = STRICT
    stand.files["/"] = page_of(TAG.format(notice=900))
    stand.files["/slow"] = page_of(TAG.format(notice=60_000))
    stand.files["/again"] = page_of(TAG.format(notice=500).replace("/login", "/back"))
    stand.files["/back"] = page_of('<script src="/back.js"></script>')
    stand.files["/back.js"] = (SCRIPT, b"location.replace('/again')")
    with stand.serving():
        yield stand


@pytest.fixture
def page(stand: Stand, chromium: Browser) -> Iterator[Browser]:
    """Sign in and open the page; at the end, the console may complain of 401 only."""
    chromium.base = stand.url
    chromium.problems()
    chromium.open("/enter")
    chromium.wait_for_client()
    yield chromium
    assert [problem for problem in chromium.problems() if "401" not in problem] == []
    chromium.driver.get("about:blank")


def end(page: Browser, stand: Stand) -> None:
    """End the session from elsewhere, and let the page ask."""
    stand.end_session()
    page.js("window.stillhere.session.check()")


def wait_for_toast(page: Browser) -> None:
    """Wait until the toast shows."""
    page.wait(lambda: page.js("return !!document.querySelector('stillhere-dialog')"), "the toast")


def inside(page: Browser, selector: str) -> str:
    """Read what stands in the toast."""
    return str(page.js("return document.querySelector('stillhere-dialog').shadowRoot.querySelector(arguments[0]).textContent", selector))


KEEP = """
delete sessionStorage.seen
new MutationObserver(() => {
  const toast = document.querySelector("stillhere-dialog")
  if (!toast || sessionStorage.seen) return
  const body = toast.shadowRoot.querySelector("#body").textContent
  sessionStorage.seen = JSON.stringify({ body, inert: document.body.inert, at: Date.now() })
}).observe(document.documentElement, { childList: true })
"""
"""Keeps what the toast says, and when it came, for the page that comes after it."""


def stays(page: Browser) -> bool:
    """Tell whether the toast has been there for longer than it takes to leave."""
    return bool(
        page.js(
            """const toast = document.querySelector('stillhere-dialog')
            if (toast) toast.since ??= performance.now()
            return toast && performance.now() - toast.since > 1500"""
        )
    )


def test_the_reason_shows_before_the_page_is_left(page: Browser, stand: Stand) -> None:
    """The toast says why over a page that can't be read; then the sign-in page comes, with the way back."""
    page.js(KEEP)
    end(page, stand)
    page.wait_for_path("/login")
    seen = page.js("return JSON.parse(sessionStorage.seen)")
    assert "ended from elsewhere" in seen["body"]
    assert seen["inert"]
    assert page.js("return performance.timeOrigin") - seen["at"] > 500
    assert page.path == "/login?next=%2F&reason=revoked"


def test_the_button_does_not_wait(page: Browser, stand: Stand) -> None:
    """Who has read it presses Enter and is there."""
    page.open("/slow")
    page.wait_for_client()
    end(page, stand)
    wait_for_toast(page)
    Faces(page).press(ENTER)
    page.wait_for_path("/login")


@pytest.mark.parametrize("where", ["#notes", "#rich", "#agree"])
def test_what_a_person_typed_is_kept(page: Browser, stand: Stand, where: str) -> None:
    """A field, a switch, a text that can be edited: nobody is sent away, the page stays readable, the toast stays and says to copy."""
    page.find(where).click()
    if where != "#agree":
        page.type("Half a page of thoughts")
    end(page, stand)
    wait_for_toast(page)
    assert "Copy it" in inside(page, "#status")
    assert not page.js("return document.body.inert")
    assert page.js("return '#' + document.activeElement.id") == where
    page.js("window.waited = false; setTimeout(() => { window.waited = true }, 1500)")
    page.wait(lambda: page.js("return window.waited"), "the time in which it would have left")
    assert page.path == "/"
    page.js("document.querySelector('stillhere-dialog').shadowRoot.querySelector('#primary').click()")
    page.wait_for_path("/login")


def test_a_framework_that_moves_the_default_along_is_no_excuse(page: Browser, stand: Stand) -> None:
    """Some keep a field's default equal to its value; what a person typed is known all the same."""
    page.js("const notes = document.querySelector('#notes'); notes.oninput = () => { notes.defaultValue = notes.value }")
    page.find("#notes").click()
    page.type("controlled")
    end(page, stand)
    wait_for_toast(page)
    assert "Copy it" in inside(page, "#status")


UNTYPED = {
    "typed and taken back": ("#notes", "x\b", ""),
    "written by a script": ("#before", "", "document.querySelector('#notes').value = 'y'"),
    "kept otherwise": ("#scratch", "xyz", ""),
    "emptied by the application": ("#notes", "sent", "document.querySelector('#notes').value = ''"),
    "gone from the page": ("#notes", "xyz", "document.querySelector('#notes').remove()"),
}


@pytest.mark.parametrize("case", UNTYPED)
def test_what_nobody_would_miss_keeps_nobody(page: Browser, stand: Stand, case: str) -> None:
    """Nothing is lost here, so the page is left."""
    where, text, script = UNTYPED[case]
    page.js("document.querySelector('form').addEventListener('submit', event => event.preventDefault())")
    page.find(where).click()
    if text:
        page.type(text)
    page.js(script)
    end(page, stand)
    page.wait_for_path("/login")


def test_what_was_submitted_is_kept_only_until_it_has_arrived(page: Browser, stand: Stand) -> None:
    """A submission may be the very request that met the end; once it is ten seconds old it has arrived."""
    page.js(
        """document.querySelector('form').addEventListener('submit', event => event.preventDefault())
        const later = window.setTimeout
        window.setTimeout = (fn, ms, ...more) => later(fn, ms === 10000 ? 50 : ms, ...more)"""
    )
    page.find("#notes").click()
    page.type("sent")
    page.find("#before").click()
    page.js("window.waited = false; setTimeout(() => { window.waited = true }, 200)")
    page.wait(lambda: page.js("return window.waited"), "the submission to arrive")
    end(page, stand)
    page.wait_for_path("/login")


def test_a_submission_that_met_the_end_is_not_lost(page: Browser, stand: Stand) -> None:
    """Sent a moment before the end, what was typed may not have arrived: the page stays."""
    page.js("document.querySelector('form').addEventListener('submit', event => event.preventDefault())")
    page.find("#notes").click()
    page.type("sent too late")
    page.find("#before").click()
    end(page, stand)
    wait_for_toast(page)
    assert "Copy it" in inside(page, "#status")


def test_who_signs_out_leaves_nothing_behind(page: Browser) -> None:
    """To sign out is a choice: it does not stop at a text."""
    page.find("#notes").click()
    page.type("never mind")
    page.js("window.stillhere.session.end()")
    page.wait_for_path("/login")


def test_drafts_are_saved_before_the_page_is_left(page: Browser, stand: Stand) -> None:
    """The application is asked, waited for, and may fail without harm."""
    page.open("/login")
    page.js(
        """sessionStorage.clear()
        const tag = document.createElement('script')
        tag.src = window.trustedTypes.createPolicy('test', {createScriptURL: url => url}).createScriptURL('/session/client.js')
        tag.dataset.manual = ''
        tag.onload = () => stillhere.start({
          endpoint: '/session', login: '/slow', notice: 500,
          saveDrafts: why => new Promise(done => setTimeout(() => { sessionStorage.saved = why.reason; done() }, 800)),
        })
        document.head.append(tag)"""
    )
    page.wait_for_client()
    end(page, stand)
    page.wait_for_path("/slow")
    assert page.js("return sessionStorage.saved") == "revoked"


def test_a_loop_is_broken_and_stays_broken_over_reloads(page: Browser, stand: Stand) -> None:
    """A sign-in page that sends people back unsigned: three times in a minute it goes round, then the toast stays, with its button."""
    stand.end_session()
    page.open("/again")
    page.wait(lambda: len(stand.views()) == 1 + 4 and stays(page), "the circle to be broken")
    assert len(stand.views()) == 1 + 4, "the page, and the other one four times"
    page.driver.refresh()
    page.wait(lambda: len(stand.views()) == 1 + 4 + 1 and stays(page), "the toast to stay once more")
    assert len(stand.views()) == 1 + 4 + 1
    assert inside(page, "#primary") == "Sign in"
    page.js("window.stillThere = true")
    Faces(page).press(ENTER)
    page.wait(lambda: page.js("return window.stillThere ?? null") is None, "the button to work still")


def test_another_tab_goes_when_it_is_looked_at(page: Browser, stand: Stand) -> None:
    """A tab that nobody sees shows no toast; looked at, it goes to the sign-in page."""
    first = page.driver.current_window_handle
    page.hide()
    page.open("/slow")
    page.wait_for_client()
    end(page, stand)
    wait_for_toast(page)
    page.show(first)
    page.wait_for_path("/login")


def test_another_tab_of_who_signed_in_again_is_shown_anew(page: Browser, stand: Stand) -> None:
    """Nobody who is signed in is sent to the sign-in page by an old tab."""
    page.js("window.old = true")
    first = page.driver.current_window_handle
    page.hide()
    page.open("/slow")
    page.wait_for_client()
    end(page, stand)
    wait_for_toast(page)
    page.open("/enter")
    page.wait_for_client()
    page.show(first)
    page.wait(lambda: page.js("return window.old ?? null") is None, "the page to be loaded anew")
    page.wait_for_client()
    assert page.path == "/"


def test_a_sign_in_page_with_the_client_takes_nobodys_notice(page: Browser, stand: Stand) -> None:
    """A second tab at the sign-in page, which has nothing to show, does not keep the first one from saying why and going."""
    stand.files["/login"] = page_of(TAG.format(notice=900))
    first = page.driver.current_window_handle
    page.hide()
    stand.end_session()
    page.open("/login")
    page.wait(lambda: page.state()["state"] == "ended", "the sign-in page to know that nobody is signed in")
    login = page.driver.current_window_handle
    page.driver.switch_to.window(first)
    page.driver.execute_cdp_cmd("Target.activateTarget", {"targetId": first})
    page.wait_for_path("/login")
    page.driver.switch_to.window(login)
    page.driver.close()
    page.driver.switch_to.window(first)
