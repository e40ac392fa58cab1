"""What is drained from an outbox: the latest state of each visit, once, in order, by one process at a time, on every store."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from stillhere.errors import SettingsError
from stillhere.manager import SessionManager
from stillhere.mirrors.drain import LEASE_MS
from stillhere.mirrors.outbox import outbox_of
from stillhere.mirrors.records import LeaseLost
from tests.mirrors.doubles import MemoryMirror, away
from tests.mirrors.stand import HOUR, MINUTE
from tests.stores.every import fresh_url

if TYPE_CHECKING:
    from pathlib import Path

    from tests.mirrors.stand import Stand


async def test_a_visit_is_told_when_it_changes_and_when_time_changes_it(stand: Stand) -> None:
    """It is told at its start, as it grows, when nobody is there any more, and once that is final; nothing is told twice."""
    mirror = MemoryMirror()
    drain = stand.drain(mirror)
    visitor = await stand.arrive()
    await stand.caught_up(drain)
    await visitor.stay(5_000)
    await visitor.stay(10_000)
    await stand.caught_up(drain)
    await stand.caught_up(drain)
    id_ = f"{visitor.handle}.1"
    assert mirror.told_of == [(id_, "0 here"), (id_, "15000 here")]
    await stand.pass_time(drain, HOUR, step_ms=MINUTE)
    assert mirror.told_of[2:] == [(id_, "15000 lost"), (id_, "15000 lost over")]


async def test_a_visitor_who_comes_back_goes_on_or_begins_anew(stand: Stand) -> None:
    """After a short absence the same visit goes on; after a long one the first is over and a second is told, of a returning visitor."""
    mirror = MemoryMirror(events=True)
    drain = stand.drain(mirror)
    visitor = await stand.arrive()
    await visitor.leave(5_000)
    await stand.caught_up(drain)
    await visitor.stay(MINUTE)
    await stand.caught_up(drain)
    stand.clock.advance(15 * MINUTE)
    await stand.arrive(visitor.name)
    await stand.caught_up(drain)
    visits = [(id_.removeprefix(visitor.handle), words) for id_, words in mirror.told_of if "." in id_]
    assert [words for _, words in visits] == ["5000 leave", "65000 here", "65000 lost", "0 here"]
    assert [was for (id_, _), was in zip(mirror.told_of, mirror.returns, strict=True) if "." in id_] == [False, False, False, True]


async def test_sessions_are_told_of_to_those_who_ask(stand: Stand) -> None:
    """A mirror of events hears of each session when it begins and when its end is recorded."""
    mirror = MemoryMirror(events=True)
    drain = stand.drain(mirror)
    started = await stand.manager.start("somebody@fund.example")
    await stand.manager.authenticate(started.secret)
    await stand.arrive()
    await stand.caught_up(drain)
    handle = started.session.handle
    await stand.manager.end(started.secret)
    await stand.caught_up(drain)
    told = [words for id_, words in mirror.told_of if id_ == handle]
    assert told[-1] == "over"
    assert set(told) <= {"here", "over"}


async def test_one_s_own_team_is_not_told_of(stand: Stand) -> None:
    """Visits and sessions of internal visitors stay here, and wait for nobody."""
    assert stand.manager.archive is not None
    stand.manager.archive.internal = ("@firm.example",)
    mirror = MemoryMirror(events=True)
    drain = stand.drain(mirror)
    await stand.arrive("colleague@firm.example")
    other = await stand.arrive("investor@fund.example")
    await stand.caught_up(drain)
    await stand.manager.end_all("colleague@firm.example")
    await stand.caught_up(drain)
    assert {id_ for id_, _ in mirror.told_of} == {other.handle, f"{other.handle}.1"}
    assert (await drain.state()).pending == 0


async def test_a_mirror_begins_with_those_who_are_here(stand: Stand) -> None:
    """What was over before a mirror ran for the first time is not told."""
    gone = await stand.arrive("gone@fund.example")
    await gone.leave(1_000)
    await stand.manager.end_all("gone@fund.example")
    stand.clock.advance(8 * 24 * HOUR)
    here = await stand.arrive("here@fund.example")
    mirror = MemoryMirror()
    await stand.caught_up(stand.drain(mirror))
    assert [id_ for id_, _ in mirror.told_of] == [f"{here.handle}.1"]


async def test_words_from_an_offline_page_are_told_after_the_end(stand: Stand) -> None:
    """What a page kept back while it was offline arrives after the session's end, and the final numbers are told."""
    mirror = MemoryMirror()
    drain = stand.drain(mirror)
    visitor = await stand.arrive()
    await visitor.stay(10_000)
    await stand.caught_up(drain)
    stand.clock.advance(5 * MINUTE)
    await stand.manager.end_all(visitor.name)
    await stand.pass_time(drain, HOUR, step_ms=MINUTE)
    await visitor.say(2 * MINUTE, age_ms=stand.clock() - mirror_start(stand))
    await stand.pass_time(drain, HOUR, step_ms=MINUTE)
    (visit,) = await stand.visits()
    assert visit.visible_ms > 10_000
    assert mirror.told_of[-1][1].startswith(f"{visit.visible_ms} ")


def mirror_start(stand: Stand) -> int:
    """Tell the instant up to which the offline page of the test above was open."""
    return stand.clock() - HOUR - MINUTE


async def test_while_the_other_side_is_away_nothing_is_given_up(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """Waits grow up to five minutes, everything stays, and the state says since when the oldest waits."""
    caplog.set_level(logging.CRITICAL)
    mirror = MemoryMirror()
    drain = stand.drain(mirror, interval_ms=10 * MINUTE)
    visitor = await stand.arrive()
    tries: list[int] = []
    mirror.before = lambda: tries.append(stand.clock())
    mirror.fates.extend([away("no power")] * 100)
    assert stand.manager.archive is not None
    await stand.manager.archive.catch_up()
    began_at = stand.clock()
    while stand.clock() < began_at + HOUR:
        await drain.run()
        mark = await stand.outbox.mark(mirror.name)
        assert mark is not None
        stand.clock.advance(mark.pause_until_at - stand.clock())
    state = await drain.state()
    assert (state.state, state.pending, state.dead, state.sent, state.last_error) == ("away", 1, 0, 0, "no power")
    assert state.lag_ms >= HOUR
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert waits[:4] == [1_000, 2_000, 4_000, 8_000]
    assert waits == sorted(waits)
    assert waits[-1] == 300_000
    mirror.fates.clear()
    await drain.run()
    state = await drain.state()
    assert (state.state, state.pending, state.sent, state.last_error) == ("well", 0, 1, None)
    assert [id_ for id_, _ in mirror.told_of] == [f"{visitor.handle}.1"]


async def test_a_mirror_that_nobody_drains_says_so(stand: Stand) -> None:
    """Before its first turn, and when its process stopped or died, it is asleep, and its lag grows with what nobody looked for."""
    drain = stand.drain(MemoryMirror())
    state = await drain.state()
    assert (state.state, state.lag_ms) == ("asleep", 0)
    await stand.arrive()
    await stand.caught_up(drain)
    state = await drain.state()
    assert (state.state, state.lag_ms) == ("well", 0)
    stand.clock.advance(24 * HOUR)
    await stand.arrive()
    state = await drain.state()
    assert (state.state, state.pending, state.lag_ms) == ("asleep", 0, 24 * HOUR)
    await stand.caught_up(drain)
    assert (await drain.state()).state == "well"
    await drain.close()
    assert (await drain.state()).state == "asleep"


async def test_one_that_is_called_rarely_is_not_asleep_in_between(stand: Stand) -> None:
    """Where mirrors are told every ten minutes, the lease passes in between, and that is as it should be."""
    drain = stand.drain(MemoryMirror(), interval_ms=10 * MINUTE)
    await stand.caught_up(drain)
    stand.clock.advance(10 * MINUTE)
    assert (await drain.state()).state == "well"


async def test_how_long_to_stay_away_can_be_said(stand: Stand) -> None:
    """A pause that the other side asks for is kept, however few failures there were."""
    mirror = MemoryMirror()
    drain = stand.drain(mirror)
    await stand.arrive()
    mirror.fates.append(away(pause_ms=30_000))
    await stand.caught_up(drain)
    stand.clock.advance(29_999)
    await stand.caught_up(drain)
    assert mirror.told_of == []
    stand.clock.advance(1)
    await stand.caught_up(drain)
    assert len(mirror.told_of) == 1


async def test_one_process_drains_at_a_time(stand: Stand) -> None:
    """A second one does nothing while the first has the lease, and takes over when that is over or given back."""
    mirror, other = MemoryMirror(), MemoryMirror()
    first, second = stand.drain(mirror, holder="first"), stand.drain(other, holder="second")
    await stand.arrive()
    await stand.caught_up(first)
    await stand.arrive()
    await stand.caught_up(second)
    assert other.told_of == []
    stand.clock.advance(LEASE_MS)
    await second.run()
    assert len(other.told_of) == 1
    await first.run()
    assert len(mirror.told_of) == 1
    await second.close()
    await first.close()
    assert (mirror.closed, other.closed) == (1, 1)
    await stand.arrive()
    await stand.caught_up(first)
    assert len(mirror.told_of) == 2


@pytest.mark.parametrize("is_killed", [True, False])
async def test_a_clock_that_is_put_back_leaves_no_mirror_asleep(stand: Stand, *, is_killed: bool) -> None:
    """What a process wrote down ten days ahead, its lease, pauses and looks, holds nothing up once the clock is right again."""
    began_at = stand.clock()
    mirror = MemoryMirror()
    stand.clock.now = began_at + 10 * 24 * HOUR
    before = stand.drain(mirror, holder="before")
    await stand.caught_up(before)
    here = await stand.arrive("here@fund.example")
    mirror.fates.append(away(pause_ms=HOUR))
    await stand.caught_up(before)
    if not is_killed:
        await before.close()
    stand.clock.now = began_at
    after = stand.drain(mirror, holder="after")
    new = await stand.arrive("new@fund.example")
    await stand.caught_up(after)
    assert {id_ for id_, _ in mirror.told_of} == {f"{here.handle}.1", f"{new.handle}.1"}
    assert (await after.state()).state == "well"


async def test_a_lease_of_a_clock_that_is_a_little_ahead_is_kept(stand: Stand) -> None:
    """Clocks of two machines may differ by seconds: a lease that is honest, and not over, stays with whoever has it."""
    now = stand.clock()
    assert await stand.outbox.take("memory", "ahead", now=now + 30_000, until=now + 30_000 + LEASE_MS) == 1
    assert await stand.outbox.take("memory", "other", now=now, until=now + LEASE_MS) is None


async def test_one_that_lost_its_lease_writes_nothing(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever was silent too long while it delivered leaves the outbox to the one that came after."""
    mirror, other = MemoryMirror(), MemoryMirror()
    slow, next_one = stand.drain(mirror, holder="slow"), stand.drain(other, holder="next")
    await stand.arrive()

    def take_over() -> None:
        stand.clock.advance(LEASE_MS)
        mirror.before = int

    mirror.before = take_over
    delivering = mirror.deliver

    async def deliver(batch: object) -> object:
        results = await delivering(batch)  # type: ignore[arg-type]  # passed on
        await next_one.run()
        return results

    mirror.deliver = deliver  # type: ignore[method-assign, assignment]  # another comes in between
    assert stand.manager.archive is not None
    await stand.manager.archive.catch_up()
    await slow.run()
    assert "another process drains memory now" in caplog.text
    assert len(other.told_of) == 1
    fence = await stand.outbox.take(mirror.name, "next", now=stand.clock(), until=stand.clock() + LEASE_MS)
    assert fence == 2
    for verb in (stand.outbox.record(mirror.name, 1, []), stand.outbox.remove(mirror.name, 1, [])):
        with pytest.raises(LeaseLost):
            await verb


async def test_what_was_forgotten_leaves_the_outbox(stand: Stand) -> None:
    """After a session is forgotten nothing of it is told any more, and its rows are gone."""
    mirror = MemoryMirror()
    drain = stand.drain(mirror)
    visitor = await stand.arrive()
    await visitor.stay(1_000)
    await stand.caught_up(drain)
    await stand.manager.end_all(visitor.name)
    await visitor.stay(0)
    archive = stand.manager.archive
    assert archive is not None
    await archive.catch_up()
    stand.clock.advance(HOUR)
    for keeper in (stand.manager.store, *([archive.archiver.sink] if archive.archiver else [])):
        await keeper.forget(ended_before=stand.clock(), limit=10)  # type: ignore[attr-defined]  # every one here can
    told = len(mirror.told_of)
    await drain.run()
    assert len(mirror.told_of) == told
    assert (await drain.state()).pending == 0
    assert await stand.outbox.due(mirror.name, limit=10, now=stand.clock() + 10 * HOUR) == []


async def test_nothing_is_kept_of_those_who_were_erased(stand: Stand) -> None:
    """Rows of sessions that are gone are deleted within minutes, those included of which nothing was to be told any more."""
    mirror = MemoryMirror()
    drain = stand.drain(mirror)
    visitor = await stand.arrive()
    await stand.manager.end_all(visitor.name)
    await stand.caught_up(drain)
    assert await stand.outbox.has(mirror.name, f"record of {visitor.handle}.1")
    archive = stand.manager.archive
    assert archive is not None
    stand.clock.advance(HOUR)
    for keeper in (stand.manager.store, *([archive.archiver.sink] if archive.archiver else [])):
        await keeper.forget(ended_before=stand.clock(), limit=10)  # type: ignore[attr-defined]  # every one here can
    await drain.run()
    assert not await stand.outbox.has(mirror.name, f"record of {visitor.handle}.1")


async def test_two_mirrors_are_told_each_for_itself(stand: Stand) -> None:
    """One that is away does not hold up the other, and each has marks of its own."""
    one, two = MemoryMirror("one", batch=2, creates=True), MemoryMirror("two")
    one.fates.append(away())
    drains = [stand.drain(one), stand.drain(two)]
    for number in range(5):
        await stand.arrive(f"visitor{number}@fund.example")
    for drain in drains:
        await stand.caught_up(drain)
    assert (len(one.told_of), len(two.told_of)) == (1, 5)
    await stand.until_quiet(drains[0])
    assert len({id_ for id_, _ in one.told_of}) == 5
    assert await stand.outbox.has("one", f"record of {one.told_of[0][0]}")
    assert not await stand.outbox.has("two", "record of nobody")


@pytest.mark.parametrize("name", ["redis"])
async def test_redis_alone_has_no_outbox(name: str, tmp_path: Path) -> None:
    """Visits in Redis alone cannot be mirrored, and the sentence says what to give."""
    manager = SessionManager(fresh_url(name, tmp_path))
    with pytest.raises(SettingsError, match="give --archive"):
        outbox_of(manager)
    await manager.close()
