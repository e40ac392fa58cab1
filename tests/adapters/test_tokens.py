"""Tokens in an application's own routes: issued at sign-in, and a provider's for its own calls."""

from __future__ import annotations

from typing import Final

import pytest

from stillhere.core.policy import minutes
from stillhere.errors import InsecureTransport, SettingsError, TokenLapsed
from stillhere.http.config import HttpConfig
from tests.adapters.apps import CALLS, ISSUES, TELLS, browser, wrapped
from tests.http.doubles import OURS, Web
from tests.http.site import Site
from tests.tokens.made import own_tokens

BEARER: Final = HttpConfig(bearer=True)


async def test_tokens_are_issued_with_the_refresh_token_in_its_cookie() -> None:
    """An access token for the answer, and a refresh cookie that then turns; the access token is a bearer like any other."""
    web = Web(BEARER, tokens=own_tokens())
    started = await web.sign_in()
    async with browser(wrapped(web.manager, config=BEARER), cookie=started.secret) as client:
        answer = await client.get(ISSUES)
        (cookie,) = answer.headers.get_list("set-cookie")
        assert cookie.startswith("__Host-refresh=")
        assert "SameSite=Strict" in cookie
        sent = {"authorization": f"Bearer {answer.json()['access']}"}
        assert (await client.get(TELLS, headers=sent)).json()["subject"] == started.session.subject
        token = cookie.partition("=")[2].partition(";")[0]
        refreshed = await web.ask("POST", "/session/refresh", headers={**OURS, "cookie": f"__Host-refresh={token}"})
        assert refreshed.status == 200


async def test_nothing_is_issued_to_a_session_that_is_over() -> None:
    """Neither token nor cookie for who has signed out."""
    web = Web(tokens=own_tokens())
    started = await web.sign_in()
    await web.manager.end(started.secret)
    async with browser(wrapped(web.manager), cookie=started.secret) as client:
        answer = await client.get(ISSUES)
    assert answer.json()["access"] is None
    assert "set-cookie" not in answer.headers


async def test_without_tokens_an_application_is_told_what_to_set() -> None:
    """Asking for what is not set up is a mistake of the application's, and says how to mend it."""
    web = Web()
    started = await web.sign_in()
    async with browser(wrapped(web.manager), cookie=started.secret) as client:
        with pytest.raises(SettingsError, match="Tokens"):
            await client.get(ISSUES)


async def test_no_token_goes_over_a_way_that_others_can_read() -> None:
    """On plain http to anything but a loopback address nothing is issued."""
    config = HttpConfig(cookie_name="session-over-http")
    web = Web(config, tokens=own_tokens())
    started = await web.sign_in()
    async with browser(wrapped(web.manager, config=config), url="http://app.example") as client:
        with pytest.raises(InsecureTransport):
            await client.get(ISSUES, headers={"cookie": f"session-over-http={started.secret}"})


async def test_an_application_calls_with_a_token_that_is_fresh() -> None:
    """The provider's token, refreshed for a person; a request marked as background uses what there is and refreshes nothing."""
    site = Site()
    await site.enter()
    async with browser(wrapped(site.manager), cookie=site.secret) as client:
        assert (await client.get(CALLS)).json()["token"] == "planted-access-1"
        site.clock.advance(minutes(5))
        site.issuer.now = site.clock()
        with pytest.raises(TokenLapsed):
            await client.get(CALLS, headers={"x-heartbeat": "true"})
        assert (await client.get(CALLS)).json()["token"] == "planted-access-2"


async def test_who_is_not_signed_in_or_not_there_has_no_token() -> None:
    """None for nobody, for somebody who signed in otherwise, and where there are no tokens at all."""
    site, web = Site(), Web()
    elsewhere, plain = await site.sign_in(), await web.sign_in()
    for manager, secret in ((site.manager, None), (site.manager, elsewhere.secret), (web.manager, plain.secret)):
        async with browser(wrapped(manager), cookie=secret) as client:
            assert (await client.get(CALLS)).json()["token"] is None
