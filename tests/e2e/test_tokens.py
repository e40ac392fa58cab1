"""A page that calls an API with access tokens of ours: fresh while somebody works, left to lapse when nobody does."""

from __future__ import annotations

import json
import os
import time
from http.cookies import SimpleCookie
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import pytest
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse, Response

from stillhere import Policy, seconds
from stillhere.adapters.asgi import session_of
from stillhere.tokens import AccessTokens, SigningKeys, Tokens
from stillhere.tokens.keys import Algorithm, draw_key
from tests.e2e.application import Application
from tests.e2e.between import FAIR, Between, Message, Weather, between
from tests.e2e.stand import CONFIG
from tests.support import BUSY_S

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from starlette.requests import Request

    from stillhere.adapters.asgi import App, Receive, Scope, Send
    from tests.e2e.browser import Browser

LIFETIME_MS: Final = 4_000
PATIENT_MS: Final = 60_000
WINDOW_MS: Final = 2_500
REFRESH: Final = "/session/refresh"

TAG: Final = f"<script src=/session/client.js defer data-tokens data-activity-window={WINDOW_MS} {{}}></script>"
FIELD: Final = "<textarea autofocus data-stillhere-saved></textarea>"
PAGES: Final = {
    "/": "Please sign in.",
    "/work": FIELD + TAG.format(""),
    "/alone": FIELD + TAG.format("data-push=off"),
    "/stays": FIELD + TAG.format("data-login=off"),
    "/provided": FIELD + TAG.format("data-logout-at-provider"),
    "/goodbye": "Signed out at the provider.",
}


class Turn(NamedTuple):
    """One refresh as the server saw it; `at` in seconds of the monotonic clock, tokens as cookies hold them."""

    at: float
    presented: str | None
    given: str | None
    status: int


class Api(Application):
    """An application whose API wants a bearer.

    Attributes:
        turns: every refresh, in the order of their answers.
        logout_url: what the answer to a sign-out says besides, as if somebody had come from a provider.
    """

    def __init__(self, lifetime: int) -> None:
        """Make keys, and give access tokens a life."""
        policy = Policy(idle_timeout=seconds(60), warning_timeout=seconds(10), beat_interval=seconds(5), activity_window=WINDOW_MS)
        super().__init__(policy, PAGES)
        keys = SigningKeys([draw_key(Algorithm.EDDSA, random_bytes=os.urandom)])
        access = AccessTokens(keys, issuer="https://app.example", audience="https://api.example", lifetime=lifetime)
        self.tokens = Tokens(access=access, refresh=True)
        self.config = msgspec.structs.replace(CONFIG, bearer=True)
        self.turns: list[Turn] = []
        self.logout_url: str | None = None

    def _watch(self, app: App) -> App:
        async def turning(scope: Scope, receive: Receive, send: Send) -> None:
            async def noting(message: MutableMapping[str, Any]) -> None:
                if scope["path"] == REFRESH and message["type"] == "http.response.start":
                    presented = _refresh_token(Headers(scope=scope).get("cookie"))
                    given = _refresh_token(Headers(raw=message["headers"]).get("set-cookie"))
                    self.turns.append(Turn(time.monotonic(), presented, given, message["status"]))
                await send(message)

            is_ending = scope["path"] == "/session/end" and self.logout_url is not None
            await app(scope, receive, self._adding(send) if is_ending else noting)

        return super()._watch(turning)

    def _adding(self, send: Send) -> Send:
        start: MutableMapping[str, Any] = {}

        async def adding(message: MutableMapping[str, Any]) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body = json.dumps({**json.loads(message["body"]), "logoutUrl": self.logout_url}).encode()
            headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
            await send({**start, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
            await send({**message, "body": body})

        return adding

    async def _enter(self, request: Request) -> Response:
        here = session_of(request.scope)
        started, cookies = await here.start("reader@studio.example")
        self._handle = started.session.handle
        issued = await here.issue(started.session)
        assert issued is not None
        response = RedirectResponse(request.query_params["then"], 303)
        response.raw_headers.extend((name.encode(), value.encode()) for name, value in (*cookies, *issued[1]))
        return response

    async def _answer(self, request: Request) -> Response:
        bearer = request.headers.get("authorization")
        is_welcome = bearer is not None and session_of(request.scope).session is not None
        return JSONResponse({"bearer": bearer}, 200 if is_welcome else 401)


def _refresh_token(cookies: str | None) -> str | None:
    found = SimpleCookie(cookies or "").get("refresh")
    return None if found is None else found.value


class Desk:
    """A browser at the application, with a proxy between them."""

    def __init__(self, api: Api, sky: Between, browser: Browser) -> None:
        self.api = api
        self.sky = sky
        self.browser = browser

    def sign_in(self, page: str = "/work") -> None:
        """Sign in and go to a page."""
        self.browser.open(f"/enter?then={page}")
        self.ready()

    def ready(self) -> None:
        """Wait for the client and its part, and note the part's news in the page from here on."""
        self.browser.wait_for_client()
        self.browser.js("window.news = []; window.errors = []")
        self.tokens("(t.on('refreshed', n => news.push(n)), t.on('error', e => errors.push(e.status)), 0)")

    def tokens(self, call: str) -> Any:
        """Let the page call its tokens, `t`, and tell the result, or `!` and the error's reason."""
        script = "const done = arguments[0]; window.stillhere.tokens.then(async t => {}).then(done, e => done('!' + e.reason))"
        return self.browser.driver.execute_async_script(script.format(call))

    def call(self, token: str | None = None) -> tuple[int, str | None]:
        """Call the API, by the part's own `fetch` or with a token by hand; tells status and the bearer that came."""
        how = "t.fetch('/api/me')" if token is None else f"fetch('/api/me', {{headers: {{Authorization: 'Bearer {token}'}}}})"
        status, answer = self.tokens(f"{how}.then(async r => [r.status, await r.json()])")
        return status, answer["bearer"]

    def refreshes(self) -> int:
        """Count refreshes that were answered with a token."""
        return sum(turn.status == 200 for turn in self.api.turns)

    def held(self) -> int:
        """Count refreshes that wait in the proxy."""
        return sum(message.path == REFRESH for message in self.sky.held())


@pytest.fixture
def desk(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Serve the application, put the proxy before it and open a tab; tokens lapse within seconds only where a test waits for it."""
    chromium.driver.switch_to.new_window("tab")
    api = Api(getattr(request, "param", PATIENT_MS))
    with api.serving(), between(api.url) as sky:
        chromium.base = sky.url
        chromium.problems()
        yield Desk(api, sky, chromium)
        first, *others = chromium.driver.window_handles
        for handle in others:
            chromium.driver.switch_to.window(handle)
            chromium.driver.close()
        chromium.driver.switch_to.window(first)
        chromium.driver.get("about:blank")


@pytest.mark.parametrize("desk", [LIFETIME_MS], indirect=True)
def test_typing_keeps_the_token_fresh(desk: Desk) -> None:
    """While somebody types, tokens follow each other in time without being asked for; each is another one, and so is each cookie."""
    desk.sign_in()
    kept: list[str] = []
    typed_at: list[float] = []

    def typed_on() -> bool:
        desk.browser.type()
        typed_at.append(time.monotonic())
        time.sleep(0.2)  # a hand has its own pace
        if desk.refreshes() > len(kept) and (token := desk.tokens("t.accessToken()")) not in kept:
            kept.append(token)
        return len(kept) == 4

    desk.browser.wait(typed_on, "four tokens")
    turns = list(desk.api.turns)
    calls = "const had = await t.accessToken(), r = await t.fetch('/api/me')"
    had, status, answer, has = desk.tokens(f"{{ {calls}; return [had, r.status, await r.json(), await t.accessToken()] }}")
    assert (status, answer["bearer"]) in {(200, f"Bearer {had}"), (200, f"Bearer {has}")}  # it may be replaced just then
    assert {turn.status for turn in turns} == {200}
    assert len({turn.given for turn in turns}) == len(turns)
    assert [turn.presented for turn in turns[1:]] == [turn.given for turn in turns[:-1]]
    spans = [later.at - earlier.at for earlier, later in pairwise(turns)]
    slowest_s = max(BUSY_S, *(later - earlier for earlier, later in pairwise(typed_at)))
    assert all(1 <= span < LIFETIME_MS / 1_000 + slowest_s for span in spans), spans
    told = desk.browser.js("return [news, errors]")
    assert told[1] == []
    assert all(list(news) == ["accessTokenInMs"] and 0 < news["accessTokenInMs"] <= LIFETIME_MS for news in told[0])
    places = "[{...localStorage}, {...sessionStorage}, document.cookie, document.documentElement.outerHTML]"
    stored = desk.browser.js(f"return JSON.stringify({places})")
    assert not any(token in stored for token in kept)
    assert desk.browser.problems() == []


@pytest.mark.parametrize("desk", [LIFETIME_MS], indirect=True)
def test_nobody_there_nothing_refreshed(desk: Desk) -> None:
    """After the last input tokens are left to lapse; the next input brings one at once, and so does a call of the application."""
    desk.sign_in()
    desk.browser.type()
    typed_at = time.monotonic()
    desk.browser.wait(lambda: desk.refreshes() >= 1, "the first token")
    silent_ms = WINDOW_MS + 2 * LIFETIME_MS
    desk.browser.wait(lambda: desk.browser.state()["idleMs"] > silent_ms, "a long silence")
    assert all(turn.at < typed_at + WINDOW_MS / 1_000 + 1.5 + BUSY_S for turn in desk.api.turns)
    before = desk.refreshes()
    desk.browser.type()
    desk.browser.wait(lambda: desk.refreshes() > before, "a token for who is back")
    desk.browser.wait(lambda: desk.browser.state()["idleMs"] > silent_ms, "another silence")
    before = desk.refreshes()
    assert desk.call()[0] == 200
    desk.browser.wait(lambda: desk.refreshes() == before + 1, "the refresh to be noted")
    assert desk.api.session.ended_at is None


def test_a_refresh_moves_no_deadline(desk: Desk) -> None:
    """However often tokens are refreshed, nobody counts as active by it."""
    desk.sign_in()
    active_at = desk.api.session.last_active_at
    for _ in range(3):
        desk.tokens("t.refresh()")
    desk.browser.wait(lambda: desk.refreshes() == 3, "three refreshes")
    assert desk.api.session.last_active_at == active_at


@pytest.mark.parametrize("desk", [LIFETIME_MS], indirect=True)
def test_a_hidden_page_refreshes_when_it_is_asked_and_when_it_is_shown(desk: Desk) -> None:
    """In a hidden tab nothing is refreshed by itself; what is due is done when somebody looks at it again."""
    desk.sign_in()
    desk.browser.type()
    desk.browser.wait(lambda: desk.refreshes() >= 1, "the first token")
    hidden = desk.browser.hide()
    hidden_at = time.monotonic()
    desk.browser.wait(
        lambda: all(message.is_done.is_set() for message in desk.sky.messages if message.path == REFRESH), "what was under way"
    )
    before = desk.refreshes()
    desk.browser.wait(lambda: time.monotonic() > hidden_at + LIFETIME_MS / 1_000 + 1, "the token to lapse")
    assert desk.refreshes() == before
    desk.browser.show(hidden)
    desk.browser.type()
    desk.browser.wait(lambda: desk.refreshes() > before, "what became due")
    before = desk.refreshes()
    desk.tokens("(document.addEventListener('visibilitychange', () => document.hidden && t.refresh()), 0)")
    desk.browser.hide()
    desk.browser.wait(lambda: desk.refreshes() > before, "what a hidden page asks for")


def test_two_tabs_that_refresh_at_once_get_the_same_successor(desk: Desk) -> None:
    """Two windows present one refresh token at the same moment: both get tokens that count, and the session lives on."""
    desk.sign_in()
    first = desk.browser.driver.current_window_handle
    desk.tokens("t.accessToken()")
    second = desk.browser.open_window("/work")
    desk.ready()

    def is_refresh(message: Message) -> bool:
        return message.path == REFRESH

    before = desk.refreshes()
    desk.sky.weather = Weather(holds=is_refresh)
    listening = "{ window.now = new BroadcastChannel('now'); now.onmessage = () => { window.next = t.refresh() } }"
    desk.browser.in_each((first, second), lambda: desk.tokens(listening))
    desk.browser.js("new BroadcastChannel('now').postMessage('')")  # nobody waits for long: they give up after 10 s
    desk.browser.wait(lambda: desk.held() == 2, "both to ask")
    desk.sky.weather = FAIR
    desk.sky.release()
    got = desk.browser.in_each((first, second), lambda: desk.browser.js("return window.next"))
    one, other = desk.api.turns[before : before + 2]
    assert one.presented == other.presented
    assert one.given == other.given is not None
    assert [desk.call(token)[0] for token in got] == [200, 200]
    for _ in range(2):
        assert desk.browser.in_each((first, second), lambda: (desk.tokens("t.refresh()"), desk.call()[0])[1]) == [200, 200]
    assert {turn.status for turn in desk.api.turns} == {200}
    assert desk.api.session.ended_at is None


def test_a_lost_answer_is_asked_for_again(desk: Desk) -> None:
    """The server turned the token and nobody heard: the page presents it again, gets the same successor, and nobody notices."""
    desk.sign_in()
    desk.tokens("t.accessToken()")
    before = len(desk.api.turns)
    desk.sky.weather = Weather(loses=lambda message: message.path == REFRESH and len(desk.api.turns) == before + 1)
    token = desk.tokens("t.refresh()")
    lost, heard = desk.api.turns[before : before + 2]
    assert lost.presented == heard.presented
    assert lost.given == heard.given
    assert desk.call(token) == (200, f"Bearer {token}")
    assert len(desk.browser.js("return errors")) == 1
    assert desk.tokens("t.refresh()") != token
    assert desk.api.session.ended_at is None


@pytest.mark.parametrize("desk", [LIFETIME_MS], indirect=True)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_signs_nobody_out(desk: Desk, status: int) -> None:
    """A server in trouble is asked again, not before the time it names, and whoever types gets a token when it is over."""
    desk.sign_in()
    desk.sky.weather = Weather(status=status, retry_after_s=2)
    began_at = time.monotonic()
    desk.browser.type()

    def asked() -> list[float]:
        return [message.at for message in desk.sky.messages if message.path == REFRESH and message.at > began_at]

    desk.browser.wait(lambda: len(asked()) == 2, "a second try")
    desk.sky.weather = FAIR
    first, second = asked()[:2]
    assert second - first >= 2

    def typed_on() -> bool:
        desk.browser.type()
        return desk.refreshes() >= 1

    desk.browser.wait(typed_on, "a token after all")
    assert desk.call()[0] == 200
    assert desk.browser.path == "/work"
    assert desk.api.session.ended_at is None


def test_a_sign_out_forgets_the_token(desk: Desk) -> None:
    """Signing out ends the session at once, for the token that was just used, too; no other is asked for."""
    desk.sign_in("/stays")
    token = desk.tokens("t.accessToken()")
    assert desk.call(token)[0] == 200
    assert desk.tokens("t.signOut()")["reason"] == "signed_out"
    before = len(desk.api.turns)
    assert desk.call(token)[0] == 401
    assert desk.tokens("t.accessToken()").startswith("!")
    assert desk.tokens("t.fetch('/api/me')").startswith("!")
    assert len(desk.api.turns) == before
    assert desk.api.session.ended_by == "signed_out"


def test_a_session_ended_elsewhere_ends_here_by_the_next_refresh(desk: Desk) -> None:
    """A refused refresh is confirmed by a question of the client's, which then ends the page with the session's own reason, once."""
    desk.sign_in("/alone")
    desk.tokens("t.accessToken()")
    desk.browser.js("sessionStorage.ends = 0; stillhere.session.on('ended', () => sessionStorage.ends++)")
    desk.api.end_session()
    assert desk.tokens("t.refresh()") == "!revoked"
    desk.browser.wait_for_path("/")
    assert "reason=revoked" in desk.browser.path
    assert desk.browser.js("return sessionStorage.ends") == "1"


def test_who_signs_out_goes_on_to_the_provider(desk: Desk) -> None:
    """With the option on, the sign-out leads to the address in its answer; nothing of the page can be gone back to."""
    desk.api.logout_url = f"{desk.api.other_url}/goodbye"
    desk.sign_in("/provided")
    desk.browser.js("void stillhere.session.end()")
    desk.browser.wait(lambda: desk.browser.driver.current_url == desk.api.logout_url, "the provider's page")
    assert "Signed out at the provider." in desk.browser.text()
    desk.browser.driver.back()
    assert "/provided" not in desk.browser.driver.current_url


def test_an_unsafe_address_is_no_provider(desk: Desk) -> None:
    """An address on plain http elsewhere is not gone to; the ending is the usual one."""
    desk.api.logout_url = "http://provider.example/goodbye"
    desk.sign_in("/provided")
    desk.browser.js("void stillhere.session.end()")
    desk.browser.wait_for_path("/")
    assert "reason=signed_out" in desk.browser.path
