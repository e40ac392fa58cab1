"""What an application asks of a request's session: remembered sign-ins, proofs, stepping up, and refusals."""

from __future__ import annotations

import pytest

from stillhere.adapters.asgi import RequestSession
from stillhere.core.policy import Policy, SessionLimitBy, minutes
from stillhere.errors import EndedEverywhere, TooManySessions
from stillhere.http.config import HttpConfig
from stillhere.http.problems import sign_in_refused
from stillhere.manager import NO_SESSION
from tests.adapters.apps import GUARDED, STEPS_UP, browser, wrapped
from tests.http.doubles import Web, assert_problem, read, request
from tests.http.test_devices import FIREFOX

WHO = "first@fund.example"


def mine(web: Web) -> RequestSession:
    """Give the session of a request that has none yet."""
    return RequestSession(NO_SESSION, request("POST", "/login", headers={"user-agent": FIREFOX}), web.endpoints)


async def test_a_sign_in_is_remembered_and_listed() -> None:
    """Device and network are in the attribute `stillhere`, beside the application's own, and in the list."""
    web = Web()
    started, _ = await mine(web).start(WHO, plan="gold", fence="an attribute of that name is fine")
    facts = {"device": "Firefox on Windows", "network": "203.0.113.0/24"}
    assert started.session.attributes == {"plan": "gold", "fence": "an attribute of that name is fine", "stillhere": facts}
    (listed,) = read(await web.ask("GET", "/session/list", secret=started.secret))["sessions"]
    assert {name: listed[name] for name in facts} == facts


async def test_a_setting_has_nothing_remembered() -> None:
    """Without both the record has what the application gave, and no more."""
    web = Web(HttpConfig(remember_device=False, remember_network=False))
    started, _ = await mine(web).start(WHO, plan="gold")
    assert started.session.attributes == {"plan": "gold"}


async def test_our_attribute_is_ours() -> None:
    """An application that sets it by this name is told, before anything is kept."""
    web = Web()
    with pytest.raises(ValueError, match="the attribute 'stillhere' is kept"):
        await mine(web).start(WHO, stillhere={})
    assert web.store.sessions == {}


async def test_a_fence_goes_along() -> None:
    """A generation that was read before the password was checked is one that `start` takes."""
    web = Web()
    fence = await web.manager.people.generation(WHO)
    await web.manager.end_all(WHO)
    with pytest.raises(EndedEverywhere):
        await mine(web).start(WHO, fence)


async def test_a_refusal_has_an_answer() -> None:
    """409 with a word for machines and a sentence for people."""
    web = Web(policy=Policy(session_limit=1, session_limit_by=SessionLimitBy.REFUSE))
    await web.sign_in(WHO)
    with pytest.raises(TooManySessions) as refused:
        await mine(web).start(WHO)
    answer = sign_in_refused(refused.value)
    assert (answer.status, read(answer)["reason"]) == (409, "session_limit")
    assert "end one first" in read(answer)["detail"]


async def test_stepping_up_gives_a_new_cookie_and_lapses() -> None:
    """The answer sets the new id; the old one is nobody; a guarded page opens while it lasts, and asks again when it is over."""
    web = Web()
    started = await web.sign_in(WHO)
    app = wrapped(web.manager)
    async with browser(app, cookie=started.secret) as page:
        assert (await page.get(GUARDED)).json()["stepped_up"] is False
        done = await page.post(f"{STEPS_UP}?{minutes(5)}")
    secret = done.headers["set-cookie"].partition("=")[2].partition(";")[0]
    async with browser(app, cookie=started.secret) as page:
        assert (await page.post(f"{STEPS_UP}?1")).status_code == 401
        assert (await page.get(GUARDED)).status_code == 403
    async with browser(app, cookie=secret) as page:
        assert (await page.get(GUARDED)).json()["stepped_up"] is True
        web.clock.advance(minutes(5))
        assert (await page.get(GUARDED)).json()["stepped_up"] is False
        assert (await page.get(f"{GUARDED}?{minutes(5)}")).status_code == 200
        web.clock.advance(1)
        assert (await page.get(f"{GUARDED}?{minutes(5)}")).status_code == 403


async def test_a_proof_alone_makes_fresh_again() -> None:
    """`reauthenticated` takes note and lets nobody do more."""
    web = Web()
    started = await web.sign_in(WHO)
    app = wrapped(web.manager)
    web.clock.advance(minutes(16))
    async with browser(app, cookie=started.secret) as page:
        refused = await page.get(GUARDED)
        assert refused.status_code == 403
        assert (refused.json()["reason"], refused.json()["maxAgeMs"]) == ("reauthenticate", minutes(15))
        assert refused.headers["cache-control"] == "private, no-store"
        done = await page.post(STEPS_UP)
    secret = done.headers["set-cookie"].partition("=")[2].partition(";")[0]
    async with browser(app, cookie=secret) as page:
        assert (await page.get(GUARDED)).json()["stepped_up"] is False


async def test_nobody_is_neither_fresh_nor_stepped_up() -> None:
    """Without a session there is nothing to ask the store."""
    web = Web()
    assert not await mine(web).is_fresh()
    assert not await mine(web).has_stepped_up()
    assert await mine(web).step_up(1) is None


def test_asking_again_is_a_problem_like_others() -> None:
    """Private, with the sentence and the challenge, whatever the span."""
    members = assert_problem(mine(Web()).ask_again(minutes(5)), 403)
    assert members["detail"] == "This asks for a sign-in within the last 5 minutes. Please sign in once more, then try again."
