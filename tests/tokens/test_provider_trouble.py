"""A provider or a store in trouble: only an explicit refusal ends a session, and nothing that a provider gave is lost or put over newer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stillhere.core.policy import seconds
from stillhere.core.records import EndedBy
from stillhere.core.refreshing import PROVIDER, Holding, renew_lease
from stillhere.errors import ProviderAway, StoreError, Unsealable
from stillhere.stores.memory import MemoryStore
from stillhere.tokens import coordinator as room
from stillhere.tokens.coordinator import LEASE_MS
from stillhere.tokens.events import TokenNews
from tests.tokens.party import AWAY, BUSY, CHANGED, HANDLE, OURS, REFUSED, Side, ended_by, news

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillhere.core.grants import Grant, Swapped
    from stillhere.tokens.provider.failures import ProviderError


@pytest.mark.parametrize("error", [REFUSED, CHANGED])
async def test_a_refusal_ends_the_session(error: ProviderError) -> None:
    """What the provider says is over is over: the session ends with `provider`, also while the access token is still good."""
    side = Side()
    await side.signed_in()
    side.near_the_end()
    side.party.fails = [error]
    kept = await side.coordinator.fresh(HANDLE, may_refresh=True)
    assert kept.holding is None
    assert kept.session is not None
    assert kept.session.ended_by is EndedBy.PROVIDER
    assert [(event.news, event.why) for event in side.events] == [(TokenNews.REFUSED, error.why)]


async def test_trouble_keeps_what_is_still_good() -> None:
    """A provider that is busy signs nobody out, and is left alone for as long as it asks."""
    side = Side()
    await side.signed_in()
    side.near_the_end()
    side.party.fails = [BUSY]
    assert await side.token() == "access-1"
    side.clock.advance(seconds(30) - 1)
    assert await side.token() == "access-1"
    assert len(side.party.refreshed) == 1
    side.clock.advance(1)
    assert await side.token() == "access-2"
    assert news(side) == [TokenNews.TROUBLE, TokenNews.REFRESHED]
    assert await ended_by(side) is None


async def test_trouble_past_the_end_says_when_to_try_again() -> None:
    """When the token is over and the provider away there is nothing to give, and nobody is signed out for it."""
    side = Side()
    await side.signed_in()
    side.past_the_end()
    side.party.fails = [BUSY]
    with pytest.raises(ProviderAway) as caught:
        await side.token()
    assert (caught.value.status_hint, caught.value.retry_after) == (503, 30)
    assert await ended_by(side) is None


async def test_a_refusal_of_us_wakes_somebody_and_signs_nobody_out() -> None:
    """A wrong client secret is the operator's business: an alarm, a long pause, and the session stays."""
    side = Side()
    await side.signed_in()
    side.near_the_end()
    side.party.fails = [OURS]
    assert await side.token() == "access-1"
    side.clock.advance(seconds(60) - 1)
    assert await side.token() == "access-1"
    assert len(side.party.refreshed) == 1
    assert [(event.news, event.why) for event in side.events] == [(TokenNews.ALARM, "invalid_client")]
    assert await ended_by(side) is None


async def test_a_lost_answer_is_retried_once_it_may_be_and_told_as_lost() -> None:
    """The provider may have spent the token without us hearing of it: the retry says so, as `token_lost` and not as a refusal."""
    side = Side()
    await side.signed_in()
    side.near_the_end()
    side.party.fails = [AWAY]
    await side.token()
    side.clock.advance(seconds(3))
    side.party.fails = [REFUSED]
    assert (await side.coordinator.fresh(HANDLE, may_refresh=True)).holding is None
    assert side.party.refreshed == ["refresh-1", "refresh-1"]
    assert news(side) == [TokenNews.TROUBLE, TokenNews.LOST]
    assert await ended_by(side) is EndedBy.PROVIDER


def _renewed(now: int) -> Callable[[Holding], Holding | None]:
    return lambda held: renew_lease(held, held.lease or "", lease_timeout=LEASE_MS, now=now)


async def test_who_waits_in_vain_uses_what_is_good_or_hears_of_trouble() -> None:
    """A lease that somebody keeps renewing without an answer holds nobody for longer than the wait."""
    side = Side()
    holder = await side.refreshing()
    waiting = asyncio.create_task(side.beside().token())
    for _ in range(5):
        await asyncio.sleep(0)  # it has looked by now, and naps
    for _ in range(3):
        side.clock.advance(LEASE_MS - 1)
        await side.coordinator.safe.change(HANDLE, _renewed(side.clock()))
    assert await waiting == "access-1"
    side.party.gate.set()
    assert await holder == "access-2"


async def test_a_stalled_holder_cannot_put_its_result_over_a_newer_one() -> None:
    """Overtaken is overtaken: what was committed meanwhile stays, whatever the late one brings."""
    side = Side()
    stalled = await side.refreshing()
    side.clock.advance(LEASE_MS)
    other = _unhindered(side)
    assert await other.token() == "access-2"
    side.party.gate.set()
    assert await stalled == "access-2"
    assert side.party.tokens().access_token == "access-3"  # the late answer was the second, and is not the one that is used
    assert other.party.tokens().access_token == "access-3"


def _unhindered(side: Side) -> Side:
    """Give another process, whose calls to the provider do not stand at this one's gate."""
    party = type(side.party)(side.clock)
    party.tokens()
    return Side(side.store, side.clock, party)


async def test_a_refusal_that_comes_of_being_overtaken_ends_nothing() -> None:
    """If another one spent the token first, our refusal says nothing about the person."""
    side = Side()
    stalled = await side.refreshing()
    side.clock.advance(LEASE_MS)
    await _unhindered(side).token()
    side.party.fails = [REFUSED]
    side.party.gate.set()
    assert await stalled == "access-2"
    assert await ended_by(side) is None


async def test_what_cannot_be_opened_is_trouble_and_no_end() -> None:
    """A missing key signs nobody out, and the provider is not asked for what could not be kept."""
    side = Side()
    await side.signed_in()
    side.near_the_end()
    grant = (await side.store.held(HANDLE, PROVIDER)).grant
    assert grant is not None
    broken = grant.document.replace("v1.one.", "v1.two.")
    await side.store.swap(type(grant)(handle=HANDLE, kind=PROVIDER, version=2, document=broken, check_at=0), now=side.clock())
    with pytest.raises(Unsealable):
        await side.token()
    assert side.party.refreshed == []
    assert await ended_by(side) is None


class Faltering(MemoryStore):
    """A store that cannot be reached for the next so many swaps."""

    def __init__(self) -> None:
        """Fail at nothing yet."""
        super().__init__()
        self.faults = 0
        self.has_failed = asyncio.Event()

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """Fail as often as was said."""
        if self.faults:
            self.faults -= 1
            self.has_failed.set()
            raise StoreError("away")
        return await super().swap(grant, now=now)


async def test_a_store_that_is_away_for_a_moment_loses_no_token() -> None:
    """What the provider gave is held until the store takes it; only then anybody hears of it."""
    store = Faltering()
    side = Side(store)
    asking = await side.refreshing()
    store.faults = 2
    side.party.gate.set()
    assert await asking == "access-2"
    assert store.faults == 0
    assert side.party.refreshed == ["refresh-1"]


async def test_a_store_that_stays_away_is_trouble_and_no_end() -> None:
    """After a minute what the provider gave is given up, and whoever waits hears of the store."""
    store = Faltering()
    side = Side(store)
    asking = await side.refreshing()
    store.faults = 2
    side.party.gate.set()
    await store.has_failed.wait()
    side.clock.advance(room.COMMIT_MS)
    with pytest.raises(StoreError, match="away"):
        await asking
    assert await ended_by(side) is None
