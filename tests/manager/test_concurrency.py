"""Many callers at once: one batch in flight, no end undone, nothing lost when the manager closes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stillhere.core.policy import hours
from stillhere.core.records import EndedBy
from stillhere.core.wire import PLAIN, Beat
from stillhere.errors import StoreError
from stillhere.manager import SETTLING_MS, SessionManager
from tests.manager.doubles import GatedStore, settle
from tests.support import PATIENCE_S, START

if TYPE_CHECKING:
    from stillhere.core.records import Session
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
    await asyncio.wait_for(manager.close(), PATIENCE_S)


class LosesAnswers(GatedStore):
    """A store whose next verb is done, and whose answer is lost on the way."""

    loses = True

    def _lose(self) -> None:
        if self.loses:
            self.loses = False
            raise StoreError("the answer was lost")

    async def create(self, session: Session) -> None:
        """Create, and lose the answer."""
        await super().create(session)
        self._lose()

    async def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """Rotate, and lose the answer."""
        rotated = await super().rotate(handle, id_hash, new_id_hash, now=now)
        self._lose()
        return rotated


async def test_a_rotation_whose_answer_is_lost_signs_nobody_out(clock: FakeClock) -> None:
    """The swap was done: the caller gets the new secret all the same, and it opens the session."""
    store = LosesAnswers()
    store.loses = False
    manager = SessionManager(store, clock=clock)
    started = await manager.start("reader")
    store.loses = True
    rotated = await manager.rotate(started.secret)
    assert rotated is not None
    assert (await manager.look(rotated.secret)).is_alive


async def test_a_rotation_that_was_not_done_is_trouble(clock: FakeClock) -> None:
    """If the session still has the old id the caller hears of the trouble and keeps the old one, which is good."""

    class Refuses(GatedStore):
        async def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
            raise StoreError(f"cannot be reached for {handle}, {id_hash}, {new_id_hash}, {now}")

    manager = SessionManager(Refuses(), clock=clock)
    started = await manager.start("reader")
    with pytest.raises(StoreError):
        await manager.rotate(started.secret)
    assert (await manager.look(started.secret)).is_alive


async def test_a_start_whose_answer_is_lost_leaves_nobody_behind(clock: FakeClock) -> None:
    """Nobody learned the secret, so the session that may be there is ended again."""
    manager = SessionManager(LosesAnswers(), clock=clock)
    with pytest.raises(StoreError):
        await manager.start("reader")
    assert await manager.list() == []


async def test_a_session_that_lapses_while_its_beat_is_on_the_way_is_over_for_good(clock: FakeClock) -> None:
    """Whoever is told that it is over is told what is recorded; no slower beat that was judged earlier brings it back."""
    store = GatedStore()
    manager = SessionManager(store, clock=clock)
    started = await manager.start("reader")
    clock.advance(manager.policy.idle_timeout - 1)
    store.gate.clear()
    slow = asyncio.ensure_future(manager.beat(started.secret, [PLAIN]))
    await store.arrived.wait()
    clock.advance(1)
    with pytest.raises(StoreError, match="on their way"):
        await manager.look(started.secret)
    store.gate.set()
    verdict = await slow
    assert verdict.ending is not None
    assert verdict.session == await store.get(started.session.handle)
    assert verdict.session is not None
    assert verdict.session.ended_at == clock()
    assert (await manager.look(started.secret)).ending == verdict.ending


async def test_an_end_that_nobody_recorded_is_told_once_all_beats_are_home(clock: FakeClock) -> None:
    """A look does not write: it says that a session is over when no beat that came in time can still be on its way."""
    manager = SessionManager(GatedStore(), clock=clock)
    started = await manager.start("reader")
    clock.advance(manager.policy.idle_timeout + SETTLING_MS - 1)
    with pytest.raises(StoreError):
        await manager.look(started.secret)
    clock.advance(1)
    assert (await manager.look(started.secret)).ending is not None


@pytest.mark.parametrize("before_ms", range(1, 9))
async def test_an_end_is_told_by_the_instant_it_was_judged_by(before_ms: int) -> None:
    """However the clock runs across the deadline while an answer is made, nobody is told of an end that is not recorded."""
    now, step = [START], [0]

    def ticking() -> int:
        now[0] += step[0]
        return now[0]

    manager = SessionManager(GatedStore(), clock=ticking)
    started = await manager.start("reader")
    now[0] = START + manager.policy.idle_timeout - before_ms
    step[0] = 1
    for ask in (manager.look, lambda secret: manager.authenticate(secret, extends=False)):
        try:
            verdict = await ask(started.secret)
        except StoreError:
            continue  # a look that will not say yet
        assert verdict.is_alive or (verdict.session is not None and verdict.session.ended_at is not None)
