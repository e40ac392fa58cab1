"""Refresh tokens of ours over real HTTP, at four processes: one successor for all who ask, the same one after a lost answer, or theft."""

from __future__ import annotations

import asyncio
import socket
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import msgspec
import pytest

from stillhere.core.rotation import REFRESH, Family
from stillhere.stores import open_store
from tests.faults.token_stand import OURS, Browser, Site, Stand, ask, reason_of, standing, until
from tests.stores.every import fresh_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

    from tests.stores.every import FullStore
    from tests.support import Program

PROCESSES = 4


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Run a provider; nobody here signs in there."""
    with standing(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "redis"])
def site(request: pytest.FixtureRequest, stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run four applications on an empty store, of each kind in turn; what was seen in use ends the time of its parent at once."""
    with stand.site(fresh_url(request.param, tmp_path_factory.mktemp("store"))) as site:
        site.start(PROCESSES, grace=0)
        yield site


async def entered(site: Site) -> Browser:
    """Begin a session with a refresh token."""
    browser = Browser(site)
    await browser.ask(site.workers[0].url, "POST", "/enter?subject=reader")
    await browser.ask(site.workers[0].url, "POST", "/issue")
    return browser


async def refresh(worker: Program, token: str) -> httpx2.Response:
    """Present a refresh token in its cookie."""
    return await ask(worker.url, "POST", "/session/refresh", headers={"Cookie": f"refresh={token}"})


def successor_in(answer: httpx2.Response) -> str:
    """Read the next refresh token."""
    assert answer.status_code == 200, answer.text
    return SimpleCookie(answer.headers["set-cookie"])["refresh"].value


async def family_of(site: Site, browser: Browser) -> Family:
    """Look at what is kept of a session's refresh tokens."""
    store = cast("FullStore", open_store(site.store_url)[0])
    try:
        grant = (await store.held(browser.handle, REFRESH)).grant
    finally:
        await store.close()
    assert grant is not None
    return msgspec.json.decode(grant.document, type=Family)


async def test_fifty_parallel_refreshes_have_one_successor(site: Site) -> None:
    """Fifty at once, spread over four processes, with one token: all 200, all the same next one, and one turn in the store."""
    browser = await entered(site)
    token = browser.cookies["refresh"]
    answers = await asyncio.gather(*(refresh(site.workers[number % PROCESSES], token) for number in range(50)))
    successors = {successor_in(answer) for answer in answers}
    assert len(successors) == 1
    assert (await family_of(site, browser)).turn == 2
    (successor,) = successors
    assert successor_in(await refresh(site.workers[3], successor)) not in {token, successor}
    assert (await family_of(site, browser)).turn == 3


async def test_a_lost_answer_costs_nothing_and_a_second_user_is_a_thief(site: Site) -> None:
    """Cut off after the commit, a retry elsewhere gets the same successor; once that was used, its parent ends this session alone."""
    browser, other = await entered(site), await entered(site)
    token = browser.cookies["refresh"]
    host, port = urlsplit(site.workers[0].url).hostname, urlsplit(site.workers[0].url).port
    head = [f"POST /session/refresh HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 0\r\nCookie: refresh={token}"]
    head += [f"{name}: {value}" for name, value in OURS.items()]
    with socket.create_connection((host, port)) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode())

        async def is_turned() -> bool:
            return (await family_of(site, browser)).turn == 2

        await until(is_turned, what="the refresh to be kept")
    kept = await family_of(site, browser)
    retries = [await refresh(worker, token) for worker in site.workers]
    assert len({successor_in(answer) for answer in retries}) == 1
    assert await family_of(site, browser) == kept

    bearer = {"Authorization": f"Bearer {retries[-1].json()['accessToken']}"}
    assert (await ask(site.workers[1].url, "GET", "/session", headers=bearer)).status_code == 200

    async def is_seen() -> bool:
        return (await family_of(site, browser)).seen_at is not None

    await until(is_seen, what="the successor's use to be noted")
    await asyncio.sleep(0.01)  # later than the very millisecond in which it was seen
    assert reason_of(await refresh(site.workers[2], token)) == "token_reuse"
    assert reason_of(await ask(site.workers[3].url, "GET", "/session", headers=bearer)) == "token_reuse"
    assert reason_of(await refresh(site.workers[3], successor_in(retries[0]))) == "token_reuse"
    assert site.heard("token_reuse", browser.handle) == 1
    assert (await other.ask(site.workers[3].url, "GET", "/session")).status_code == 200
    assert successor_in(await refresh(site.workers[0], other.cookies["refresh"]))
