"""Fence and limit, as an application meets them: who may begin, and who gives way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from stillhere.core.policy import Policy, SessionLimitBy, seconds
from stillhere.core.records import EndedBy
from stillhere.errors import EndedEverywhere, SettingsError, StoreError, TooManySessions
from stillhere.manager import SessionManager, Started
from stillhere.stores.memory import MemoryStore
from tests.manager.doubles import Recorder, UntouchableStore, memory_of
from tests.manager.scripted import Plain, Scripted, lives

if TYPE_CHECKING:
    from tests.support import FakeClock

WHO = "first@fund.example"


# The fence


@pytest.mark.parametrize("when", ["after generation", "before create", "after create"])
async def test_a_sign_in_that_is_under_way_does_not_survive_the_end_of_everything(
    when: str, scripted: SessionManager, store: Scripted
) -> None:
    """Wherever "end everywhere" falls into a sign-in, nothing of it lives afterwards, no hook is called, and the error says what to do."""
    started = Recorder()
    scripted._on_started = started
    side, verb = when.split()
    (store.before if side == "before" else store.after)[verb] = lambda: scripted.end_all(WHO)
    with pytest.raises(EndedEverywhere, match="sign in once more"):
        await scripted.start(WHO)
    assert [session.ended_by for session in store.sessions.values()] == [EndedBy.REVOKED]
    assert await scripted.list() == []
    assert started.sessions == []
    assert await lives(scripted, await scripted.start(WHO)), "the next one is let in"


async def test_the_fence_can_stand_before_the_password_is_checked(scripted: SessionManager) -> None:
    """A generation that was read before covers the check of who somebody is, too; another subject's end is none of it."""
    fence = await scripted.people.generation(WHO)
    await scripted.end_all("other@fund.example")
    assert await lives(scripted, await scripted.start(WHO, fence=fence))
    await scripted.end_all(WHO)
    with pytest.raises(EndedEverywhere):
        await scripted.start(WHO, fence=fence)
    assert await scripted.people.generation(WHO) == 1


async def test_one_session_can_be_kept(scripted: SessionManager) -> None:
    """With `but` the caller's own stays, and can be ended everywhere later."""
    mine, other = await scripted.start(WHO), await scripted.start(WHO)
    assert await scripted.end_all(WHO, but=mine.session.handle) == 1
    assert (await lives(scripted, mine), await lives(scripted, other)) == (True, False)


async def test_the_replaced_session_stays_if_the_new_one_is_not_let_in(scripted: SessionManager, store: Scripted) -> None:
    """What the browser had is ended only once the new session stands."""
    before = await scripted.start(WHO)
    store.after["create"] = lambda: store.advance(WHO)
    with pytest.raises(EndedEverywhere):
        await scripted.start(WHO, replaces=before.secret)
    assert await lives(scripted, before)


async def test_trouble_after_the_creation_leaves_nothing_behind(scripted: SessionManager, store: Scripted) -> None:
    """If the fence cannot be read a second time the session is ended: nobody passes it unseen."""

    async def fail() -> None:
        raise StoreError("gone")

    async def break_generation() -> None:
        store.after["generation"] = fail

    store.after["create"] = break_generation
    with pytest.raises(StoreError, match="gone"):
        await scripted.start(WHO)
    assert await scripted.list() == []


async def test_a_store_without_fences_works_as_before(clock: FakeClock) -> None:
    """Everything is ended, and somebody who was signing in meanwhile may come through."""
    manager = SessionManager(Plain(), clock=clock)  # type: ignore[arg-type]  # its verbs are given at run time
    started = await manager.start(WHO)
    assert await manager.end_all(WHO) == 1
    assert not await lives(manager, started)
    assert await manager.people.generation(WHO) == 0
    assert await manager.people.fence_since(WHO, 0) == 0


async def test_a_store_that_cannot_list_ends_and_advances_nothing(clock: FakeClock) -> None:
    """`end_all` says so before it does anything; a limit is refused when the manager is built."""
    manager = SessionManager(UntouchableStore(), clock=clock)
    with pytest.raises(TypeError, match="cannot list sessions"):
        await manager.end_all(WHO)
    with pytest.raises(SettingsError, match="session_limit needs a store that lists"):
        SessionManager(UntouchableStore(), policy=Policy(session_limit=1))


# The limit


def limited(clock: FakeClock, limit: int, by: SessionLimitBy, **more: Any) -> SessionManager:
    """Give a manager with a limit."""
    return SessionManager(Scripted(), policy=Policy(session_limit=limit, session_limit_by=by), clock=clock, **more)


async def test_the_oldest_gives_way(clock: FakeClock) -> None:
    """The first of three is ended with `revoked`, and the hook is called; other people's sessions are not counted."""
    ended = Recorder()
    manager = limited(clock, 2, SessionLimitBy.EVICT_OLDEST, on_ended=ended)
    await manager.start("other@fund.example")
    first, second, third = [await _later(manager, clock) for _ in range(3)]
    assert [await lives(manager, one) for one in (first, second, third)] == [False, True, True]
    assert await manager.count() == 3
    await manager.close()
    assert [(session.handle, session.ended_by) for session in ended.sessions] == [(first.session.handle, EndedBy.REVOKED)]


async def test_the_one_that_was_inactive_for_longest_gives_way(clock: FakeClock) -> None:
    """The oldest stays if it was used since."""
    manager = limited(clock, 2, SessionLimitBy.EVICT_LEAST_RECENT)
    first, second = await _later(manager, clock), await _later(manager, clock)
    clock.advance(1)
    await manager.authenticate(first.secret)
    third = await _later(manager, clock)
    assert [await lives(manager, one) for one in (first, second, third)] == [True, False, True]


async def test_one_more_is_refused(clock: FakeClock) -> None:
    """Nobody is ended and nothing is left behind; the error has the limit; a place that gets free can be taken."""
    manager = limited(clock, 2, SessionLimitBy.REFUSE)
    first, second = await _later(manager, clock), await _later(manager, clock)
    with pytest.raises(TooManySessions, match="2 sessions") as refused:
        await manager.start(WHO)
    assert refused.value.limit == 2
    assert len(memory_of(manager).sessions) == 2
    await manager.end(first.secret)
    assert [await lives(manager, one) for one in (second, await _later(manager, clock))] == [True, True]


async def test_who_signs_in_again_in_the_same_browser_is_not_one_more(clock: FakeClock) -> None:
    """The session that is replaced makes room for the new one, also where one more would be refused."""
    manager = limited(clock, 1, SessionLimitBy.REFUSE)
    first = await manager.start(WHO)
    second = await manager.start(WHO, replaces=first.secret)
    assert [await lives(manager, one) for one in (first, second)] == [False, True]
    assert memory_of(manager).sessions[first.session.handle].ended_by is EndedBy.REPLACED


async def test_two_that_pass_the_check_at_once_are_told_apart_afterwards(clock: FakeClock) -> None:
    """Of two that both found a free place the earlier stays; the other is refused, whichever is created first."""
    for earlier_first in (True, False):
        manager = limited(clock, 1, SessionLimitBy.REFUSE)
        store = memory_of(manager)
        assert isinstance(store, Scripted)
        others = list[Started]()

        async def come_between(manager: SessionManager = manager, others: list[Started] = others, *, first: bool = earlier_first) -> None:
            clock.advance(-1 if first else 1)
            others.append(await manager.start(WHO))

        store.before["create"] = come_between
        if earlier_first:
            with pytest.raises(TooManySessions):
                await manager.start(WHO)
            assert await lives(manager, others[0])
        else:
            assert await lives(manager, await manager.start(WHO))
            assert not await lives(manager, others[0])
        assert await manager.count() == 1


@pytest.mark.parametrize("by", SessionLimitBy)
async def test_of_many_at_once_no_more_than_the_limit_stay(by: SessionLimitBy, clock: FakeClock) -> None:
    """Fifty tasks sign in through one manager: those that were told they are in, and are, are exactly the limit."""
    manager = limited(clock, 5, by)
    results = await asyncio.gather(*(manager.start(WHO) for _ in range(50)), return_exceptions=True)
    assert all(isinstance(result, Started | TooManySessions) for result in results)
    assert await manager.count() == 5
    assert sum([await lives(manager, result) for result in results if isinstance(result, Started)]) == 5


async def test_a_crowd_is_ended_portion_by_portion(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """More sessions than are listed at a time, from before there was a limit, are all brought below it."""
    monkeypatch.setattr("stillhere.people.MOST_SESSIONS", 10)
    store = MemoryStore()
    before = SessionManager(store, clock=clock)
    for _ in range(35):
        await before.start(WHO)
        clock.advance(1)
    manager = SessionManager(store, policy=Policy(session_limit=3), clock=clock)
    assert await lives(manager, await manager.start(WHO))
    assert await manager.count() == 3


async def _later(manager: SessionManager, clock: FakeClock) -> Started:
    clock.advance(seconds(1))
    return await manager.start(WHO)
