"""Somebody is signed out while the provider still thinks about a refresh: that is final, and what comes too late is taken back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stillhere.testing import Fault
from tests.faults.token_stand import SCALED, Site, Stand, ask, killed, reason_of, standing
from tests.stores.every import fresh_url
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

    from tests.faults.token_stand import Browser
    from tests.support import Program


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Run a provider that rotates."""
    with standing(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "redis"])
def site(request: pytest.FixtureRequest, stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run two applications on an empty store, of each kind in turn."""
    with stand.site(fresh_url(request.param, tmp_path_factory.mktemp("store"))) as site:
        site.start(2, scaled=SCALED)
        yield site


@pytest.fixture(autouse=True)
def healed(stand: Stand) -> Iterator[None]:
    """Leave no fault behind."""
    yield
    stand.provider.heal()


async def signed_out(browser: Browser, worker: Program, way: str) -> str:
    """Sign somebody out, themselves or everywhere; tell the reason that everybody is to hear."""
    if way == "sign-out":
        answer = await ask(worker.url, "POST", "/session/end", headers={"Cookie": f"session={browser.cookies['session']}"})
        assert (answer.status_code, answer.json()["reason"]) == (200, "signed_out")
        return "signed_out"
    answer = await ask(worker.url, "POST", f"/end-all?subject={way.partition(' ')[2]}")
    assert answer.json() == 1
    return "revoked"


async def check_nothing_is_left(browser: Browser, answer: httpx2.Response, reason: str, late: str) -> None:
    """Make sure that it stays over, that nothing is held any more, and that what came too late is worth nothing."""
    site = browser.site
    assert reason_of(answer) == reason
    wait_until(lambda: late in site.stand.provider.revoked, what="the late tokens to be taken back")
    await site.until_gone(browser.handle, site.workers[1])
    for worker in site.workers[:2]:
        assert reason_of(await browser.beat(worker)) == reason
    assert not await site.stand.provider.accepts(late)
    assert site.heard("refreshed", browser.handle) == 0


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("way", ["sign-out", "everywhere"])
async def test_signed_out_while_the_provider_thinks(site: Site, way: str, *, answered: bool) -> None:
    """From another process: the beat that hangs is answered 401 with the first reason, and the tokens it waited for go back."""
    first, second = site.workers[:2]
    name = f"{way}-{answered}"
    browser = await site.sign_in(first, name)
    await browser.until_due()
    held = site.stand.provider.hold("token", answered=answered)
    beating = asyncio.ensure_future(browser.beat(first))
    await held.arrived()
    reason = await signed_out(browser, second, way if way == "sign-out" else f"everywhere {name}")
    assert not beating.done()
    assert reason_of(await browser.beat(second)) == reason
    held.release()
    answer = await beating
    await check_nothing_is_left(browser, answer, reason, site.stand.provider.given[-1]["refresh_token"])


async def test_signed_out_and_then_the_process_that_asked_is_killed(site: Site) -> None:
    """Nobody hears what the provider gave; the upkeep of another process takes back what is held, and the whole grant goes with it."""
    second = site.workers[1]
    (mortal,) = site.start(scaled=SCALED)
    browser = await site.sign_in(second)
    await browser.until_due()
    held = site.stand.provider.hold("token", answered=True)
    beating = asyncio.ensure_future(browser.beat(mortal))
    await held.arrived()
    assert await signed_out(browser, second, "sign-out") == "signed_out"
    killed(mortal)
    held.release()
    await asyncio.gather(beating, return_exceptions=True)
    await site.until_gone(browser.handle, second)
    assert site.heard("revoked", browser.handle) == 1
    assert reason_of(await browser.beat(second)) == "signed_out"
    assert not await site.stand.provider.accepts(site.stand.provider.given[-1]["refresh_token"])


async def test_a_provider_that_is_away_at_the_sign_out_hears_of_it_later(site: Site) -> None:
    """The sign-out is done at once and waits for nobody; the tokens are taken back as soon as the provider is there again."""
    provider, first = site.stand.provider, site.workers[0]
    browser = await site.sign_in(first)
    refresh_token = (await site.tokens(browser.handle)).refresh_token or ""
    provider.always("revocation", Fault(status=503))
    assert await signed_out(browser, first, "sign-out") == "signed_out"
    wait_until(lambda: site.heard("not_revoked", browser.handle) >= 1, what="the first try")
    assert (await site.held(browser.handle)).grant is not None
    assert refresh_token not in provider.revoked
    provider.always("revocation", None)
    await site.until_gone(browser.handle, first)
    assert refresh_token in provider.revoked
    assert not await provider.accepts(refresh_token)


async def test_what_comes_too_late_goes_back_later_if_the_provider_is_away(site: Site) -> None:
    """Signed out while it thinks, and it takes nothing back when it answers: the late tokens go back as soon as it is well."""
    provider, (first, second) = site.stand.provider, site.workers[:2]
    browser = await site.sign_in(first)
    await browser.until_due()
    held = provider.hold("token", answered=True)
    beating = asyncio.ensure_future(browser.beat(first))
    await held.arrived()
    provider.always("revocation", Fault(status=503))
    reason = await signed_out(browser, second, "sign-out")
    held.release()
    answer = await beating
    late = provider.given[-1]["refresh_token"]
    assert late not in provider.revoked
    provider.always("revocation", None)
    await ask(first.url, "POST", "/sweep")
    await check_nothing_is_left(browser, answer, reason, late)


async def test_signed_out_at_the_provider_while_it_thinks(site: Site) -> None:
    """Tokens that are taken back at the provider under a refresh's hands come to nothing: 401 with `provider`, and it stays so."""
    first, second = site.workers[:2]
    browser = await site.sign_in(first)
    await browser.until_due()
    held = site.stand.provider.hold("token")
    beating = asyncio.ensure_future(browser.beat(first))
    await held.arrived()
    refresh_token = (await site.tokens(browser.handle)).refresh_token or ""
    await site.stand.provider.take_back(refresh_token)
    held.release()
    assert reason_of(await beating) == "provider"
    assert reason_of(await browser.beat(second)) == "provider"
    assert site.heard("refused", browser.handle) == 1
    await site.until_gone(browser.handle, second)
