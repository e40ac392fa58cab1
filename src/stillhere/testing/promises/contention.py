"""What stores promise of many callers at once, through several stores on the same data."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stillhere.core.records import EndedBy, Outcome
from stillhere.errors import SessionExists
from stillhere.testing.clock import START
from stillhere.testing.expect import expect, expect_one_of
from stillhere.testing.promise import Need, Trial, promise, sweepable
from stillhere.testing.scene import GAP, IDLE, claim_of, id_of, session_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from stillhere.core.records import Claim, Session
    from stillhere.stores.protocol import Store

RACERS = 64
"""How many calls race."""


async def _beat(store: Store, claim: Claim, now: int) -> Outcome:
    (outcome,) = await store.beat([claim], visit_gap=GAP, touch_interval=0, now=now)
    return outcome


@promise()
async def many_callers_are_all_served(trial: Trial) -> None:
    """A hundred verbs of every kind at once are each answered as if they were alone."""
    stores = await trial.several()
    sessions = [session_of(str(n)) for n in range(25)]
    await asyncio.gather(*(stores[n % 4].create(session) for n, session in enumerate(sessions)))

    async def use(n: int, session: Session) -> None:
        store = stores[(n + 1) % 4]
        expect(await store.get(session.handle), session)
        seen = replace(session, last_active_at=START + 1, last_seen_at=START + 1)
        expect(await _beat(store, claim_of(str(n), active_ago_ms=0), START + 1), Outcome(session=seen))
        await store.ping()
        ended = replace(seen, ended_at=START + 2, ended_by=EndedBy.REVOKED)
        expect(await store.end(session.handle, EndedBy.REVOKED, now=START + 2), Outcome(session=ended, ended_now=True))

    await asyncio.gather(*(use(n, session) for n, session in enumerate(sessions)))


@promise()
async def one_creator_wins(trial: Trial) -> None:
    """Of many stores that create one handle at once one succeeds, the others are refused, and all of them find the winner's record."""
    stores = await trial.several()
    for n in range(trial.rounds):
        sessions = [session_of(f"{n}", {"by": m}) for m in range(16)]
        results = await asyncio.gather(*(stores[m % 4].create(one) for m, one in enumerate(sessions)), return_exceptions=True)
        expect(sorted(type(result).__name__ for result in results), ["NoneType"] + [SessionExists.__name__] * 15)
        winner = next(one for one, result in zip(sessions, results, strict=True) if result is None)
        expect([await store.get(winner.handle) for store in stores], [winner] * 4)


@promise()
async def one_rotation_wins(trial: Trial) -> None:
    """Of many that present one id at once one gets the session, and only its new id opens it."""
    stores = await trial.several()
    for n in range(trial.rounds):
        session = await trial.begin(f"{n}")
        ids = [id_of(f"{n} by {m}") for m in range(16)]
        results = await asyncio.gather(
            *(stores[m % 4].rotate(session.handle, session.id_hash, new, now=START) for m, new in enumerate(ids))
        )
        winners = [result for result in results if result is not None]
        expect(len(winners), 1, "how many got the session")
        expect([await store.get(session.handle) for store in stores], winners * 4)
        outcomes = [await _beat(stores[0], replace(claim_of(f"{n}"), id_hash=new), START) for new in ids]
        expect([outcome.session for outcome in outcomes], results, "what each new id opens")


@promise()
async def one_end_is_told(trial: Trial) -> None:
    """Of many that end a session at once, for different reasons or by noticing that it lapsed, one is told that it did."""
    stores = await trial.several()
    for n in range(trial.rounds):
        session = await trial.begin(f"{n}")
        ends = [stores[m % 4].end(session.handle, by, now=START + m) for m, by in enumerate(list(EndedBy) * 2)]
        outcomes = await asyncio.gather(*ends)
        winners = [outcome.session for outcome in outcomes if outcome.ended_now]
        expect(len(winners), 1, "how many were told that they ended it")
        expect([outcome.session for outcome in outcomes], winners * len(outcomes), "what all the others were told")
        lapsing = await trial.begin(f"lapsing{n}")
        claim = claim_of(f"lapsing{n}", active_ago_ms=0)
        told = await asyncio.gather(*(_beat(stores[m % 4], claim, START + IDLE + m) for m in range(16)))
        expect([outcome.ended_now for outcome in told].count(True), 1, "how many were told that it lapsed")
        ended = replace(lapsing, ended_at=START + IDLE, ended_by=EndedBy.IDLE)
        expect([outcome.session for outcome in told], [ended] * 16)


@promise()
async def an_end_among_beats_and_rotations_is_for_ever(trial: Trial) -> None:
    """A session that is ended while 64 beats and rotations race is never alive again, whoever was ahead."""
    stores = await trial.several()
    for n in range(trial.rounds):
        session = await trial.begin(f"{n}")
        racers = [_racer(stores[m % 4], f"{n}", m) for m in range(RACERS)]
        racers.insert(trial.chance.randint(0, RACERS), stores[n % 4].end(session.handle, EndedBy.SIGNED_OUT, now=START + RACERS))
        trial.chance.shuffle(racers)
        await asyncio.gather(*racers)
        ended = await stores[0].get(session.handle)
        at, by = (ended.ended_at, ended.ended_by) if ended else (None, None)
        expect((at, by), (START + RACERS, EndedBy.SIGNED_OUT), "when and why it ended")
        for store in stores:
            for id_hash in (session.id_hash, id_of(f"{n} rotated")):
                late = replace(claim_of(f"{n}", active_ago_ms=0, chosen=True), id_hash=id_hash)
                expect_one_of((await _beat(store, late, START + RACERS)).session, (None, ended), "what a late beat finds")
            expect(await store.get(session.handle), ended)


def _racer(store: Store, name: str, number: int) -> Awaitable[object]:
    rotated = id_of(f"{name} rotated")
    if number % 16 == 0:
        return store.rotate(f"handle-{name}", id_of(name), rotated, now=START + number)
    claim = claim_of(name, active_ago_ms=0, chosen=number % 2 == 0, opens=True, on_screen=True, view=f"v{number % 3}", visible_ms=number)
    return _beat(store, replace(claim, id_hash=rotated) if number % 4 == 0 else claim, START + number)


@promise()
async def clocks_are_exact(trial: Trial) -> None:
    """Of 64 beats at once, sent in any order, the latest activity and the latest sight are what remains."""
    stores = await trial.several()
    for n in range(trial.rounds):
        session = await trial.begin(f"{n}")
        moments = [(trial.chance.randint(0, 5_000), START + trial.chance.randint(0, 5_000)) for _ in range(RACERS)]
        await asyncio.gather(
            *(_beat(stores[m % 4], claim_of(f"{n}", active_ago_ms=ago), now) for m, (ago, now) in enumerate(moments)),
        )
        active_at = max([START, *(now - ago for ago, now in moments)])
        expect(await stores[1].get(session.handle), replace(session, last_active_at=active_at, last_seen_at=max(now for _, now in moments)))


@promise(Need.SHOWN)
async def totals_are_exact(trial: Trial) -> None:
    """Views one after the other, each beaten by 64 tasks in any order: all totals are exact, and the visit is as long as they together."""
    stores = await trial.several()
    await trial.begin("a")
    step_ms = 50
    for view in range(trial.rounds):
        claims = [
            claim_of(
                "a", age_ms=(RACERS - n) * step_ms, view=f"v{view}", opens=True, on_screen=True, visible_ms=n * step_ms, active_ms=n, seq=n
            )
            for n in range(RACERS + 1)
        ]
        trial.chance.shuffle(claims)
        now = START + (view + 1) * RACERS * step_ms
        await asyncio.gather(*(_beat(stores[n % 4], claim, now) for n, claim in enumerate(claims)))
    world, length = await trial.world(stores[1]), RACERS * step_ms
    expect(
        {(view.view, view.visible_ms, view.active_ms, view.seq) for view in world.views},
        {(f"v{n}", length, RACERS, RACERS) for n in range(trial.rounds)},
    )
    totals = [(visit.visible_ms, visit.active_ms, visit.last_seen_at - visit.started_at) for visit in world.visits]
    expect(totals, [(trial.rounds * length, trial.rounds * RACERS, trial.rounds * length)], "visible, active and open time of the visit")


@promise(Need.SWEEPABLE)
async def each_lapse_is_swept_once(trial: Trial) -> None:
    """Several that sweep at once report each lapse once between them, and nobody who lives is ended."""
    stores = await trial.several()
    for n in range(60):
        await trial.begin(f"{n}", now=START + n % 2)

    async def sweep_all(store: Store) -> list[str]:
        swept: list[str] = []
        while ended := await sweepable(store).sweep(limit=7, now=START + IDLE):
            swept += [session.handle for session in ended]
        return swept

    swept = await asyncio.gather(*map(sweep_all, stores))
    expect(sorted(handle for handles in swept for handle in handles), sorted(f"handle-{n}" for n in range(0, 60, 2)))
    living = [session_of(f"{n}", now=START + 1) for n in range(1, 60, 2)]
    expect([await trial.store.get(session.handle) for session in living], living)


async def _sweep(store: Store, told: list[str]) -> None:
    """Sweep once, and note whose end was recorded."""
    told.extend([swept.handle for swept in await sweepable(store).sweep(limit=100, now=START + IDLE)])


@promise(Need.SWEEPABLE)
async def a_sweep_never_ends_whom_a_beat_saved(trial: Trial) -> None:
    """Whoever is swept while beats arrive ended at the deadline of the very record that is kept; whoever was saved lives."""
    stores = await trial.several()
    for n in range(trial.rounds):
        session = await trial.begin(f"{n}")
        told: list[str] = []
        racers: list[Awaitable[object]] = [_sweep(store, told) for store in stores]
        racers += [_beat(stores[m % 4], claim_of(f"{n}", active_ago_ms=0), START + IDLE - 1) for m in range(8)]
        trial.chance.shuffle(racers)
        await asyncio.gather(*racers)
        saved = replace(session, last_active_at=START + IDLE - 1, last_seen_at=START + IDLE - 1)
        lapsed = replace(session, ended_at=START + IDLE, ended_by=EndedBy.IDLE)
        kept = await stores[0].get(session.handle)
        expect_one_of(kept, (saved, lapsed), "the record afterwards")
        expect(told, [session.handle] if kept == lapsed else [], "whom the sweeps told of")
        await stores[0].end(session.handle, EndedBy.REVOKED, now=START + IDLE)
