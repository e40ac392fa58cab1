"""What the touch interval promises: to spare writes, and nothing else."""

from __future__ import annotations

from msgspec.structs import replace

from stillhere.core.policy import LONGEST_SPAN
from stillhere.core.records import EndedBy, Outcome
from stillhere.testing.clock import START
from stillhere.testing.expect import expect
from stillhere.testing.promise import Trial, promise
from stillhere.testing.scene import IDLE, claim_of, session_of


@promise()
async def spares_what_would_move_by_less(trial: Trial) -> None:
    """The operation itself decides: the answer and the record stay as they were until a clock would move by as much."""
    await trial.begin("a")
    for now, last in ((START + 999, START), (START + 1_000, START + 1_000), (START + 1_999, START + 1_000)):
        (outcome,) = await trial.beat(claim_of("a", active_ago_ms=0), touch_interval=1_000, now=now)
        expect(outcome, Outcome(session=replace(session_of("a"), last_active_at=last, last_seen_at=last)))
        expect(await trial.store.get("handle-a"), outcome.session)


@promise()
async def holds_within_a_batch_too(trial: Trial) -> None:
    """Of two claims in one batch the second finds what the first has written, and a choice to stay is always written."""
    await trial.begin("a")
    claims = [claim_of("a", active_ago_ms=500), claim_of("a", active_ago_ms=0), claim_of("a", active_ago_ms=0, chosen=True)]
    outcomes = await trial.beat(*claims, touch_interval=1_000, now=START + 5_000)
    active = [outcome.session.last_active_at - START for outcome in outcomes if outcome.session]
    expect(active, [4_500, 4_500, 5_000], "milliseconds from the beginning to the last activity, after each claim")


@promise()
async def never_saves_what_has_lapsed(trial: Trial) -> None:
    """What was not written does not count: the session ended at the deadline of its record."""
    await trial.begin("a")
    await trial.beat(claim_of("a", active_ago_ms=0), touch_interval=1_000, now=START + 999)
    (outcome,) = await trial.beat(claim_of("a", active_ago_ms=0), touch_interval=1_000, now=START + IDLE)
    expect(outcome, Outcome(session=replace(session_of("a"), ended_at=START + IDLE, ended_by=EndedBy.IDLE), ended_now=True))


@promise()
async def judges_without_moving_anything(trial: Trial) -> None:
    """With a touch interval that no clock can reach, a claim leaves the living as they are and records the end of who has lapsed."""
    await trial.begin("a")
    never = LONGEST_SPAN + 1
    (outcome,) = await trial.beat(claim_of("a"), touch_interval=never, now=START + IDLE - 1)
    expect(outcome, Outcome(session=session_of("a")))
    expect(await trial.store.get("handle-a"), session_of("a"))
    (outcome,) = await trial.beat(claim_of("a"), touch_interval=never, now=START + IDLE)
    lapsed = replace(session_of("a"), ended_at=START + IDLE, ended_by=EndedBy.IDLE)
    expect(outcome, Outcome(session=lapsed, ended_now=True))
    expect(await trial.store.get("handle-a"), lapsed)
