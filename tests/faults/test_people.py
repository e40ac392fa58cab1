"""Sign-ins in several processes at once, on every store that they can share: the limit holds, and "end everywhere" means everywhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stillhere.core.policy import Policy, SessionLimitBy, minutes
from stillhere.errors import EndedEverywhere
from stillhere.manager import SessionManager, Started
from tests.faults.processes import WHO, at_once, prove_again, sign_in_and_end_everywhere, sign_in_with_limit
from tests.stores.every import STORES, fresh_url
from tests.support import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

PROCESSES = 4


@pytest.fixture(params=[name for name in STORES if name != "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty store, of each kind in turn."""
    return fresh_url(request.param, tmp_path)


@pytest.mark.parametrize("by", SessionLimitBy)
def test_the_limit_holds_for_processes(url: str, by: SessionLimitBy) -> None:
    """Four processes sign the same person in 64 times at once: five live in the end, no more and no fewer, and each was let in."""
    limit = 5
    told = at_once(sign_in_with_limit, [(url, by, limit, 16) for _ in range(PROCESSES)])

    async def look() -> None:
        manager = SessionManager(url, clock=FakeClock())
        living = {session.handle for session in await manager.list(WHO)}
        assert len(living) == limit if by is not SessionLimitBy.EVICT_LEAST_RECENT else 1 <= len(living) <= limit
        assert living <= {handle for handles in told for handle in handles}
        await manager.close()

    asyncio.run(look())


def test_nobody_who_was_signing_in_outlives_the_end_of_everything(url: str) -> None:
    """Three processes sign in without pause while one ends everything, twenty times: whoever proved it before the last end is out."""
    told = at_once(sign_in_and_end_everywhere, [(url, process == 0) for process in range(PROCESSES)])

    async def look() -> None:
        manager = SessionManager(url, clock=FakeClock())
        generation = await manager.people.generation(WHO)
        assert generation == 20
        of_living = {session.handle for session in await manager.list(WHO)}
        outlived = [fence for fences in told for handle, fence in fences.items() if handle in of_living and fence < generation]
        assert outlived == []
        assert await manager.end_all(WHO) == len(of_living)
        await manager.close()

    asyncio.run(look())
    assert sum(map(len, told)) > 0, "somebody was let in"


async def test_the_end_of_everything_at_any_moment_of_a_sign_in(url: str) -> None:
    """Between two connections, again and again: afterwards the person who was signing in is refused, or is signed out."""
    clock = FakeClock()
    signing_in, ending = SessionManager(url, clock=clock), SessionManager(url, clock=clock)
    refused = 0
    for n in range(60):
        fence = await signing_in.people.generation(WHO)
        attempt = asyncio.ensure_future(signing_in.start(WHO, fence=fence))
        for _ in range(n % 12):
            await asyncio.sleep(0)
        await ending.end_all(WHO)
        (result,) = await asyncio.gather(attempt, return_exceptions=True)
        assert isinstance(result, Started | EndedEverywhere), result
        refused += isinstance(result, EndedEverywhere)
        if isinstance(result, Started):
            assert not (await signing_in.look(result.secret)).is_alive
        assert await ending.list(WHO) == [], f"round {n}"
    assert refused > 0, "no round was a race"
    await signing_in.close()
    await ending.close()


def test_of_proofs_in_processes_the_one_that_holds_the_id_holds(url: str) -> None:
    """Four processes prove 30 sessions again with the same ids: each has one winner, who has stepped up."""

    async def begin() -> list[str]:
        manager = SessionManager(url, clock=FakeClock())
        secrets = [(await manager.start(f"{n}@fund.example")).secret for n in range(30)]
        await manager.close()
        return secrets

    secrets = asyncio.run(begin())
    won = at_once(prove_again, [(url, secrets, minutes(5)) for _ in range(PROCESSES)])
    winners = [secret for secrets_of_one in won for secret in secrets_of_one]
    assert len(winners) == len({secret.partition(".")[0] for secret in winners}) == 30

    async def look() -> None:
        manager = SessionManager(url, policy=Policy(), clock=FakeClock())
        for secret in winners:
            session = (await manager.look(secret)).session
            assert session is not None
            assert await manager.people.has_stepped_up(session)
        await manager.close()

    asyncio.run(look())
