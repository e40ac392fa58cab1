"""A process is killed in the middle of a refresh: the next one goes on from what is written, or says truthfully that the token is lost."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.faults.token_stand import SCALED, Site, Stand, dead, killed, reason_of, standing, until
from tests.stores.every import fresh_url
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.token_stand import Browser
    from tests.faults.token_worker import Moment
    from tests.support import Program

NIGHTLY = os.environ.get("TESTS_PROFILE") == "nightly"

KILLS = 30 if NIGHTLY else 4


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Run a provider that rotates."""
    with standing(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "redis"])
def site(request: pytest.FixtureRequest, stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run an application on an empty store, of each kind in turn, that will live."""
    with stand.site(fresh_url(request.param, tmp_path_factory.mktemp("store"))) as site:
        site.start(scaled=SCALED)
        yield site


@pytest.fixture(autouse=True)
def healed(stand: Stand) -> Iterator[None]:
    """Leave no fault behind."""
    yield
    stand.provider.heal()


async def beat_in_vain(browser: Browser, worker: Program) -> None:
    """Beat at a worker that dies of it."""
    with pytest.raises(httpx2.TransportError):
        await browser.beat(worker)


async def refreshed_or_over(browser: Browser, worker: Program) -> httpx2.Response:
    """Beat until the lease that a dead process left has run out, and give what comes of that; on the way there is only 200 and 503."""
    answers: list[httpx2.Response] = []

    async def is_settled() -> bool:
        answers.append(await browser.beat(worker))
        if answers[-1].status_code == 503:
            assert int(answers[-1].headers["retry-after"]) > 0
            assert answers[-1].json()["reason"] == "provider_away"
        return answers[-1].status_code == 401 or (answers[-1].status_code == 200 and not await browser.is_due())

    await until(is_settled, what="the refresh to be settled")
    return answers[-1]


async def check_it_goes_on(browser: Browser, worker: Program) -> None:
    """Make sure that the grant is alive: what is kept is the one living branch of it."""
    site = browser.site
    kept = (await site.tokens(browser.handle)).refresh_token
    assert kept == site.stand.provider.given[-1]["refresh_token"]
    assert (await browser.beat(worker)).status_code == 200
    assert await site.stand.provider.accepts(kept or "")


async def check_it_is_over(browser: Browser, worker: Program, answer: httpx2.Response) -> None:
    """Make sure that it ended as lost, once, for good, and that no branch of the grant lives on at the provider."""
    site = browser.site
    assert reason_of(answer) == "provider"
    assert site.heard("token_lost", browser.handle) == 1
    assert reason_of(await browser.beat(worker)) == "provider"
    await site.until_gone(browser.handle, worker)
    assert not await site.stand.provider.accepts(site.stand.provider.given[-1]["refresh_token"])
    assert reason_of(await browser.beat(worker)) == "provider"


@pytest.mark.parametrize(("dies", "is_lost"), [("leased", False), ("answered", True), ("committed", False)])
async def test_killed_at_a_step(site: Site, dies: Moment, *, is_lost: bool) -> None:
    """Lease written, answer there, new tokens kept: only between answer and commit is anything lost, and that ends as `token_lost`."""
    survivor = site.workers[0]
    (mortal,) = site.start(dies=dies, scaled=SCALED)
    browser = await site.sign_in(survivor)
    calls = site.stand.provider.calls["token"]
    await browser.until_due()
    if dies == "committed":
        await beat_in_vain(browser, mortal)
        dead(mortal)
        assert (await browser.beat(survivor)).status_code == 200
        assert site.stand.provider.calls["token"] == calls + 1
    else:
        await beat_in_vain(browser, mortal)
        dead(mortal)
        answer = await refreshed_or_over(browser, survivor)
        assert (answer.status_code == 401) is is_lost
        if is_lost:
            await check_it_is_over(browser, survivor, answer)
            return
    assert site.heard("token_lost", browser.handle) == 0
    await check_it_goes_on(browser, survivor)


@pytest.mark.parametrize("answered", [False, True])
async def test_killed_while_the_provider_has_the_call(site: Site, *, answered: bool) -> None:
    """If it had not heard it, the next process gets the tokens; if it had, the token is lost, and the session ends as the rules say."""
    survivor = site.workers[0]
    (mortal,) = site.start(scaled=SCALED)
    browser = await site.sign_in(survivor)
    await browser.until_due()
    held = site.stand.provider.hold("token", answered=answered)
    beating = asyncio.ensure_future(beat_in_vain(browser, mortal))
    await held.arrived()
    killed(mortal)
    await beating
    answer = await refreshed_or_over(browser, survivor)
    if answered:
        await check_it_is_over(browser, survivor, answer)
    else:
        assert answer.status_code == 200
        await check_it_goes_on(browser, survivor)
    held.release()


async def test_stopped_in_good_order_while_the_provider_has_the_call(site: Site) -> None:
    """SIGTERM lets the refresh come to its end: nothing is lost, and the next process has the new tokens without a call."""
    survivor, provider = site.workers[0], site.stand.provider
    (leaver,) = site.start(scaled=SCALED)
    browser = await site.sign_in(survivor)
    calls = provider.calls["token"]
    await browser.until_due()
    held = provider.hold("token")
    beating = asyncio.ensure_future(browser.beat(leaver))
    await held.arrived()
    leaver.process.terminate()
    held.release()
    assert (await beating).status_code == 200
    wait_until(lambda: leaver.process.poll() is not None, what="the worker to stop")
    assert (await browser.beat(survivor)).status_code == 200
    assert provider.calls["token"] == calls + 1
    await check_it_goes_on(browser, survivor)


def hold_still(process: Program, url: str) -> None:
    """Stop a process (SIGSTOP), not in the middle of a write to a file: nobody else could write while it is stopped."""

    def is_free() -> bool:
        process.process.send_signal(signal.SIGSTOP)
        if not url.startswith("sqlite"):
            return True
        try:
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0.5, isolation_level=None)) as file:
                file.execute("BEGIN IMMEDIATE")
                file.execute("ROLLBACK")
        except sqlite3.OperationalError:
            process.process.send_signal(signal.SIGCONT)
            return False
        return True

    wait_until(is_free, what="a moment at which nothing is written")


async def test_stopped_for_longer_than_its_lease(site: Site) -> None:
    """A process that is held still is overtaken; when it goes on, what it has is put over nothing, revives nobody, and is taken back."""
    survivor, provider = site.workers[0], site.stand.provider
    (sleeper,) = site.start(scaled=SCALED)
    browser = await site.sign_in(survivor)
    await browser.until_due()
    held = provider.hold("token", answered=True)
    beating = asyncio.ensure_future(browser.beat(sleeper))
    await held.arrived()
    hold_still(sleeper, site.store_url)
    held.release()
    answer = await refreshed_or_over(browser, survivor)
    assert reason_of(answer) == "provider"
    late = provider.given[-1]["refresh_token"]
    sleeper.process.send_signal(signal.SIGCONT)
    assert reason_of(await beating) == "provider"
    wait_until(lambda: late in provider.revoked, what="the late tokens to be taken back")
    await check_it_is_over(browser, survivor, answer)


@pytest.mark.parametrize("store", ["sqlite", "postgresql", "redis"])
async def test_an_older_result_is_put_over_no_newer_one(tmp_path: Path, store: str) -> None:
    """Where the provider does not rotate both calls succeed: whoever was overtaken keeps nothing of its own, and uses the newer."""
    with standing(tmp_path, rotates=False) as stand, stand.site(fresh_url(store, tmp_path)) as site:
        survivor, sleeper = site.start(2, scaled=SCALED)
        browser = await site.sign_in(survivor)
        await browser.until_due()
        held = stand.provider.hold("token", answered=True)
        beating = asyncio.ensure_future(browser.beat(sleeper))
        await held.arrived()
        hold_still(sleeper, site.store_url)
        held.release()
        assert (await refreshed_or_over(browser, survivor)).status_code == 200
        sleeper.process.send_signal(signal.SIGCONT)
        assert (await beating).status_code == 200
        older, newer = (answer["access_token"] for answer in stand.provider.given[-2:])
        assert (await site.tokens(browser.handle)).access_token == newer != older
        assert (await browser.beat(sleeper)).status_code == 200
        assert site.heard("refreshed", browser.handle) == 1


async def test_killed_at_any_moment(site: Site) -> None:
    """Again and again, at a moment that chance picks: either it goes on or it ended as lost; nobody is signed out for anything else."""
    chance = random.Random(0)  # noqa: S311  # which moment is no secret
    survivor = site.workers[0]
    for _ in range(KILLS):
        (mortal,) = site.start(scaled=SCALED)
        browser = await site.sign_in(survivor)
        await browser.until_due()
        beating = asyncio.ensure_future(browser.beat(mortal))
        await asyncio.sleep(chance.uniform(0, 0.15))
        killed(mortal)
        await asyncio.gather(beating, return_exceptions=True)
        answer = await refreshed_or_over(browser, survivor)
        if answer.status_code == 401:
            await check_it_is_over(browser, survivor, answer)
        else:
            await check_it_goes_on(browser, survivor)
