"""An application that polls: with tagging its pollers keep nobody signed in, and nothing else about its requests changes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import BUSY_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.application import Application
    from tests.e2e.browser import Browser
    from tests.e2e.conftest import Visit

    Polling = Callable[..., Application]

CLIENT = "<script src=/session/client.js defer data-activity-window=4000 {}></script>"

POLLING = "<script src=/poller.js></script><input autofocus data-stillhere-saved>"

PAGES = {
    "/tagged": POLLING + CLIENT.format("data-tag-requests"),
    "/untagged": POLLING + CLIENT.format(""),
    "/prefix": CLIENT.format("data-tag-requests=/api/"),
}

IDLE_MS = 8_000

TYPED_MS = 12_000
"""Where somebody has to type before the warning shows."""

PATIENT_MS = 60_000
"""Where nobody waits for the end, which a slow machine must not reach."""


@pytest.fixture
def polling(chromium: Browser, visit: Visit) -> Polling:
    """Visit a page of an application on which the client's own beats keep nobody signed in; its requests are tagged from here on."""

    def start(path: str, idle_timeout: int = PATIENT_MS, **policy: int) -> Application:
        application = visit(path, PAGES, beats_extend="never", requests_extend="all", idle_timeout=idle_timeout, **policy)
        if path != "/untagged":
            chromium.wait(lambda: ask(chromium, "fetch('/api/echo')").get("x-heartbeat"), "the requests to be tagged")
        application.asked.clear()
        return application

    return start


def ask(browser: Browser, request: str) -> Any:
    """Let the page's own script send a request; tells what the API says of it, or the error."""
    script = f"const done = arguments[0]; (async () => ({request}))().then(r => r.json?.() ?? r).then(done, e => done(String(e)))"
    return browser.driver.execute_async_script(script)


XHR = """(() => {{
  const xhr = new XMLHttpRequest()
  {}
  return JSON.parse(xhr.response)
}})()"""


def xhr(steps: str) -> str:
    """Write a request by XMLHttpRequest."""
    return XHR.format(steps)


def test_an_untouched_page_that_polls_is_signed_out_on_time(chromium: Browser, polling: Polling) -> None:
    """Its polls, once a second, move no deadline: the session ends as if nobody had asked anything since the page was opened."""
    application = polling("/tagged", IDLE_MS)
    opened_at = time.time() * 1000
    chromium.wait(lambda: application.session.last_seen_at > application.session.last_active_at + 3_000, "the polls to go on")
    chromium.wait_for_path("/")
    session = application.session
    assert "reason=idle" in chromium.path
    assert session.ended_by == "idle"
    assert session.ended_at == session.last_active_at + IDLE_MS
    assert session.last_active_at <= opened_at


def test_without_tagging_the_same_page_stays_signed_in(chromium: Browser, polling: Polling) -> None:
    """Its polls keep the session alive far past the idle timeout: that is what tagging is for."""
    application = polling("/untagged", IDLE_MS)
    born_at = application.session.created_at
    chromium.wait(lambda: application.session.last_active_at > born_at + 1.5 * IDLE_MS, "the session to outlive its idle timeout")
    assert application.session.ended_at is None
    assert chromium.path == "/untagged"
    assert application.heartbeats() == {None}


def test_a_person_who_types_keeps_the_session(chromium: Browser, polling: Polling) -> None:
    """Polls sent within the activity window of somebody's input count, and those after it no more."""
    application = polling("/tagged", TYPED_MS)
    born_at = application.session.created_at

    def outlived() -> bool:
        chromium.type()
        return bool(application.session.last_active_at > born_at + 1.2 * TYPED_MS)

    chromium.wait(outlived, "the session to outlive its idle timeout")
    typed_at = time.time() * 1000
    chromium.wait_for_path("/")
    session = application.session
    assert session.ended_by == "idle"
    assert session.last_active_at < typed_at + 4_000 + 1_000 * BUSY_S


def test_a_hidden_tab_that_polls_counts_nothing(chromium: Browser, polling: Polling) -> None:
    """As soon as a tab is hidden its polls are tagged, however lately somebody typed in it."""
    application = polling("/tagged", TYPED_MS)

    def counts() -> bool:
        chromium.type()
        return ask(chromium, "fetch('/api/echo')").get("x-heartbeat") is None

    chromium.wait(counts, "the input to count")
    chromium.hide()
    # What was sent before may arrive after.
    application.asked.clear()
    chromium.wait(lambda: "true" in application.heartbeats(), "the first tagged poll")
    application.asked.clear()
    chromium.wait(lambda: len([asked for asked in application.asked if asked.path == "/api/poll"]) >= 3, "the hidden tab to poll")
    assert application.heartbeats() == {"true"}
    chromium.wait(lambda: application.session.last_seen_at > application.session.last_active_at + TYPED_MS - 4_000, "the polls to go on")
    last_active_at = application.session.last_active_at
    # Nobody but the polls asks after it: with the first that comes too late the end is recorded.
    chromium.wait(lambda: application.session.ended_by == "idle", "the end")
    assert application.session.ended_at == last_active_at + TYPED_MS


def test_while_the_warning_asks_for_a_choice_nothing_else_extends(chromium: Browser, polling: Polling) -> None:
    """Typing while the warning shows makes no poll count, so the page cannot stay signed in by accident."""
    polling("/tagged", warning_timeout=PATIENT_MS - 5_000)
    chromium.wait(lambda: chromium.state()["state"] == "expiring", "the warning")
    chromium.type()
    chromium.wait(lambda: chromium.state()["idleMs"] is not None, "the input to be noticed")
    assert ask(chromium, "fetch('/api/echo')")["x-heartbeat"] == "true"


SHAPES = {
    "an address": "fetch('/api/echo', {headers: {'X-Own': 'a'}})",
    "a relative address": "fetch('api/echo', {headers: {'X-Own': 'a'}})",
    "a URL": "fetch(new URL('/api/echo', location), {headers: [['X-Own', 'a']]})",
    "a list of headers": "fetch('/api/echo', {headers: new Headers({'X-Own': 'a'})})",
    "a Request": "fetch(new Request('/api/echo', {headers: {'X-Own': 'a'}}))",
    "a Request and more": "fetch(new Request('/api/echo', {headers: {'X-Own': 'b'}}), {headers: {'X-Own': 'a'}})",
    "a Request as options": "fetch('/api/echo', new Request('/elsewhere', {headers: {'X-Own': 'a'}}))",
    "keepalive": "fetch('/api/echo', {keepalive: true, headers: {'X-Own': 'a'}})",
    "same-origin mode": "fetch('/api/echo', {mode: 'same-origin', headers: {'X-Own': 'a'}})",
    "a redirect": "fetch('/api/redirect?to=/api/echo', {headers: {'X-Own': 'a'}})",
    "an XMLHttpRequest": """new Promise(done => {
        const xhr = new XMLHttpRequest(); xhr.open('GET', '/api/echo'); xhr.setRequestHeader('X-Own', 'a')
        xhr.onload = () => done(JSON.parse(xhr.response)); xhr.send() })""",
    "a synchronous one": xhr("xhr.open('GET', '/api/echo', false); xhr.setRequestHeader('X-Own', 'a'); xhr.send()"),
    "one used again": xhr(
        """xhr.open('GET', '/api/echo', false); xhr.setRequestHeader('X-Heartbeat', 'false'); xhr.send()
        xhr.open('GET', '/api/echo', false); xhr.setRequestHeader('X-Own', 'a'); xhr.send()"""
    ),
    "one opened twice": xhr(
        """xhr.open('GET', 'http://localhost/', false)
        xhr.open('GET', '/api/echo', false); xhr.setRequestHeader('X-Own', 'a'); xhr.send()"""
    ),
}


def test_every_shape_of_a_request_is_tagged_and_keeps_its_own_headers(chromium: Browser, polling: Polling) -> None:
    """Whatever way an application sends its requests, the header comes along once and its own headers stay."""
    polling("/tagged")
    for shape, request in SHAPES.items():
        answer = ask(chromium, request)
        assert isinstance(answer, dict), f"{shape}: {answer}"
        assert (answer.get("x-own"), answer.get("x-heartbeat")) == ("a", "true"), shape
    posted = ask(chromium, "fetch(new Request('/api/echo', {method: 'POST', body: new URLSearchParams({a: 1})}))")
    assert (posted["body"], posted["x-heartbeat"]) == ("a=1", "true")
    assert posted["content-type"] == "application/x-www-form-urlencoded;charset=UTF-8"
    assert (
        ask(chromium, "(async () => { const r = new Request('/api/echo'); await fetch(r); return r.headers.has('X-Heartbeat') })()")
        is False
    )
    assert chromium.problems() == []


def test_what_the_caller_decided_stays(chromium: Browser, polling: Polling) -> None:
    """A request that says X-Heartbeat itself, or is a message of the client, is left as it is."""
    application = polling("/tagged")
    for request in (
        "fetch('/api/echo', {headers: {'x-heartbeat': 'false'}})",
        "fetch(new Request('/api/echo', {headers: {'x-heartbeat': 'false'}}))",
        xhr("xhr.open('GET', '/api/echo', false); xhr.setRequestHeader('x-heartbeat', 'false'); xhr.send()"),
    ):
        assert ask(chromium, request)["x-heartbeat"] == "false"
    assert "x-heartbeat" not in ask(chromium, "fetch('/api/echo', {headers: {'X-Stillhere': '1'}})")
    chromium.record()
    chromium.js("window.stillhere.session.beat()")
    chromium.wait(chromium.told, "the beat's answer")
    assert application.heartbeats("/session/beat") == {None}


def test_other_origins_get_no_header_and_no_preflight(chromium: Browser, polling: Polling) -> None:
    """A request to another origin goes out as it was made, also where the page's base address leads there."""
    application = polling("/tagged")
    other = f"{application.other_url}/api/echo"
    application.asked.clear()
    for request in (
        f"fetch('{other}')",
        f"fetch(new Request('{other}'))",
        f"fetch('{other}', {{mode: 'no-cors'}}).then(r => ({{}}))",
        xhr(f"xhr.open('GET', '{other}', false); xhr.send()"),
        f"fetch('{application.other_url.partition(':')[2]}/api/echo')",
    ):
        answer = ask(chromium, request)
        assert isinstance(answer, dict), f"{request}: {answer}"
        assert "x-heartbeat" not in answer
    chromium.js("document.head.append(Object.assign(document.createElement('base'), {href: arguments[0]}))", application.other_url)
    assert "x-heartbeat" not in ask(chromium, "fetch('/api/echo')")
    assert "x-heartbeat" not in ask(chromium, xhr("xhr.open('GET', '/api/echo', false); xhr.send()"))
    elsewhere = [asked for asked in application.asked if asked.host.startswith("localhost")]
    assert {(asked.method, asked.heartbeat) for asked in elsewhere} == {("GET", None)}
    assert [asked.path for asked in elsewhere].count("/api/echo") == 7  # the page's own poll may follow the base address, too


def test_a_redirect_to_another_origin_is_spared_by_a_prefix(chromium: Browser, polling: Polling) -> None:
    """Browsers take a header along when they are sent elsewhere, and ask there first; what lies outside the prefix is not tagged at all."""
    application = polling("/prefix")
    assert "x-heartbeat" not in ask(chromium, f"fetch('/download?to={application.other_url}/api/echo')")
    assert "x-heartbeat" not in ask(chromium, "fetch('/download?to=/api/echo')")
    assert ask(chromium, "fetch('/api/echo')")["x-heartbeat"] == "true"
    assert [asked for asked in application.asked if asked.method == "OPTIONS"] == []


REFUSED = (
    "fetch()",
    "fetch('http://')",
    "fetch('/api/echo', {headers: {'bad name': 'a'}})",
    "fetch('/api/echo', {headers: 5})",
    "fetch('/api/echo', {method: 'GET', body: 'x'})",
    "fetch('/api/echo', {method: 'POST', body: new ReadableStream(), duplex: 'half'})",
    "fetch(new Request('/api/echo'), {signal: AbortSignal.abort()})",
    "(async () => { const r = new Request('/api/echo', {method: 'POST', body: 'x'}); await r.text(); return fetch(r) })()",
    xhr("xhr.open('GET', 'http://')"),
    xhr("xhr.send()"),
    xhr("xhr.open('GET', '/api/echo', false); xhr.send(); xhr.send()"),
)


def test_what_the_browser_refuses_it_refuses_in_its_own_words(chromium: Browser, polling: Polling) -> None:
    """An application that makes a mistake gets the error it would have got without us, and what needs no header works as before."""
    polling("/untagged")
    native = {request: ask(chromium, request) for request in REFUSED}
    assert all(isinstance(error, str) for error in native.values()), native
    polling("/tagged")
    assert {request: ask(chromium, request) for request in REFUSED} == native
    assert ask(chromium, "fetch('data:application/json,1')") == 1
    assert ask(chromium, "fetch(URL.createObjectURL(new Blob(['2'])))") == 2
    assert ask(chromium, "fetch('/api/echo', {mode: 'no-cors'})").get("x-heartbeat") is None


UNTOUCHED = """return fetch === natives.fetch && ["open", "send", "setRequestHeader"].every(
  name => XMLHttpRequest.prototype[name] === natives[name])"""


def test_after_stop_everything_is_native_again(chromium: Browser, polling: Polling) -> None:
    """Stopping the session puts the browser's own functions back."""
    polling("/tagged")
    assert chromium.js("return [fetch.name, fetch.length, /native code/.test(fetch)]") == ["fetch", 1, True]
    assert chromium.js(UNTOUCHED) is False
    chromium.js("window.stillhere.session.stop()")
    assert chromium.js(UNTOUCHED) is True


def test_after_stop_what_others_wrapped_is_transparent(chromium: Browser, polling: Polling) -> None:
    """Where another library has wrapped these functions since, its wrapping stays and ours in it does nothing any more."""
    polling("/tagged")
    chromium.js("""
      const { fetch: inner, XMLHttpRequest: { prototype } } = window, { send } = prototype
      window.theirs = window.fetch = (...args) => inner(...args)
      prototype.send = function (...args) { return send.apply(this, args) }""")
    by_xhr = xhr("xhr.open('GET', '/api/echo', false); xhr.send()")
    assert [ask(chromium, request)["x-heartbeat"] for request in ("fetch('/api/echo')", by_xhr)] == ["true", "true"]
    chromium.js("window.stillhere.session.stop()")
    assert chromium.js("return fetch === theirs") is True
    for request in ("fetch('/api/echo')", "fetch(new Request('/api/echo'))", by_xhr):
        assert ask(chromium, request).get("x-heartbeat") is None
