"""Many callers at once: one batch in flight, no end undone, nothing lost when the manager closes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stillhere.core.policy import hours
from stillhere.core.records import EndedBy
from stillhere.core.wire import PLAIN, Beat
from stillhere.errors import StoreError
from stillhere.manager import SessionManager
from tests.manager.doubles import GatedStore, settle

if TYPE_CHECKING:
    from tests.support import FakeClock


@pytest.fixture
def manager(gated: GatedStore, clock: FakeClock) -> SessionManager:
    """Give a manager on the gated store."""
    return SessionManager(gated, clock=clock)


async def test_requests_and_beats_of_everybody_share_batches(manager: SessionManager, gated: GatedStore) -> None:
    """While one batch is away, a hundred callers collect in the next."""
    started = [await manager.start(f"reader {number}") for number in range(100)]
    gated.gate.clear()
    first = asyncio.create_task(manager.authenticate(started[0].secret))
    await gated.arrived.wait()
    rest = [
        asyncio.create_task(manager.beat(one.secret, [PLAIN]) if number % 2 else manager.authenticate(one.secret))
        for number, one in enumerate(started)
    ]
    await settle()
    gated.gate.set()
    verdicts = await asyncio.gather(first, *rest)
    assert [len(batch) for batch in gated.batches] == [1, 100]
    assert [verdict.session and verdict.session.handle for verdict in verdicts[1:]] == [one.session.handle for one in started]


async def test_a_sign_out_that_overtakes_a_beat_wins(manager: SessionManager, gated: GatedStore) -> None:
    """A beat that was under way when its session ended is judged after the end and revives nothing."""
    started = await manager.start("reader")
    gated.gate.clear()
    beating = asyncio.create_task(manager.beat(started.secret, [Beat(idle_ms=0)]))
    await gated.arrived.wait()
    await manager.end_by_handle(started.session.handle, EndedBy.SIGNED_OUT)
    gated.gate.set()
    verdict = await beating
    assert not verdict.is_alive
    assert verdict.ending is not None
    assert verdict.ending.by is EndedBy.SIGNED_OUT


async def test_an_answer_from_a_slow_store_is_true_when_it_is_given(manager: SessionManager, gated: GatedStore, clock: FakeClock) -> None:
    """If the session lapsed while its beat was away, nobody is told that it lives."""
    started = await manager.start("reader")
    gated.gate.clear()
    beating = asyncio.create_task(manager.beat(started.secret, [PLAIN]))
    await gated.arrived.wait()
    clock.advance(hours(1))
    gated.gate.set()
    assert not (await beating).is_alive


async def test_a_batch_that_fails_fails_its_callers_and_nobody_else(manager: SessionManager, gated: GatedStore) -> None:
    """Those in it hear of trouble and stay signed in; the next batch goes its way."""
    one, two = await manager.start("one"), await manager.start("two")
    gated.fails = StoreError("cannot be reached")
    results = await asyncio.gather(manager.authenticate(one.secret), manager.beat(two.secret, [PLAIN]), return_exceptions=True)
    assert all(isinstance(result, StoreError) for result in results)
    assert (await manager.authenticate(one.secret)).is_alive
    assert (await manager.authenticate(two.secret)).is_alive


async def test_a_request_that_was_cancelled_counts_all_the_same(manager: SessionManager, gated: GatedStore, clock: FakeClock) -> None:
    """A browser that hangs up does not undo what its person did, nor disturb the others."""
    gone, stays = await manager.start("gone"), await manager.start("stays")
    clock.advance(1_000)
    gated.gate.clear()
    tasks = [asyncio.create_task(manager.authenticate(one.secret)) for one in (gone, stays)]
    await gated.arrived.wait()
    tasks[0].cancel()
    gated.gate.set()
    assert (await tasks[1]).is_alive
    session = (await manager.look(gone.secret)).session
    assert session is not None
    assert session.last_active_at == clock()


async def test_closing_answers_what_is_under_way_and_then_lets_go(manager: SessionManager, gated: GatedStore) -> None:
    """Nobody is left without an answer, and the store is closed last."""
    started = await manager.start("reader")
    gated.gate.clear()
    beating = [asyncio.create_task(manager.beat(started.secret, [PLAIN])) for _ in range(3)]
    await gated.arrived.wait()
    closing = asyncio.create_task(manager.close())
    await settle()
    assert (closing.done(), gated.closed) == (False, False)
    gated.gate.set()
    await closing
    assert gated.closed
    assert all(task.done() and task.result().is_alive for task in beating)


async def test_leaving_the_block_closes_also_after_an_error(gated: GatedStore) -> None:
    """`async with` lets go of the store whatever happened inside, and hides no error."""
    with pytest.raises(LookupError):
        async with SessionManager(gated):
            raise LookupError
    assert gated.closed


async def test_a_batch_that_was_cancelled_before_it_began_holds_nobody_up(manager: SessionManager) -> None:
    """Whatever is cancelled around it, the next beat goes out and closing ends."""
    started = await manager.start("reader")
    lost = asyncio.create_task(manager.authenticate(started.secret))
    await asyncio.sleep(0)
    sending = manager._batcher._sending
    assert sending is not None
    sending.cancel()
    await asyncio.wait([sending])
    assert (await manager.authenticate(started.secret)).is_alive
    assert (await lost).is_alive
    await asyncio.wait_for(manager.close(), 5)
