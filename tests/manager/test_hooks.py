"""Hooks: called once, in nobody's way, and their trouble is their own."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from stillhere.core.policy import hours, minutes
from stillhere.core.records import EndedBy, Session
from stillhere.core.wire import PLAIN
from stillhere.manager import SessionManager
from stillhere.stores.memory import MemoryStore
from stillhere.upkeep import LIMIT
from tests.manager.doubles import GatedStore, Recorder, UntouchableStore, settle
from tests.support import START

if TYPE_CHECKING:
    from tests.support import FakeClock


async def test_a_hook_hears_of_every_start(clock: FakeClock) -> None:
    """`on_started` is called once with the session that began."""
    heard = Recorder()
    async with SessionManager(MemoryStore(), clock=clock, on_started=heard) as manager:
        started = await manager.start("reader")
    assert heard.sessions == [started.session]


@pytest.mark.parametrize("noticed_by", ["beat", "authenticate", "end", "end_by_handle", "sweep"])
async def test_a_hook_hears_of_a_lapse_once_whoever_notices(clock: FakeClock, noticed_by: str) -> None:
    """`on_ended` is called with the end at the deadline, and never again for that session."""
    heard = Recorder()
    async with SessionManager(MemoryStore(), clock=clock, on_ended=heard) as manager:
        started = await manager.start("reader")
        clock.advance(hours(2))
        if noticed_by == "beat":
            await manager.beat(started.secret, [PLAIN, PLAIN])
        elif noticed_by == "end_by_handle":
            await manager.end_by_handle(started.session.handle)
        elif noticed_by == "sweep":
            assert await manager.sweep() == 1
        else:
            await getattr(manager, noticed_by)(started.secret)
        await manager.end(started.secret, beats=[PLAIN])
        await manager.authenticate(started.secret)
        assert await manager.sweep() == 0
    assert [(session.ended_at, session.ended_by) for session in heard.sessions] == [(START + minutes(20), EndedBy.IDLE)]


async def test_a_hook_hears_of_a_sign_out_and_a_replacement(clock: FakeClock) -> None:
    """Each end that is recorded is told, with its reason."""
    heard = Recorder()
    async with SessionManager(MemoryStore(), clock=clock, on_ended=heard) as manager:
        first = await manager.start("reader")
        second = await manager.start("reader", replaces=first.secret)
        await manager.end(second.secret)
        await manager.end(second.secret)
        assert await manager.end_all("reader") == 0
    assert [session.ended_by for session in heard.sessions] == [EndedBy.REPLACED, EndedBy.SIGNED_OUT]


async def test_a_hook_that_fails_is_logged_and_harmless(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """The session ends, the caller is answered, the log names the handle and nothing secret."""

    async def fail(session: Session) -> None:
        raise RuntimeError(session.subject)

    async with SessionManager(MemoryStore(), clock=clock, on_started=fail, on_ended=fail) as manager:
        started = await manager.start("reader")
        verdict = await manager.end(started.secret)
        assert verdict.ending is not None
    failures = [record for record in caplog.records if record.name == "stillhere"]
    assert [record.levelno for record in failures] == [logging.ERROR, logging.ERROR]
    assert all(started.session.handle in record.getMessage() and record.exc_info for record in failures)
    assert started.secret not in caplog.text


async def test_a_slow_hook_does_not_hold_up_beats(clock: FakeClock) -> None:
    """Sessions end and beats are answered while a hook still waits for its own database."""
    waits, heard = asyncio.Event(), Recorder()

    async def wait(session: Session) -> None:
        await waits.wait()
        await heard(session)

    manager = SessionManager(MemoryStore(), clock=clock, on_ended=wait)
    ends, stays = await manager.start("ends"), await manager.start("stays")
    await manager.end(ends.secret)
    assert (await manager.beat(stays.secret, [PLAIN])).is_alive
    assert heard.sessions == []
    closing = asyncio.get_running_loop().create_task(manager.close())
    await settle()
    assert not closing.done()
    waits.set()
    await closing
    assert [session.subject for session in heard.sessions] == ["ends"]


async def test_a_hook_may_use_the_manager_while_it_closes(clock: FakeClock) -> None:
    """What a hook begins, another hook included, is finished before the store is let go."""
    store, heard = GatedStore(), list[tuple[str, bool]]()

    async def end_the_rest(session: Session) -> None:
        await asyncio.sleep(0)
        await manager.authenticate(partner.secret)
        heard.append((session.subject, store.closed))
        await manager.end_all("partner")

    manager = SessionManager(store, clock=clock, on_ended=end_the_rest)
    started, partner = await manager.start("reader"), await manager.start("partner")
    await manager.end(started.secret)
    await manager.close()
    assert heard == [("reader", False), ("partner", False)]
    assert store.closed


async def test_a_hook_that_is_cancelled_does_not_keep_the_store_open(clock: FakeClock, gated: GatedStore) -> None:
    """Whatever becomes of the hooks, closing lets go of the store."""

    async def give_up(session: Session) -> None:
        raise asyncio.CancelledError(session.handle)

    manager = SessionManager(gated, clock=clock, on_started=give_up)
    await manager.start("reader")
    await manager.close()
    assert gated.closed


async def test_a_sweep_records_every_end_in_portions(clock: FakeClock) -> None:
    """More than one portion are swept in one call, each session told once, and the living stay."""
    heard = Recorder()
    async with SessionManager(MemoryStore(), clock=clock, on_ended=heard) as manager:
        for number in range(LIMIT + 1):
            await manager.start(f"reader {number}")
        clock.advance(hours(1))
        alive = await manager.start("alive")
        assert await manager.sweep() == LIMIT + 1
        assert await manager.sweep() == 0
        assert (await manager.look(alive.secret)).is_alive
    assert len({session.handle for session in heard.sessions}) == len(heard.sessions) == LIMIT + 1
    assert {session.ended_at for session in heard.sessions} == {START + minutes(20)}


async def test_a_store_that_cannot_sweep_is_left_alone() -> None:
    """Its ends are recorded when they are noticed."""
    assert await SessionManager(UntouchableStore()).sweep() == 0
