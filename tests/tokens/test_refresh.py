"""Own refresh tokens on a store: issued, turned, repeated, and never in two hands."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from stillhere.core.grants import Swapped
from stillhere.core.policy import minutes, seconds
from stillhere.core.records import EndedBy
from stillhere.core.rotation import Standing
from stillhere.errors import StoreError
from stillhere.stores.memory import MemoryStore
from stillhere.testing.scene import IDLE, session_of
from stillhere.tokens.refresh import ROUNDS, RefreshTokens
from tests.support import FakeClock

if TYPE_CHECKING:
    from stillhere.core.grants import Grant

HANDLE = "handle-a"


class Desk:
    """Refresh tokens over a memory store, and a clock to move."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        """Draw bytes that are all different."""
        self.clock, self.store = FakeClock(), store or MemoryStore()
        numbers = itertools.count(1)
        self.tokens = RefreshTokens(
            self.store,
            clock=self.clock,
            random_bytes=lambda size: next(numbers).to_bytes(size, "big"),
            replay_timeout=minutes(2),
            grace=seconds(10),
        )

    async def first(self) -> str:
        """Begin a session and its family."""
        await self.store.create(session_of("a"))
        begun = await self.tokens.begin(HANDLE)
        assert begun.token is not None
        return begun.token

    async def next_of(self, token: str) -> str:
        """Turn a token that is good."""
        turned = await self.tokens.turn(token)
        assert turned.token is not None
        return turned.token


async def test_a_token_is_turned_into_the_next() -> None:
    """Each use of the current token gives another, with the next number, for the same session."""
    desk = Desk()
    first = await desk.first()
    turned = await desk.tokens.turn(first)
    assert (turned.standing, turned.turn) == (Standing.CURRENT, 2)
    assert turned.session == session_of("a")
    again = await desk.tokens.turn(turned.token)
    assert (again.standing, again.turn) == (Standing.CURRENT, 3)
    assert len({first, turned.token, again.token}) == 3


async def test_a_lost_answer_is_repeated() -> None:
    """Whoever presents the spent token again gets the same successor, which then works."""
    desk = Desk()
    first = await desk.first()
    second = await desk.next_of(first)
    repeated = await desk.tokens.turn(first)
    assert (repeated.standing, repeated.token, repeated.turn) == (Standing.REPEATED, second, 2)
    assert (await desk.tokens.turn(second)).standing is Standing.CURRENT


async def test_fifty_at_once_get_one_successor() -> None:
    """However many present the current token at once, there is one successor, and all have it."""
    desk = Desk()
    first = await desk.first()
    turned = await asyncio.gather(*(desk.tokens.turn(first) for _ in range(50)))
    assert len({one.token for one in turned}) == 1
    assert {one.turn for one in turned} == {2}


async def test_after_the_successor_was_used_its_parent_is_theft() -> None:
    """The answer was not lost if its token came back; the older one gets nothing, and ends nothing by itself."""
    desk = Desk()
    first = await desk.first()
    third = await desk.next_of(await desk.next_of(first))
    reused = await desk.tokens.turn(first)
    assert (reused.standing, reused.token) == (Standing.REUSED, None)
    assert reused.session == session_of("a")
    assert (await desk.tokens.turn(third)).standing is Standing.CURRENT


async def test_a_turn_seen_in_use_makes_its_parent_theft_after_the_grace() -> None:
    """The use of an access token counts as use of its turn, though not for requests that were already on their way."""
    desk = Desk()
    first = await desk.first()
    await desk.next_of(first)
    await desk.tokens.see(HANDLE, 2)
    desk.clock.advance(seconds(10))
    assert (await desk.tokens.turn(first)).standing is Standing.REPEATED
    desk.clock.advance(1)
    assert (await desk.tokens.turn(first)).standing is Standing.REUSED


async def test_to_see_what_is_no_news_writes_nothing() -> None:
    """An older turn, one that was seen before, and a session without tokens leave everything as it is."""
    desk = Desk()
    await desk.first()
    await desk.tokens.see(HANDLE, 1)
    kept = await desk.store.held(HANDLE, "refresh")
    for handle, turn in ((HANDLE, 1), (HANDLE, 7), ("nobody", 1)):
        await desk.tokens.see(handle, turn)
    assert await desk.store.held(HANDLE, "refresh") == kept


@pytest.mark.parametrize("text", [None, "", "nonsense", f"{HANDLE}.{'A' * 43}", f"{HANDLE}.{'A' * 65}", f"nobody.{'A' * 65}"])
async def test_what_is_no_token_of_ours_is_nothing(text: str | None) -> None:
    """Neither a made-up token nor a secret id gets anything, or tells whether the session is there."""
    desk = Desk()
    await desk.first()
    turned = await desk.tokens.turn(text)
    assert (turned.standing, turned.session, turned.token) == (Standing.UNKNOWN, None, None)


async def test_an_ended_session_gives_no_token() -> None:
    """Signed out is signed out: the current token tells why, and turns into nothing."""
    desk = Desk()
    first = await desk.first()
    ended = await desk.store.end(HANDLE, EndedBy.SIGNED_OUT, now=desk.clock())
    turned = await desk.tokens.turn(first)
    assert (turned.session, turned.token) == (ended.session, None)
    assert (await desk.tokens.begin(HANDLE)).token is None


async def test_a_refresh_is_no_activity_and_outlives_nothing() -> None:
    """A client that turns its token every minute is signed out on time: the session's idle timeout is the token's."""
    desk = Desk()
    token = await desk.first()
    for _ in range(IDLE // minutes(1) - 1):
        desk.clock.advance(minutes(1))
        token = await desk.next_of(token)
    desk.clock.advance(minutes(1))
    assert (await desk.tokens.turn(token)).token is None
    assert (await desk.tokens.begin(HANDLE)).token is None


async def test_a_new_family_makes_the_tokens_of_the_old_one_nothing() -> None:
    """After a change of privilege only the new tokens count, and the old ones are no theft."""
    desk = Desk()
    first = await desk.first()
    begun = await desk.tokens.begin(HANDLE)
    assert (await desk.tokens.turn(first)).standing is Standing.UNKNOWN
    assert (await desk.tokens.turn(begun.token)).standing is Standing.CURRENT


class SignedOutMeanwhile(MemoryStore):
    """A store in which the session is ended just before each swap."""

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """Let the other one go first."""
        await self.end(grant.handle, EndedBy.REVOKED, now=now)
        return await super().swap(grant, now=now)


class Overtaken(MemoryStore):
    """A store in which somebody else is always faster."""

    swaps = 0

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """Count, and keep nothing."""
        del now
        self.swaps += 1
        return Swapped(done=False, held=await self.held(grant.handle, grant.kind))


def _in(store: MemoryStore, desk: Desk) -> Desk:
    store.sessions, store.grants = desk.store.sessions, desk.store.grants
    return Desk(store)


async def test_a_session_that_ends_during_a_refresh_gives_no_token() -> None:
    """A sign-out that overtakes a refresh wins: nothing of it comes out."""
    desk = Desk()
    first = await desk.first()
    turned = await _in(SignedOutMeanwhile(), desk).tokens.turn(first)
    assert turned.token is None
    assert turned.session is not None
    assert turned.session.ended_by is EndedBy.REVOKED


async def test_who_is_always_overtaken_hears_of_trouble() -> None:
    """Rather than spin for ever a write that never gets through is trouble with the store: 503, try again."""
    desk = Desk()
    first = await desk.first()
    overtaken = Overtaken()
    late = _in(overtaken, desk)
    with pytest.raises(StoreError, match="overtaken"):
        await late.tokens.turn(first)
    with pytest.raises(StoreError, match="overtaken"):
        await late.tokens.begin(HANDLE)
    assert overtaken.swaps == 2 * ROUNDS


async def test_nothing_shows_a_token() -> None:
    """Neither what comes back nor what is kept prints a token's secret."""
    desk = Desk()
    first = await desk.first()
    turned = await desk.tokens.turn(first)
    assert turned.token is not None
    shown = repr(turned) + repr(await desk.store.held(HANDLE, "refresh"))
    for token in (first, turned.token):
        assert token.partition(".")[2][:43] not in shown
