"""What a manager counts of itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stillhere.core.policy import BeatsExtend, Policy, hours, minutes, seconds
from stillhere.core.records import EndedBy, Lifecycle
from stillhere.core.wire import PLAIN, Beat, Kind
from stillhere.errors import StoreError
from stillhere.manager import SessionManager
from stillhere.metrics import COUNT_INTERVAL_MS, Histogram, Tally
from stillhere.stores.memory import MemoryStore
from tests.manager.doubles import DownStore, GatedStore, UntouchableStore, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import FakeClock

UNKNOWN = "handle." + "u" * 43
INPUT = Beat(view="v1", lifecycle=Lifecycle.ACTIVE, visible_ms=1, idle_ms=0)


def counts(tally: Tally) -> tuple[int, int, int, int]:
    """Give a tally as one value."""
    return tally.alive, tally.over, tally.unknown, tally.unavailable


def always(store: MemoryStore, clock: FakeClock) -> SessionManager:
    """Give a manager whose plain beats extend."""
    return SessionManager(store, policy=Policy(beats_extend=BeatsExtend.ALWAYS), clock=clock)


@pytest.mark.parametrize("make", [MemoryStore, GatedStore], ids=["at once", "in batches"])
async def test_beats_are_counted_by_kind_and_outcome(make: Callable[[], MemoryStore], clock: FakeClock) -> None:
    """Each beat counts once, as what it is and by how its session was found, however it reaches the store."""
    manager = SessionManager(make(), clock=clock)
    secret = (await manager.start("reader@firm.example")).secret
    await manager.beat(secret, [PLAIN, Beat(kind=None), Beat(kind=Kind.LEAVE)])
    await manager.beat(secret, [PLAIN], withheld=True)
    await manager.beat(secret, [Beat(kind=Kind.EXTEND)])
    await manager.extend(secret)
    await manager.beat(UNKNOWN, [PLAIN])
    await manager.end(secret)
    await manager.beat(secret, [PLAIN, Beat(kind=Kind.EXTEND)])
    assert {kind: counts(tally) for kind, tally in manager.metrics.beats.items()} == {
        Kind.BEAT: (2, 1, 1, 0),
        Kind.CHECK: (1, 0, 0, 0),
        Kind.EXTEND: (2, 1, 0, 0),
        Kind.LEAVE: (1, 0, 0, 0),
    }


async def test_what_names_no_session_is_not_counted(manager: SessionManager) -> None:
    """Without an id the store is not asked, and nothing is counted."""
    await manager.beat(None, [PLAIN])
    await manager.authenticate("short")
    await manager.extend(None)
    assert {counts(tally) for tally in (manager.metrics.touches, *manager.metrics.beats.values())} == {(0, 0, 0, 0)}


async def test_ordinary_requests_are_counted(manager: SessionManager) -> None:
    """A request counts as a touch; one that would have extended a session that is over is late."""
    secret = (await manager.start("reader@firm.example")).secret
    await manager.authenticate(secret)
    await manager.authenticate(UNKNOWN)
    await manager.end(secret)
    await manager.authenticate(secret)
    await manager.authenticate(secret, extends=False)
    assert counts(manager.metrics.touches) == (1, 2, 1, 0)
    assert manager.metrics.late_touches == 1


async def test_a_store_that_is_away_is_counted(clock: FakeClock) -> None:
    """Beats and requests that the store did not answer are unavailable, and nothing else."""
    store = DownStore()
    manager = SessionManager(store, clock=clock)
    secret = (await manager.start("reader@firm.example")).secret
    store.down = True
    with pytest.raises(StoreError):
        await manager.beat(secret, [PLAIN, Beat(kind=Kind.EXTEND)])
    with pytest.raises(StoreError):
        await manager.beat(secret, [PLAIN], withheld=True)
    with pytest.raises(StoreError):
        await manager.authenticate(secret)
    assert counts(manager.metrics.beats[Kind.BEAT]) == counts(manager.metrics.beats[Kind.CHECK]) == (0, 0, 0, 1)
    assert counts(manager.metrics.beats[Kind.EXTEND]) == counts(manager.metrics.touches) == (0, 0, 0, 1)


async def test_sessions_are_counted_as_they_come_and_go(clock: FakeClock) -> None:
    """Beginnings count, and every recorded end by its reason, whoever recorded it."""
    manager = SessionManager(MemoryStore(), clock=clock)
    first = (await manager.start("reader@firm.example")).secret
    second = (await manager.start("reader@firm.example", replaces=first)).secret
    await manager.end(second)
    await manager.end(second)
    third = await manager.start("reader@firm.example")
    await manager.end_by_handle(third.session.handle)
    lapsed = (await manager.start("reader@firm.example")).secret
    await manager.start("writer@firm.example")
    clock.advance(minutes(20))
    await manager.beat(lapsed, [PLAIN])
    await manager.sweep()
    ended = {reason: count for reason, count in manager.metrics.ended.items() if count}
    assert ended == {EndedBy.REPLACED: 1, EndedBy.SIGNED_OUT: 1, EndedBy.REVOKED: 1, EndedBy.IDLE: 2}
    assert manager.metrics.started == 5


async def test_a_withheld_beat_that_would_have_extended_is_counted(clock: FakeClock) -> None:
    """A marked message counts if it would have moved the deadline unmarked; one that would have moved nothing does not."""
    manager = always(MemoryStore(), clock)
    secret = (await manager.start("reader@firm.example")).secret
    await manager.beat(secret, [PLAIN], withheld=True)  # at the very instant of the last activity
    clock.advance(seconds(30))
    await manager.beat(secret, [PLAIN], withheld=True)
    await manager.beat(UNKNOWN, [PLAIN], withheld=True)
    assert manager.metrics.withheld_beats == 1


async def test_a_check_with_evidence_would_have_extended(manager: SessionManager, clock: FakeClock) -> None:
    """A check extends nothing whatever it says; with evidence of input it counts as one that would have, without it as none."""
    secret = (await manager.start("reader@firm.example")).secret
    clock.advance(seconds(30))
    await manager.beat(secret, [INPUT, Beat(kind=Kind.CHECK)])
    assert manager.metrics.withheld_beats == 0
    clock.advance(seconds(30))
    await manager.beat(secret, [Beat(kind=Kind.CHECK, idle_ms=0)])
    await manager.beat(secret, [PLAIN], withheld=True)
    assert manager.metrics.withheld_beats == 1


async def test_withheld_requests_that_would_have_extended_are_counted(manager: SessionManager, clock: FakeClock) -> None:
    """A marked request of a session that lives counts if time has passed; near the absolute end nothing would have moved."""
    secret = (await manager.start("reader@firm.example")).secret
    await manager.authenticate(secret, extends=False, withheld=True)
    clock.advance(seconds(1))
    await manager.authenticate(secret, extends=False, withheld=True)
    await manager.authenticate(secret, extends=False)
    assert manager.metrics.withheld_touches == 1
    for _ in range(95):
        clock.advance(minutes(15))
        await manager.authenticate(secret)
    clock.advance(minutes(5))
    assert clock() - (await manager.look(secret)).session.created_at < hours(24)  # type: ignore[union-attr]  # it lives still
    await manager.authenticate(secret, extends=False, withheld=True)
    assert manager.metrics.withheld_touches == 1


async def test_batches_are_measured(gated: GatedStore, clock: FakeClock) -> None:
    """Sizes and waits of batches add up to the claims that travelled."""
    manager = SessionManager(gated, clock=clock)
    secrets = [(await manager.start("reader@firm.example")).secret for _ in range(5)]
    gated.gate.clear()
    beats = [asyncio.ensure_future(manager.beat(secret, [PLAIN])) for secret in secrets]
    await gated.arrived.wait()
    beats += [asyncio.ensure_future(manager.beat(secret, [PLAIN])) for secret in secrets]
    await settle()
    gated.gate.set()
    await asyncio.gather(*beats)
    sizes, waits = manager.metrics.batch_sizes, manager.metrics.batch_waits
    assert sizes.total == sum(waits.counts) == manager.batching.claims == 10
    assert sum(sizes.counts) == manager.batching.batches
    assert manager.batching.waited_ms == waits.total * 1000 > 0


@pytest.mark.parametrize(("value", "bucket"), [(0, 0), (1, 0), (1.5, 1), (2, 1), (3, 2)])
def test_a_bound_belongs_to_its_bucket(value: float, bucket: int) -> None:
    """A value that is just the bound counts below it, as Prometheus means `le`."""
    histogram = Histogram((1, 2))
    histogram.observe(value)
    assert [index for index, count in enumerate(histogram.counts) if count] == [bucket]
    assert histogram.total == value


class CountingStore(DownStore):
    """A store that counts how often it is asked how many live."""

    asked = 0

    async def count(self, *, now: int) -> int:
        """Count, unless it is away."""
        self.asked += 1
        self._reach()
        return await super().count(now=now)


async def test_the_living_are_counted_now_and_then(clock: FakeClock) -> None:
    """However often one asks, the store is asked once in 15 s; if it is away nothing is made up."""
    store = CountingStore()
    manager = SessionManager(store, clock=clock)
    await manager.start("reader@firm.example")
    assert (manager.metrics.living, manager.metrics.is_store_up) == (None, None)
    for _ in range(3):
        await manager.metrics.refresh()
    assert (manager.metrics.living, manager.metrics.is_store_up, store.asked) == (1, True, 1)
    store.down = True
    clock.advance(COUNT_INTERVAL_MS)
    await manager.metrics.refresh()
    assert (manager.metrics.living, manager.metrics.is_store_up, store.asked) == (None, False, 2)


async def test_a_store_that_cannot_list_is_up_all_the_same(clock: FakeClock) -> None:
    """Without a list there is no number of the living, but it is known whether the store answers."""

    class Plain(UntouchableStore):
        async def ping(self) -> None:
            """Answer."""

    manager = SessionManager(Plain(), clock=clock)
    await manager.metrics.refresh()
    assert (manager.metrics.living, manager.metrics.is_store_up) == (None, True)


async def test_whoever_has_to_wait_is_asked_with_the_living(manager: SessionManager, clock: FakeClock) -> None:
    """Askers are asked as seldom as the store, one in trouble is no trouble for the others."""
    asked = list[str]()

    async def away() -> None:
        asked.append("away")
        raise StoreError("away")

    async def here() -> None:
        asked.append("here")

    manager.metrics.askers += [away, here]
    await manager.metrics.refresh()
    await manager.metrics.refresh()
    assert asked == ["away", "here"]
    clock.advance(COUNT_INTERVAL_MS)
    await manager.metrics.refresh()
    assert asked == ["away", "here"] * 2


@pytest.mark.parametrize("name", ["mirror_lag", "stillhere_", "stillhere_Lag", "stillhere_lag\n", "stillhere_taken"])
def test_a_gauge_has_a_name_of_its_own(name: str, manager: SessionManager) -> None:
    """A gauge that is not called stillhere_something, or as another, is refused."""
    manager.metrics.gauge_source("stillhere_taken", "Taken.", (), lambda: [((), 1)])
    with pytest.raises(ValueError, match="stillhere_something"):
        manager.metrics.gauge_source(name, "Help.", (), lambda: [((), 1)])
