"""Four processes and one provider that rotates: one call for everybody, round after round, on every store that processes can share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2
import pytest

from stillhere.testing import Fault
from stillhere.tokens.coordinator import LEASE_MS
from tests.faults.token_stand import LATER, SOON, Site, Stand, dead, standing
from tests.stores.every import fresh_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.token_stand import Browser

PROCESSES = 4

BEATS = 50

ROUNDS = 17
"""An hour of tokens that live five minutes and are due after three and a half."""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Run a provider that rotates."""
    with standing(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "redis"])
def site(request: pytest.FixtureRequest, stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run four applications on an empty store, of each kind in turn."""
    with stand.site(fresh_url(request.param, tmp_path_factory.mktemp("store"))) as site:
        site.start(PROCESSES)
        yield site


@pytest.fixture(autouse=True)
def healed(stand: Stand) -> Iterator[None]:
    """Leave no fault behind."""
    yield
    stand.provider.heal()


async def everybody(site: Site, browser: Browser, *, beats: int) -> list[int]:
    """Beat so often at every worker, all at the same moment; tell the statuses."""
    answers = await asyncio.gather(*(browser.beat(worker) for worker in site.workers for _ in range(beats)))
    return [answer.status_code for answer in answers]


async def test_two_hundred_beats_in_four_processes_are_one_call(site: Site) -> None:
    """Four processes, fifty parallel beats each, near the end of a token: one call, everybody 200; and so it goes on for an hour."""
    provider = site.stand.provider
    browser = await site.sign_in(site.workers[0])
    calls = provider.calls["token"]
    await browser.until_due()
    assert await everybody(site, browser, beats=BEATS) == [200] * BEATS * PROCESSES
    assert provider.calls["token"] == calls + 1

    for_an_hour = await site.sign_in(site.workers[1])
    provider.live(SOON)
    spent, refused = len(provider.spent), provider.refused
    for _ in range(ROUNDS):
        await for_an_hour.until_due()
        assert set(await everybody(site, for_an_hour, beats=3)) == {200}
    mine = provider.spent[spent:]
    assert len(set(mine)) == len(mine) >= ROUNDS, "a refresh token was spent twice"
    assert provider.refused == refused
    for one in (browser, for_an_hour):
        assert await provider.accepts((await site.tokens(one.handle)).refresh_token or "")


async def test_a_call_longer_than_its_lease_is_one_call(site: Site) -> None:
    """The provider takes longer than a lease lasts: it is renewed, so the others wait, and all get what comes of the one call."""
    provider = site.stand.provider
    browser = await site.sign_in(site.workers[0])
    calls = provider.calls["token"]
    provider.next("token", Fault(delay=LEASE_MS + 2_000, members={"expires_in": LATER}))
    await browser.until_over()
    assert await everybody(site, browser, beats=2) == [200] * 2 * PROCESSES
    assert provider.calls["token"] == calls + 1
    assert site.heard("refreshed", browser.handle) == 1
    assert await provider.accepts((await site.tokens(browser.handle)).refresh_token or "")


async def test_a_crowd_behind_a_process_that_died(site: Site) -> None:
    """Whoever asked is killed before the provider hears it, and the token is over: all wait for the lease to run out; one takes over."""
    provider = site.stand.provider
    with site.stand.site(site.store_url) as beside:
        (mortal,) = beside.start(dies="leased")
        browser = await site.sign_in(site.workers[0])
        calls = provider.calls["token"]
        await browser.until_over()
        with pytest.raises(httpx2.TransportError):
            await browser.beat(mortal)
        dead(mortal)
        assert await everybody(site, browser, beats=5) == [200] * 5 * PROCESSES
    assert provider.calls["token"] == calls + 1
    assert await provider.accepts((await site.tokens(browser.handle)).refresh_token or "")
