"""What `sweep` promises."""

from __future__ import annotations

from msgspec.structs import replace

from stillhere.core.records import EndedBy
from stillhere.testing.clock import START
from stillhere.testing.expect import expect
from stillhere.testing.promise import Need, Trial, promise, sweepable
from stillhere.testing.scene import ABSOLUTE, IDLE, claim_of, session_of


@promise(Need.SWEEPABLE)
async def records_ends_and_leaves_the_living(trial: Trial) -> None:
    """Whoever has lapsed ended at the deadline, each is told once, and nobody who lives is touched."""
    store = sweepable(trial.store)
    sessions = [await trial.begin(str(n), now=START + n) for n in range(6)]
    ended = [replace(session, ended_at=session.created_at + IDLE, ended_by=EndedBy.IDLE) for session in sessions[:3]]
    now = START + IDLE + 2
    swept = await store.sweep(limit=100, now=now)
    expect(sorted(swept, key=lambda session: session.handle), ended)
    expect(await store.sweep(limit=100, now=now), [], "sweeping once more")
    expect([await store.get(session.handle) for session in sessions], ended + sessions[3:])


@promise(Need.SWEEPABLE)
async def is_bounded(trial: Trial) -> None:
    """No more are ended at once than was asked for, and going on ends all of them."""
    for n in range(7):
        await trial.begin(str(n))
    swept = [await sweepable(trial.store).sweep(limit=3, now=START + IDLE) for _ in range(4)]
    expect([len(sessions) for sessions in swept], [3, 3, 1, 0])
    expect(len({session.handle for sessions in swept for session in sessions}), 7, "how many different ones")


@promise(Need.SWEEPABLE)
async def tells_nothing_that_was_told(trial: Trial) -> None:
    """An end that a beat or a sign-out has recorded is none for the sweep, and one that the sweep has recorded is none for them."""
    for name in "abc":
        await trial.begin(name)
    await trial.beat(claim_of("a"), now=START + IDLE)
    await trial.store.end("handle-b", EndedBy.SIGNED_OUT, now=START + 1)
    swept = await sweepable(trial.store).sweep(limit=10, now=START + IDLE)
    expect([session.handle for session in swept], ["handle-c"])
    (outcome,) = await trial.beat(claim_of("c"), now=START + IDLE)
    expect(outcome.ended_now, promised=False, what="ended now, after the sweep")


@promise(Need.SWEEPABLE)
async def tells_the_reason(trial: Trial) -> None:
    """Who lapsed at the absolute end, or at both ends at once, ended by it."""
    late = replace(session_of("late"), last_active_at=START + ABSOLUTE - 5)
    both = replace(session_of("both"), absolute_end_at=START + IDLE)
    for session in (late, both):
        await trial.store.create(session)
    swept = await sweepable(trial.store).sweep(limit=10, now=START + ABSOLUTE)
    expect({(session.handle, session.ended_by) for session in swept}, {(s.handle, EndedBy.ABSOLUTE) for s in (late, both)})


@promise(Need.SWEEPABLE)
async def spares_who_was_active_since(trial: Trial) -> None:
    """A session that would have lapsed but for a beat lives on, and ends at its new deadline."""
    store = sweepable(trial.store)
    await trial.begin("a")
    await trial.beat(claim_of("a", active_ago_ms=0), now=START + IDLE - 1)
    expect(await store.sweep(limit=10, now=START + 2 * IDLE - 2), [])
    (swept,) = await store.sweep(limit=10, now=START + 2 * IDLE - 1)
    expect(swept.ended_at, START + 2 * IDLE - 1)
