"""Proof, as an application meets it: who just proved again who they are, and for how long that counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from stillhere.core.grants import Grant
from stillhere.core.people import FRESH, Authentication
from stillhere.core.policy import LONGEST_SPAN, minutes
from stillhere.errors import StoreError
from stillhere.manager import SessionManager, Started
from stillhere.stores.memory import MemoryStore
from tests.manager.doubles import UntouchableStore, memory_of
from tests.manager.scripted import Plain, Scripted, lives

if TYPE_CHECKING:
    from tests.support import FakeClock

WHO = "first@fund.example"


# Proof


async def test_a_proof_gives_a_new_id_and_is_remembered(manager: SessionManager, clock: FakeClock) -> None:
    """The old id dies (ASVS 7.2.4), the session keeps its beginning and its clocks, and from then on it is fresh again."""
    started = await manager.start(WHO)
    clock.advance(minutes(16))
    assert not await manager.people.is_fresh(started.session)
    proved = await manager.reauthenticated(started.secret)
    assert proved is not None
    assert (await lives(manager, started), await lives(manager, proved)) == (False, True)
    assert proved.session == replace(started.session, id_hash=proved.session.id_hash)
    assert await manager.people.authentication(proved.session) == Authentication(at=clock())
    assert await manager.people.authentication(started.session) is None, "the old id proves nothing"
    clock.advance(minutes(3))
    assert await manager.people.is_fresh(proved.session)
    assert not await manager.people.is_fresh(proved.session, minutes(3) - 1)
    assert not await manager.people.has_stepped_up(proved.session)


async def test_stepping_up_lapses_and_dies_with_the_id(manager: SessionManager, clock: FakeClock) -> None:
    """It holds for its time, not under the id of a plain rotation, and not after the end."""
    started = await manager.start(WHO)
    stepped = await manager.reauthenticated(started.secret, step_up_ms=minutes(5))
    assert stepped is not None
    clock.advance(minutes(5) - 1)
    assert await manager.people.has_stepped_up(stepped.session)
    clock.advance(1)
    assert not await manager.people.has_stepped_up(stepped.session)
    again = await manager.reauthenticated(stepped.secret, step_up_ms=minutes(5))
    assert again is not None
    rotated = await manager.rotate(again.secret)
    assert rotated is not None
    assert not await manager.people.has_stepped_up(rotated.session)
    assert not await manager.people.has_stepped_up(again.session)
    last = await manager.reauthenticated(rotated.secret, step_up_ms=minutes(5))
    assert last is not None
    await manager.end(last.secret)
    assert not await manager.people.has_stepped_up(last.session)


async def test_only_a_living_session_can_be_proved(manager: SessionManager, clock: FakeClock) -> None:
    """No id, an old one, one that lapsed: None, and nothing is written."""
    started = await manager.start(WHO)
    rotated = await manager.rotate(started.secret)
    assert rotated is not None
    for secret in (None, "wrong-shape", "handle." + "A" * 43, started.secret):
        assert await manager.reauthenticated(secret) is None
    clock.advance(minutes(20))
    assert await manager.reauthenticated(rotated.secret) is None
    assert memory_of(manager).grants == {}


@pytest.mark.parametrize("span", [-1, LONGEST_SPAN + 1, 1.5, True, "5"])
async def test_a_span_that_is_none_is_refused(span: Any, manager: SessionManager) -> None:
    """Whole milliseconds up to 400 days."""
    started = await manager.start(WHO)
    with pytest.raises(ValueError, match="step_up_ms must be a whole number"):
        await manager.reauthenticated(started.secret, step_up_ms=span)


async def test_a_proof_that_cannot_be_written_signs_nobody_out(scripted: SessionManager, store: Scripted) -> None:
    """It is written before the id changes: trouble changes nothing, and the person tries again."""

    async def fail() -> None:
        raise StoreError("gone")

    started = await scripted.start(WHO)
    store.before["swap"] = fail
    with pytest.raises(StoreError, match="gone"):
        await scripted.reauthenticated(started.secret)
    assert await lives(scripted, started)

    async def fail_at_the_second() -> None:
        store.before["swap"] = fail

    store.before["rotate"] = fail_at_the_second
    proved = await scripted.reauthenticated(started.secret)
    assert proved is not None, "written already; only the confirmation failed"
    assert await lives(scripted, proved)
    assert await scripted.people.authentication(proved.session) == Authentication(at=scripted.clock())


async def test_a_rotation_that_comes_first_wins(scripted: SessionManager, store: Scripted) -> None:
    """A proof with an id that was given up meanwhile gives no new one, and proves nothing under the other."""
    started = await scripted.start(WHO)
    others = list[Started | None]()

    async def come_between() -> None:
        others.append(await scripted.rotate(started.secret))

    store.before["rotate"] = come_between
    assert await scripted.reauthenticated(started.secret, step_up_ms=minutes(5)) is None
    (other,) = others
    assert other is not None
    assert not await scripted.people.has_stepped_up(other.session)


@pytest.mark.parametrize("verb", ["swap", "rotate"])
async def test_of_two_proofs_at_once_the_one_with_the_new_id_holds(verb: str, scripted: SessionManager, store: Scripted) -> None:
    """Wherever one falls into the other, one of them gets a new id, and what that one proved holds."""
    started = await scripted.start(WHO)
    others = list[Started | None]()

    async def come_between() -> None:
        others.append(await scripted.reauthenticated(started.secret, step_up_ms=minutes(5)))

    store.before[verb] = come_between
    mine = await scripted.reauthenticated(started.secret, step_up_ms=minutes(5))
    (winner,) = [one for one in (mine, *others) if one is not None]
    assert await scripted.people.has_stepped_up(winner.session)


async def test_a_write_on_its_way_does_not_undo_what_was_proved(scripted: SessionManager, store: Scripted) -> None:
    """One that looked before the id changed, and writes after the winner wrote last, is overtaken by version."""
    started = await scripted.start(WHO)
    slow = asyncio.Event()
    store.before["swap"] = slow.wait
    loser = asyncio.ensure_future(scripted.reauthenticated(started.secret, step_up_ms=minutes(5)))
    await asyncio.sleep(0)
    winner = await scripted.reauthenticated(started.secret, step_up_ms=minutes(5))
    assert winner is not None
    slow.set()
    assert await loser is None
    assert await scripted.people.has_stepped_up(winner.session)
    held = await store.held(winner.session.handle, FRESH)
    assert held.grant is not None
    assert held.grant.check_at == winner.session.absolute_end_at


async def test_a_proof_that_others_always_overtake_is_trouble(scripted: SessionManager, store: Scripted) -> None:
    """503 rather than for ever."""
    started = await scripted.start(WHO)

    async def overtake() -> None:
        held = await store.held(started.session.handle, FRESH)
        version = 1 if held.grant is None else held.grant.version + 1
        grant = Grant(handle=started.session.handle, kind=FRESH, version=version, document="{}", check_at=0)
        await MemoryStore.swap(store, grant, now=scripted.clock())
        store.before["swap"] = overtake

    store.before["swap"] = overtake
    with pytest.raises(StoreError, match="overtaken again and again"):
        await scripted.reauthenticated(started.secret)


async def test_a_store_without_grants_knows_sign_ins_only(clock: FakeClock) -> None:
    """A sign-in is a proof there, too; a later one cannot be kept, and says so."""
    manager = SessionManager(Plain(), clock=clock)  # type: ignore[arg-type]  # its verbs are given at run time
    started = await manager.start(WHO)
    with pytest.raises(TypeError, match="no `held` and `swap`"):
        await manager.reauthenticated(started.secret)
    clock.advance(minutes(16))
    assert not await manager.people.is_fresh(started.session)
    assert not await manager.people.has_stepped_up(started.session)
    clock.advance(minutes(4))
    assert await manager.people.authentication(started.session) is None


async def test_soon_after_a_sign_in_the_store_is_not_asked(clock: FakeClock) -> None:
    """The record itself says so."""
    session = (await SessionManager(MemoryStore(), clock=clock).start(WHO)).session
    assert await SessionManager(UntouchableStore(), clock=clock).people.is_fresh(session)
