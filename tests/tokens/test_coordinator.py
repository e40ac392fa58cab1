"""The refresh of a provider's tokens: one call for everybody, committed before it is told, and never against a sign-out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stillhere.core.grants import Swapped
from stillhere.core.refreshing import PROVIDER
from stillhere.errors import ProviderAway
from stillhere.stores.memory import MemoryStore
from stillhere.tokens import coordinator as room
from stillhere.tokens.coordinator import LEASE_MS
from stillhere.tokens.events import TokenNews
from tests.tokens.party import HANDLE, Side, news

if TYPE_CHECKING:
    from stillhere.core.grants import Grant, Held


async def test_a_token_is_used_until_it_is_time() -> None:
    """While it is good nobody asks the provider."""
    side = Side()
    await side.signed_in()
    assert await side.token() == "access-1"
    assert side.party.refreshed == []


async def test_it_is_refreshed_when_it_is_time_and_somebody_is_there() -> None:
    """Near its end the next one comes, and from then on that is used, with its own refresh token."""
    side = Side()
    await side.signed_in()
    side.near_the_end()
    assert await side.token() == "access-2"
    assert await side.token() == "access-2"
    side.near_the_end()
    assert await side.token() == "access-3"
    assert side.party.refreshed == ["refresh-1", "refresh-2"]
    assert news(side) == [TokenNews.REFRESHED] * 2


async def test_nobody_there_means_no_refresh() -> None:
    """Without a person the token is used to its end and then lapses; the provider hears nothing."""
    side = Side()
    await side.signed_in()
    side.past_the_end()
    kept = await side.coordinator.fresh(HANDLE, may_refresh=False)
    assert kept.holding is not None
    assert kept.holding.access_expires_at == side.clock()
    assert side.party.refreshed == []


async def test_fifty_in_each_of_four_processes_are_one_call() -> None:
    """However many ask at once, wherever, the provider is asked once, and all have the new token."""
    side = Side()
    await side.signed_in()
    side.near_the_end()
    sides = [side, *(side.beside() for _ in range(3))]
    side.party.gate.clear()
    asking = [asyncio.create_task(one.token()) for one in sides for _ in range(50)]
    await side.party.arrived.wait()
    side.party.gate.set()
    assert set(await asyncio.gather(*asking)) == {"access-2"}
    assert side.party.refreshed == ["refresh-1"]


async def test_a_near_miss_gets_the_result_that_is_there() -> None:
    """Who comes just after a refresh, with a record from before it, spends nothing twice."""
    side = Side()
    await side.signed_in()
    side.near_the_end()
    other = side.beside()
    await side.token()
    assert await other.token() == "access-2"
    assert side.party.refreshed == ["refresh-1"]


async def test_a_request_that_goes_away_takes_no_refresh_along() -> None:
    """Whoever began it may be cancelled; what the provider gave is kept all the same."""
    side = Side()
    first = await side.refreshing()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    side.party.gate.set()
    assert await side.token() == "access-2"
    assert side.party.refreshed == ["refresh-1"]


async def test_a_session_without_tokens_holds_none() -> None:
    """Somebody who signed in otherwise has nothing to be refreshed, and is no trouble; nobody at all neither."""
    side = Side()
    await side.signed_in()
    grant = (await side.store.held(HANDLE, PROVIDER)).grant
    assert grant is not None
    await side.store.drop(HANDLE, PROVIDER, version=grant.version)
    kept = await side.coordinator.fresh(HANDLE, may_refresh=True)
    assert (kept.session, kept.holding) == (await side.store.get(HANDLE), None)
    nobody = await side.coordinator.fresh("nobody", may_refresh=True)
    assert (nobody.session, nobody.holding) == (None, None)
    assert not await side.coordinator.keep("nobody", side.party.login())


async def test_signing_in_again_replaces_what_is_held() -> None:
    """The tokens of the newest login count; a refresh of the older ones that is under way replaces nothing."""
    side = Side()
    late = await side.refreshing()
    assert await side.coordinator.keep(HANDLE, side.party.login())
    side.party.gate.set()
    assert await late == "access-2"
    assert await side.token() == "access-2"


async def test_a_crash_after_the_lease_is_recovered_from() -> None:
    """A holder that is gone leaves a lease that runs out; the next one asks once more, and all is well if the provider lets it."""
    side = Side()
    crashed = await side.refreshing()
    for task in side.coordinator._settling.values():
        task.cancel()
    await asyncio.gather(crashed, return_exceptions=True)
    side.party.gate.set()
    side.clock.advance(LEASE_MS)
    assert await side.beside().token() == "access-2"
    assert side.party.refreshed == ["refresh-1", "refresh-1"]


async def test_a_lease_is_renewed_while_the_provider_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that takes longer than a lease keeps it: nobody else asks meanwhile."""
    monkeypatch.setattr(room, "LEASE_MS", 30)
    side = Side()
    asking = await side.refreshing()
    versions = set[int]()
    while len(versions) < 4:
        grant = (await side.store.held(HANDLE, PROVIDER)).grant
        assert grant is not None
        versions.add(grant.version)
        await asyncio.sleep(0.005)
    side.party.gate.set()
    assert await asking == "access-2"


async def test_stopping_waits_for_what_is_under_way_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh that finishes is kept; one that does not is broken off, and leaves a lease that runs out."""
    monkeypatch.setattr(room, "WAIT_MS", 50)
    side = Side()
    await side.coordinator.close()
    asking = await side.refreshing()
    assert await asking == "access-1"
    side.past_the_end()
    with pytest.raises(ProviderAway):
        await side.token()
    await side.coordinator.close()
    grant = (await side.store.held(HANDLE, PROVIDER)).grant
    assert grant is not None
    assert '"lease":null' not in grant.document


class Faster(MemoryStore):
    """A store in which somebody else writes the same thing first, as often as is said."""

    lost = 0

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """Let the other one be faster."""
        if self.lost:
            self.lost -= 1
            return Swapped(done=False, held=await self.held(grant.handle, grant.kind))
        return await super().swap(grant, now=now)


async def test_who_is_overtaken_looks_again() -> None:
    """Keeping, leasing and committing each lose to others now and then, and come to their end all the same."""
    store = Faster()
    side = Side(store)
    store.lost = 1
    await side.signed_in()
    side.near_the_end()
    store.lost = 1
    side.party.gate.clear()
    asking = asyncio.create_task(side.token())
    await side.party.arrived.wait()
    store.lost = 1
    side.party.gate.set()
    assert await asking == "access-2"
    assert (store.lost, side.party.refreshed) == (0, ["refresh-1"])


async def test_who_waits_too_long_for_a_session_that_is_gone_hears_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait has an end, and what is found then is the answer."""
    monkeypatch.setattr(room, "WAIT_MS", 1_000)
    side = Side()
    await side.signed_in()
    side.near_the_end()
    side.party.gate.clear()
    asking = asyncio.create_task(side.coordinator.fresh(HANDLE, may_refresh=True))
    await side.party.arrived.wait()
    side.store.grants.clear()
    kept = await asking
    assert (kept.session is None, kept.holding) == (False, None)
    side.party.gate.set()
    await side.coordinator.close()


async def test_a_token_that_is_due_when_it_comes_is_asked_for_once() -> None:
    """A provider whose tokens are over at once is not asked again and again: whoever comes next asks once more."""
    side = Side()
    await side.signed_in()
    side.near_the_end()
    side.party.lasts = 0
    assert await side.token() == "access-2"
    assert await side.token() == "access-3"
    assert side.party.refreshed == ["refresh-1", "refresh-2"]


async def test_a_holder_that_waits_for_the_store_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that ran out is left alone once more: its holder may have the answer in hand, and the store may just be back."""
    monkeypatch.setattr(room, "LINGER_S", 1)
    side = Side()
    holder = await side.refreshing()
    side.clock.advance(room.LEASE_MS)
    beside, looked = side.beside(), asyncio.Event()
    look = beside.coordinator.safe.look

    async def see(handle: str) -> Held:
        held = await look(handle)
        looked.set()
        return held

    monkeypatch.setattr(beside.coordinator.safe, "look", see)
    other = asyncio.create_task(beside.token())
    await looked.wait()
    side.party.gate.set()
    assert await other == await holder == "access-2"
    assert side.party.refreshed == ["refresh-1"]
