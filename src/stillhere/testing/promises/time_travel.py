"""What stores promise of time: they are told it, and it may step back, leap, or stand still."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from stillhere.core.records import EndedBy, Outcome
from stillhere.stores.protocol import Listable, Sweepable
from stillhere.testing.clock import START
from stillhere.testing.expect import PromiseBroken, expect
from stillhere.testing.promise import Trial, promise
from stillhere.testing.scene import ABSOLUTE, IDLE, claim_of, id_of, session_of
from stillhere.testing.timelines import PEOPLE, RulesStore, Step, begin, drive, handle_of, note_rotation, random_timeline

if TYPE_CHECKING:
    from stillhere.stores.protocol import Store

LENGTH = 40
"""Steps of a random timeline."""

TOUCH_INTERVALS = (0, 0, 1, 5_000, 20_000)
"""Milliseconds; those of random timelines."""


@promise()
async def a_deadline_is_exact_to_the_millisecond(trial: Trial) -> None:
    """A millisecond before its deadline every verb finds a session alive, and at the deadline every verb finds it over."""
    over = START + IDLE
    for n, now in enumerate((over - 1, over, over + 1)):
        lives = now < over
        rotating, ending, _ = [await trial.begin(f"{verb}{n}") for verb in ("rotate", "end", "beat")]
        rotated = await trial.store.rotate(rotating.handle, rotating.id_hash, id_of(f"new{n}"), now=now)
        expect(rotated is not None, lives, f"rotated {now - over} ms after the deadline")
        ended = await trial.store.end(ending.handle, EndedBy.REVOKED, now=now)
        at, by = (now, EndedBy.REVOKED) if lives else (over, EndedBy.IDLE)
        expect(ended, Outcome(session=replace(ending, ended_at=at, ended_by=by), ended_now=True))
        (beaten,) = await trial.beat(claim_of(f"beat{n}", active_ago_ms=0), now=now)
        expect(beaten.ended_now, not lives, f"ended by a beat {now - over} ms after the deadline")


@promise()
async def times_never_move_back(trial: Trial) -> None:
    """A clock that steps back moves neither what was seen nor what was active, and ends nobody."""
    await trial.begin("a")
    (before,) = await trial.beat(claim_of("a", active_ago_ms=0), now=START + 20_000)
    expect(before.session, replace(session_of("a"), last_active_at=START + 20_000, last_seen_at=START + 20_000))
    for now in (START + 10_000, START - 10_000_000, 0):
        expect(await trial.beat(claim_of("a", active_ago_ms=0), now=now), [before], f"at {now - START} ms from the beginning")
        expect(await trial.store.get("handle-a"), before.session)


@promise()
async def an_end_stays_when_the_clock_steps_back(trial: Trial) -> None:
    """A lapse that was recorded is not undone by an earlier time, however far back."""
    await trial.begin("a")
    (ended,) = await trial.beat(claim_of("a"), now=START + ABSOLUTE)
    for now in (START + IDLE - 1, START, 0):
        (outcome,) = await trial.beat(claim_of("a", active_ago_ms=0, chosen=True), now=now)
        expect(outcome, Outcome(session=ended.session))
    expect(await trial.store.get("handle-a"), replace(session_of("a"), ended_at=START + IDLE, ended_by=EndedBy.IDLE))


@promise()
async def a_lapse_is_not_an_end_before_it_is_recorded(trial: Trial) -> None:
    """Who looks at a lapsed session changes nothing: on a clock that steps back before anybody noticed, it lives."""
    await trial.begin("a")
    await trial.store.get("handle-a")
    expect(await trial.store.rotate("handle-a", id_of("a"), id_of("b"), now=START + IDLE), None)
    (outcome,) = await trial.beat(claim_of("a", active_ago_ms=0), now=START + IDLE - 1)
    expect(outcome.ended_now, promised=False, what="ended by a beat before the deadline")


@promise()
async def activity_is_never_in_the_future(trial: Trial) -> None:
    """Claims are credited up to now and no further, and old activity moves nothing."""
    await trial.begin("a")
    for ago, now, active_at in ((0, START + 5, START + 5), (900_000, START + 6, START + 5), (3, START + 9, START + 6)):
        (outcome,) = await trial.beat(claim_of("a", active_ago_ms=ago), now=now)
        expect(outcome.session, replace(session_of("a"), last_active_at=active_at, last_seen_at=now))


@promise()
async def random_timelines_agree_with_the_rules(trial: Trial) -> None:
    """Whatever happens in whatever order, clocks stepping back included, every answer and record is what the rules say."""
    sweeps = isinstance(trial.store, Sweepable)
    for _ in range(trial.rounds):
        touch_interval = trial.chance.choice(TOUCH_INTERVALS)
        timeline = random_timeline(trial.chance, LENGTH, sweeps=sweeps)
        broken = await _departure(trial, timeline, touch_interval)
        if broken is not None:
            raise await _shortest(trial, timeline, touch_interval, broken)


async def _departure(trial: Trial, timeline: list[Step], touch_interval: int) -> PromiseBroken | None:
    """Drive a fresh store through a timeline; tell where it departs from the rules."""
    async with trial.fresh() as store:
        rules, now, rotations = RulesStore(touch_interval), START, dict[int, int]()
        await begin(rules, [store])
        for n, step in enumerate(timeline):
            now += step.advance_ms
            answers = rules.step(step, now, rotations)
            try:
                expect(await drive(store, step, now, rotations, touch_interval), answers, f"the answers at step {n + 1}")
                await _compare(trial, store, rules, now)
            except PromiseBroken as broken:
                return broken
            note_rotation(step, answers, rotations)
    return None


async def _compare(trial: Trial, store: Store, rules: RulesStore, now: int) -> None:
    handles = [handle_of(person) for person in range(PEOPLE + 1)]
    expect([await store.get(handle) for handle in handles], [rules.sessions.get(handle) for handle in handles], "the records")
    if trial.is_shown:
        expect(await trial.world(store), rules.world(), "the views and visits")
    if isinstance(store, Listable):
        expect(await store.living(subject=None, limit=10, now=now), rules.living(now), "the list of the living")


async def _shortest(trial: Trial, timeline: list[Step], touch_interval: int, broken: PromiseBroken) -> PromiseBroken:
    """Leave out step by step what does not matter, and tell what is left."""
    for step in timeline[::-1]:
        shorter = [other for other in timeline if other is not step]
        still_broken = await _departure(trial, shorter, touch_interval)
        if still_broken is not None:
            timeline, broken = shorter, still_broken
    steps = "\n".join(f"  {n + 1}: {step!r}" for n, step in enumerate(timeline))
    return PromiseBroken(f"{broken.trouble}\n  after these steps, with a touch interval of {touch_interval} ms:\n{steps}")
