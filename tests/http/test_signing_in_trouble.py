"""A login at a provider that goes wrong: explained to whoever it is, and nothing of it left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest

from stillhere.core.policy import minutes
from stillhere.core.records import EndedBy
from stillhere.errors import EndedEverywhere, SettingsError, StoreError, TooManySessions
from stillhere.http import signing_in as room
from stillhere.http.config import HttpConfig
from stillhere.http.endpoints import SessionEndpoints
from stillhere.tokens.provider.failures import Failure, ProviderError
from stillhere.tokens.provider.party import RelyingParty
from stillhere.tokens.provider.transport import NoReply
from tests.http.doubles import assert_problem, header, read
from tests.http.site import Site, assert_page
from tests.tokens.provider.doubles import json_reply

if TYPE_CHECKING:
    from stillhere.tokens.provider.records import Identity


async def test_everywhere_is_also_a_login_at_the_provider() -> None:
    """Who ends all sessions ends a login that began before, too, whenever in it that happens; its tokens go back."""
    for is_meanwhile in (False, True):
        site = Site()
        url = await site.leave()
        if is_meanwhile:
            site.hooks.append(site.manager.end_all)
        else:
            await site.manager.end_all("reader@fund.example")
        assert "signed out everywhere" in assert_page(await site.arrive(url), 409)
        assert "__Host-session" not in site.cookies
        assert len(site.issuer.calls("/revoke")) == 2
        site.clock.advance(1)
        assert (await site.enter()).status == 200


async def test_a_welcome_that_fails_leaves_no_tokens_behind() -> None:
    """An application in trouble while it decides: the provider's tokens go back, whatever comes of the request."""

    async def fail(identity: Identity) -> None:
        raise ValueError(identity.sub)

    site = Site(welcome=fail)
    url = await site.leave()
    with pytest.raises(ValueError, match="person"):
        await site.arrive(url)
    assert len(site.issuer.calls("/revoke")) == 2


async def test_a_login_is_finished_once() -> None:
    """The same redirect a second time, with the cookie put back by hand, signs nobody in."""
    site = Site()
    url = await site.leave()
    kept = dict(site.cookies)
    assert (await site.arrive(url)).status == 200
    site.cookies.update(kept)
    assert "over" in assert_page(await site.arrive(url), 400)
    assert len(site.store.sessions) == 1


async def test_another_browser_cannot_finish_a_login() -> None:
    """Without the cookie of that login the code is worth nothing (RFC 9700 section 4.7), and the provider is not asked."""
    site = Site()
    url = await site.leave()
    site.cookies.clear()
    assert_page(await site.arrive(url), 400)
    assert site.issuer.calls("/token") == []
    assert site.store.sessions == {}


@pytest.mark.parametrize("sealed", ["", "nonsense", "v1.one.AAAA", "v1.two.AAAA", "v9.one." + "A" * 100])
async def test_a_cookie_that_was_not_sealed_here_is_none(sealed: str) -> None:
    """Whatever a browser puts there: 400, no trouble of ours."""
    site = Site()
    url = await site.leave()
    (name,) = site.cookies
    site.cookies[name] = sealed
    assert_page(await site.arrive(url), 400)


@pytest.mark.parametrize("query", ["", "state=short", "code=x", "state=%00%00%00%00%00%00%00%00", "state=" + "A" * 43, "&" * 1000])
async def test_a_redirect_that_belongs_to_no_login_is_refused(query: str) -> None:
    """400, a page with a link to begin again, and nothing is asked or kept."""
    site = Site()
    await site.leave()
    assert 'href="/session/login"' in assert_page(await site.get("/session/callback", query), 400)
    assert site.store.sessions == {}


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"iss": "https://other.example"}, 400, "begin again"),
        ({"code": None, "error": "access_denied"}, 403, "No access"),
        ({"code": None}, 400, "begin again"),
    ],
)
async def test_a_login_that_goes_wrong_is_explained(changes: dict[str, str | None], status: int, says: str) -> None:
    """Mixed-up providers, a no of the person's, nothing at all: a page that says what to do, and the login is forgotten."""
    site = Site()
    assert says in assert_page(await site.arrive(await site.leave(), **changes), status)
    assert site.cookies == {}


async def test_a_login_that_took_too_long_is_over() -> None:
    """After a quarter of an hour it begins again."""
    site = Site()
    url = await site.leave()
    site.clock.advance(minutes(15) + 1)
    assert "too long" in assert_page(await site.arrive(url), 400)


async def test_whoever_is_not_welcome_gets_no_session_and_their_tokens_go_back() -> None:
    """The application's no is final: 403, no cookie, and what the provider gave is revoked there."""
    site = Site()
    url = await site.leave()
    site.issuer.claims = {"sub": "stranger"}
    assert "no place" in assert_page(await site.arrive(url), 403)
    assert site.cookies == {}
    assert len(site.issuer.calls("/revoke")) == 2
    away = Site()
    url = await away.leave()
    away.issuer.claims = {"sub": "stranger"}
    away.issuer.answers["/revoke"].append(NoReply("timeout", may_have_arrived=True))
    assert_page(await away.arrive(url), 403)


async def test_a_sign_in_that_is_refused_is_explained_and_its_tokens_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """409 and a page for people if all their sessions are ended meanwhile, or there are as many as there may be; no cookie is set."""
    for error, says in ((EndedEverywhere(), "signed out everywhere"), (TooManySessions(1), "as many places as are allowed")):
        site = Site()
        monkeypatch.setattr(site.manager.people, "admit", AsyncMock(side_effect=error))
        assert says in assert_page(await site.enter(), 409)
        assert site.cookies == {}
        assert len(site.issuer.calls("/revoke")) == 2


async def test_a_provider_that_is_away_signs_nobody_in_and_nobody_out() -> None:
    """503 with `Retry-After` and a link to try again with the way back, at the beginning and at the end."""
    site = Site()
    site.issuer.answers["/.well-known/openid-configuration"].append(NoReply("unreachable", may_have_arrived=False))
    answer = await site.get("/session/login", "next=/work", {"sec-fetch-site": "same-origin"})
    assert 'href="/session/login?next=%2Fwork"' in assert_page(answer, 503)
    assert header(answer, "retry-after")
    url = await site.leave()
    site.issuer.answers["/token"].append(json_reply({}, 502))
    answer = await site.arrive(url)
    assert_page(answer, 503)
    assert header(answer, "retry-after")


async def test_on_plain_http_nobody_is_sent_anywhere() -> None:
    """The code would come back over a way that anybody can read."""
    site = Site()
    answer = await site.endpoints.answer(_plain("/session/login"))
    assert_problem(answer, 403)


def _plain(path: str) -> Any:
    from stillhere.http.messages import Request  # noqa: PLC0415  # for its one use

    return Request(method="GET", path=path, headers={"host": "app.example"}, client="203.0.113.9", scheme="http")


async def test_a_store_that_fails_half_way_leaves_nobody_half_signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and the session that was begun is ended, for its tokens are nowhere."""
    site = Site()
    url = await site.leave()

    async def fail(*_: object, **__: object) -> None:
        raise StoreError("away")

    monkeypatch.setattr(site.store, "swap", fail)
    assert_problem(await site.arrive(url), 503)
    assert site.session().ended_by is EndedBy.REVOKED
    assert "__Host-session" not in site.cookies
    assert len(site.issuer.calls("/revoke")) == 2


async def test_a_session_that_is_ended_at_once_signs_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the new session is over before it holds its tokens, so is the login."""
    site = Site()
    url = await site.leave()
    note = site.store.note

    async def end_first(name: str, handle: str, *, until: int) -> None:
        await site.store.end(handle, EndedBy.REVOKED, now=site.clock())
        await note(name, handle, until=until)

    monkeypatch.setattr(site.store, "note", end_first)
    assert_page(await site.arrive(url), 400)
    assert len(site.issuer.calls("/revoke")) >= 2
    assert "__Host-session" not in site.cookies


async def test_a_beat_whose_token_is_over_says_that_it_is_the_provider() -> None:
    """503 with `Retry-After` and `reason`, so that a page can tell it from trouble of ours; nobody is signed out."""
    site = Site()
    await site.enter()
    site.clock.advance(minutes(6))
    site.issuer.answers["/token"].append(json_reply({}, 502))
    answer = await site.ask("POST", "/session/beat", secret=site.secret, body={"lifecycle": "active", "idleMs": 0})
    assert assert_problem(answer, 503)["reason"] == "provider_away"
    assert header(answer, "retry-after")
    assert site.session().ended_at is None


@pytest.mark.parametrize("is_silent", [True, False])
async def test_signing_out_never_fails_for_the_provider(is_silent: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001  # a case
    """If it is away, or does not answer in time, there is no address, and everything else is as ever."""
    site = Site()
    await site.enter()

    async def away(**_: object) -> str | None:
        if is_silent:
            await asyncio.Event().wait()
        raise ProviderError(Failure.TRANSIENT, endpoint="discovery", why="timeout")

    monkeypatch.setattr(room, "LINK_TIMEOUT_S", 0.01)
    monkeypatch.setattr(RelyingParty, "logout_url", lambda _, **said: away(**said))
    answer = await site.ask("POST", "/session/end", secret=site.secret)
    assert answer.status == 200
    assert "logoutUrl" not in read(answer)
    assert site.session().ended_by is EndedBy.SIGNED_OUT


def test_a_provider_that_sends_people_elsewhere_is_refused_at_start() -> None:
    """A redirect address where nobody answers would only be found out by the first who signs in."""
    site = Site()
    with pytest.raises(SettingsError, match="/session/callback"):
        SessionEndpoints(site.manager, HttpConfig(prefix="/elsewhere"))
    SessionEndpoints(site.manager, HttpConfig(prefix="/elsewhere", extra_paths={"callback": ("/session/callback",)}))
