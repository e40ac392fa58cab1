"""Existing clients behind the middleware: their bearer, the marker they ask for, an application's own answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from stillhere.core.policy import hours, minutes
from stillhere.core.records import EndedBy
from stillhere.http.config import HttpConfig
from tests.adapters.apps import ANSWERS, ROTATES, SIGNS_IN, SIGNS_OUT, TELLS, browser, wrapped
from tests.http.doubles import UNKNOWN_SECRET, Web, never_asked

if TYPE_CHECKING:
    from collections.abc import Sequence

ON: Final = HttpConfig(bearer=True)


def bearer(secret: str) -> dict[str, str]:
    """Write the header."""
    return {"authorization": f"Bearer {secret}"}


async def test_a_bearer_is_known_on_every_request() -> None:
    """An ordinary request with a bearer has its session, and extends it as a cookie would; marked, it does not."""
    web = Web()
    started = await web.sign_in()
    async with browser(wrapped(web.manager, config=ON)) as page:
        web.clock.advance(minutes(5))
        before = web.over_at()
        assert (await page.get(TELLS, headers={**bearer(started.secret), "x-heartbeat": "true"})).json()["subject"] == "first@fund.example"
        assert web.over_at() == before
        assert (await page.get(TELLS, headers=bearer(started.secret))).json()["subject"] == "first@fund.example"
        assert web.over_at() == before + minutes(5)


async def test_beside_a_bearer_the_cookie_is_not_looked_at() -> None:
    """A page that says whose it is is not taken for somebody else; a bearer that names nothing is nobody."""
    web = Web()
    first, second = await web.sign_in(), await web.sign_in("second@fund.example")
    async with browser(wrapped(web.manager, config=ON), cookie=first.secret) as page:
        for secret, subject in ((second.secret, "second@fund.example"), (UNKNOWN_SECRET, None), ("", None)):
            assert (await page.get(TELLS, headers=bearer(secret))).json()["subject"] == subject
        assert (await page.get(TELLS, headers={"authorization": "Basic Zm9v"})).json()["subject"] == "first@fund.example"


@pytest.mark.parametrize("config", [ON, HttpConfig()])
@pytest.mark.parametrize("header", ["Basic Zm9v", "Bearer short", "Bearer"])
async def test_an_authorization_that_is_no_id_asks_no_store(config: HttpConfig, header: str) -> None:
    """Other people's tokens cost no store call."""
    async with browser(wrapped(never_asked(), config=config)) as page:
        assert (await page.get(TELLS, headers={"authorization": header})).json()["subject"] is None


async def test_signing_in_again_by_bearer_replaces_that_session() -> None:
    """Ids rotate at sign-in for a bearer too: the session it came with ends with `replaced`."""
    web = Web()
    started = await web.sign_in()
    async with browser(wrapped(web.manager, config=ON)) as page:
        await page.post(f"{SIGNS_IN}?first@fund.example", headers=bearer(started.secret))
    assert [session.ended_by for session in web.store.sessions.values()] == [EndedBy.REPLACED, None]


async def test_signing_out_by_bearer_sets_no_cookie() -> None:
    """An application's own sign-out ends the bearer's session and leaves cookies alone."""
    web = Web()
    started = await web.sign_in()
    async with browser(wrapped(web.manager, config=ON), cookie=UNKNOWN_SECRET) as page:
        answer = await page.post(SIGNS_OUT, headers=bearer(started.secret))
    assert "set-cookie" not in answer.headers
    assert web.session().ended_by is EndedBy.SIGNED_OUT


def names(cookies: Sequence[str]) -> list[str]:
    """Tell the names and values of cookies."""
    return [cookie.partition(";")[0] for cookie in cookies]


async def test_the_marker_comes_and_goes_with_the_cookie() -> None:
    """Signing in, rotating and signing out by hand write both cookies, and the marker's value outlives a rotation."""
    web = Web()
    async with browser(wrapped(web.manager, config=HttpConfig(marker_cookie="here"))) as page:
        secret, marker = names((await page.post(f"{SIGNS_IN}?first")).headers.get_list("set-cookie"))
        assert marker == f"here={web.session().handle}"
        rotated, same = names((await page.post(ROTATES, headers={"cookie": secret})).headers.get_list("set-cookie"))
        assert rotated != secret
        assert same == marker
        gone = names((await page.post(SIGNS_OUT, headers={"cookie": rotated})).headers.get_list("set-cookie"))
    assert gone == ["__Host-session=", "here="]


async def test_an_application_answers_as_the_session_routes_do() -> None:
    """A route of one's own can say how the session stands and, once it is over, why, as private problem JSON."""
    web = Web()
    started = await web.sign_in()
    async with browser(wrapped(web.manager, config=ON)) as page:
        assert (await page.get(ANSWERS, headers=bearer(started.secret))).json()["state"] == "active"
        web.clock.advance(hours(1))
        answer = await page.get(ANSWERS, headers=bearer(started.secret))
    assert (answer.status_code, answer.json()["reason"]) == (401, "idle")
    assert answer.json()["message"] == "The session ended after 20 minutes without activity. Please sign in again."
    assert answer.headers["cache-control"] == "private, no-store"
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
