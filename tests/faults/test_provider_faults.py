"""Every fault of a provider, alone and mixed by chance, as the people of an application meet it: signed out only if it says so."""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import TYPE_CHECKING, Final

import pytest
from msgspec.structs import replace

from stillhere.testing import Fault
from tests.faults.token_stand import LATER, SCALED, SOON, Site, Stand, ask, reason_of, standing, until
from tests.stores.every import fresh_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

    from tests.faults.token_stand import Browser

NIGHTLY = os.environ.get("TESTS_PROFILE") == "nightly"

STEPS = 150 if NIGHTLY else 12

UNHEARD: Final = {
    "busy": Fault(status=429, retry_after="7"),
    "down": Fault(status=500),
    "down, with a date": Fault(status=503, retry_after="Fri, 01 Jan 2100 00:00:00 GMT"),
    "down, in the words of a refusal": Fault(status=503, error="invalid_grant"),
    "a page": Fault(html=True),
    "forbidden": Fault(status=403),
    "moved": Fault(status=302, location="https://elsewhere.example/token"),
    "refuses us": Fault(status=401, error="invalid_client"),
    "says something new": Fault(status=400, error="bad_mood"),
}
"""The provider hears nothing, so everything goes on afterwards."""

LATE: Final = "the answer is late"

LOST: Final = {
    "the answer is lost": Fault(loses_answer=True),
    LATE: Fault(delay=4_000),
    "a gateway gave up": Fault(status=504, is_heard=True),
    "a page after all": Fault(html=True, is_heard=True),
    "half an answer": Fault(cuts=40),
    "an endless answer": Fault(pads=300_000),
    "no access token": Fault(without=("access_token",)),
    "another kind of token": Fault(members={"token_type": "DPoP"}),
}
"""The provider spent the refresh token, and what it gave is lost: the next try says so."""

REFUSED: Final = {
    "refuses the grant": Fault(status=400, error="invalid_grant"),
    "somebody else": Fault(claims={"sub": "second"}),
    "another provider": Fault(claims={"iss": "https://elsewhere.example"}),
    "for another client": Fault(claims={"aud": "another"}),
    "signed by nobody": Fault(unsigned=True),
}
"""It says that the grant is over, or speaks of somebody else: the session ends at once."""

KEPT: Final = {
    "no new refresh token": Fault(without=("refresh_token",), members={"expires_in": SOON}),
    "no ID token": Fault(without=("id_token",), members={"expires_in": LATER}),
    "a clock an hour behind": Fault(skew=-3_600_000, members={"expires_in": LATER}),
    "a clock an hour ahead": Fault(skew=3_600_000, members={"expires_in": LATER}),
    "a lifetime in words": Fault(members={"expires_in": str(LATER)}),
}
"""Odd, and good enough."""

HASTE: Final = {"connect_timeout": 2_000, "read_timeout": 3_000, "total_timeout": 3_000}
"""Where the provider's answer is to be late; elsewhere it has the time of `EAGER`, for a machine may be slow."""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Run a provider that rotates."""
    with standing(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


@pytest.fixture(scope="module")
def site(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run two applications on one store."""
    with stand.site(fresh_url("sqlite", tmp_path_factory.mktemp("store"))) as site:
        site.start(2, scaled=SCALED)
        yield site


@pytest.fixture(autouse=True)
def healed(stand: Stand) -> Iterator[None]:
    """Leave no fault behind."""
    yield
    stand.provider.heal()


def check_503(answer: httpx2.Response) -> None:
    """Check that it says who is in trouble, and when to try again, and leaves the cookie alone."""
    assert (answer.status_code, answer.json()["reason"]) == (503, "provider_away")
    assert int(answer.headers["retry-after"]) >= 1
    assert "set-cookie" not in answer.headers


async def settled(browser: Browser) -> httpx2.Response:
    """Beat, now here, now there, until a refresh came to a good or a bad end."""
    answers: list[httpx2.Response] = []

    async def is_settled() -> bool:
        answers.append(await browser.beat(browser.site.workers[len(answers) % 2]))
        if answers[-1].status_code == 503:
            check_503(answers[-1])
        return answers[-1].status_code == 401 or (answers[-1].status_code == 200 and not await browser.is_due())

    await until(is_settled, what="the refresh to be settled")
    return answers[-1]


@pytest.mark.parametrize("fault", UNHEARD)
async def test_trouble_signs_nobody_out(site: Site, fault: str) -> None:
    """While the access token lasts 200, once it is over 503 with `Retry-After`; and when the provider is well again it goes on."""
    first, second = site.workers
    browser = await site.sign_in(first)
    await browser.until_due()
    site.stand.provider.always("token", UNHEARD[fault])
    statuses = {(await browser.beat(first)).status_code}
    await browser.until_over()
    answer = await browser.beat(second)
    check_503(answer)
    assert statuses <= {200, 503}
    assert (await browser.ask(first.url, "GET", "/session")).status_code == 200
    site.stand.provider.live(LATER)
    assert (await settled(browser)).status_code == 200
    assert await site.stand.provider.accepts((await site.tokens(browser.handle)).refresh_token or "")


@pytest.mark.parametrize("fault", [name for name in LOST if name != LATE])
async def test_a_lost_answer_is_told_as_lost(site: Site, fault: str) -> None:
    """It is tried once more, and the refusal ends the session with `provider` and the event `token_lost`; nothing is left there."""
    await check_told_as_lost(site, fault)


async def test_an_answer_that_is_late_is_told_as_lost(stand: Stand, tmp_path: Path) -> None:
    """Nobody waits for an answer for longer than was asked for: it is as good as lost, and told so."""
    with stand.site(fresh_url("sqlite", tmp_path)) as site:
        site.start(2, scaled=SCALED, provider=HASTE)
        await check_told_as_lost(site, LATE)


async def check_told_as_lost(site: Site, fault: str) -> None:
    """Lose an answer, and see what becomes of its session."""
    provider = site.stand.provider
    browser = await site.sign_in(site.workers[0])
    await browser.until_due()
    provider.next("token", LOST[fault])
    answer = await settled(browser)
    assert reason_of(answer) == "provider"
    assert site.heard("token_lost", browser.handle) == 1
    await site.until_gone(browser.handle, site.workers[1])
    assert not await provider.accepts(provider.given[-1]["refresh_token"])


@pytest.mark.parametrize("fault", REFUSED)
async def test_a_refusal_ends_the_session(site: Site, fault: str) -> None:
    """401 with `provider` in every process, for good; what the provider gave to somebody else is worth nothing any more."""
    provider = site.stand.provider
    browser = await site.sign_in(site.workers[0])
    await browser.until_due()
    provider.next("token", REFUSED[fault])
    assert reason_of(await browser.beat(site.workers[0])) == "provider"
    assert reason_of(await browser.beat(site.workers[1])) == "provider"
    assert site.heard("refused", browser.handle) == 1
    await site.until_gone(browser.handle, site.workers[1])
    assert not await provider.accepts(provider.given[-1]["refresh_token"])


@pytest.mark.parametrize("fault", KEPT)
async def test_what_is_odd_and_good_enough_is_kept(site: Site, fault: str) -> None:
    """200, and the new access token. A provider that rotates and does not say so is found out at the next refresh, as it refuses."""
    browser = await site.sign_in(site.workers[0])
    before = await site.tokens(browser.handle)
    await browser.until_due()
    site.stand.provider.next("token", KEPT[fault])
    assert (await browser.beat(site.workers[0])).status_code == 200
    after = await site.tokens(browser.handle)
    assert after.access_token == site.stand.provider.given[-1]["access_token"] != before.access_token
    if fault == "no new refresh token":
        assert after.refresh_token == before.refresh_token
        await browser.until_due()
        assert reason_of(await settled(browser)) == "provider"


@pytest.mark.parametrize("endpoint", ["discovery", "jwks"])
async def test_a_process_that_begins_while_the_provider_is_away(site: Site, endpoint: str) -> None:
    """It knows nothing of the provider yet: without metadata 503 once the token is over, without keys the refresh is done all the same."""
    provider = site.stand.provider
    browser = await site.sign_in(site.workers[0])
    provider.always(endpoint, Fault(status=503))  # type: ignore[arg-type]  # both are endpoints
    with site.stand.site(site.store_url) as beside:
        (late,) = beside.start(scaled=SCALED)
        await browser.until_over()
        answer = await browser.beat(late)
        if endpoint == "discovery":
            check_503(answer)
        else:
            assert answer.status_code == 200
    provider.always(endpoint, None)  # type: ignore[arg-type]  # as above
    assert (await settled(browser)).status_code == 200


@pytest.mark.parametrize("store", ["sqlite", "postgresql", "redis"])
async def test_faults_mixed_by_chance(stand: Stand, tmp_path: Path, store: str) -> None:
    """Whatever comes together: 401 only after a refusal, and then for good; 503 only past the token's end; afterwards it goes on."""
    chance = random.Random(os.environ.get("TESTS_SEED", store))  # noqa: S311  # which fault is no secret
    with stand.site(fresh_url(store, tmp_path)) as site:
        site.start(2, scaled=SCALED)
        browser = await site.sign_in(site.workers[0])
        for step in range(STEPS):
            browser = await one_step(site, browser, chance, f"{store}, step {step}")
        stand.provider.heal()
        stand.provider.live(LATER)
        if (await settled(browser)).status_code == 401:
            browser = await site.sign_in(site.workers[0])
        assert (await browser.beat(site.workers[1])).status_code == 200
        assert await stand.provider.accepts((await site.tokens(browser.handle)).refresh_token or "")


async def one_step(site: Site, browser: Browser, chance: random.Random, where: str) -> Browser:
    """Spoil what chance says, beat at both processes at once, and hold the answers to what happened; tell who goes on."""
    provider, every = site.stand.provider, {**UNHEARD, **LOST, **REFUSED, **KEPT}
    name = chance.choice([*every, "nothing", "nothing"])
    provider.heal()
    for endpoint in ("discovery", "jwks", "revocation"):
        provider.always(endpoint, chance.choice([None, None, None, Fault(status=503)]))
    if name in every:
        provider.next("token", replace(every[name], members={**every[name].members, "expires_in": SOON}))
    provider.live(SOON)
    over_at, refused = (await browser.holding()).access_expires_at, provider.refused
    await (browser.until_over() if chance.random() < 0.3 else browser.until_due())
    beats = [browser.beat(worker, active=chance.random() < 0.8) for worker in site.workers for _ in range(2)]
    answers = await asyncio.gather(*beats, ask(site.workers[0].url, "POST", "/sweep"))
    is_over = False
    for answer in answers[:-1]:
        if answer.status_code == 503:
            check_503(answer)
            assert time.time() * 1000 >= over_at, where
        elif answer.status_code == 401:
            assert reason_of(answer) == "provider", where
            assert name in REFUSED or provider.refused > refused, f"{where}: signed out by {name}"
            is_over = True
        else:
            assert answer.status_code == 200, where
    was_heard = name not in LOST  # a gateway that gives up keeps the refusal, too, to itself
    assert is_over or provider.refused == refused or not was_heard, f"{where}: refused, and nobody was signed out"
    if is_over:
        assert {reason_of(await browser.beat(worker)) for worker in site.workers} == {"provider"}, where
        provider.heal()
        return await site.sign_in(site.workers[0])
    return browser
