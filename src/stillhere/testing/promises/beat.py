"""What `beat` promises."""

from __future__ import annotations

from msgspec.structs import replace

from stillhere.core.records import EndedBy, Lifecycle, Outcome
from stillhere.core.wire import LONGEST_MS
from stillhere.testing.clock import START
from stillhere.testing.expect import expect
from stillhere.testing.promise import Trial, promise
from stillhere.testing.scene import ABSOLUTE, IDLE, UNKNOWN, claim_of, session_of


@promise()
async def adopts_nothing(trial: Trial) -> None:
    """A beat for an unknown session is None, and afterwards there is still no such session."""
    claim = claim_of("a", active_ago_ms=0, on_screen=True, opens=True, view="v", visible_ms=1)
    expect(await trial.beat(claim, claim), [UNKNOWN] * 2)
    expect(await trial.store.get("handle-a"), None)


@promise()
async def of_nothing_is_nothing(trial: Trial) -> None:
    """An empty batch has no outcomes."""
    expect(await trial.beat(), [])


@promise()
async def is_kept(trial: Trial) -> None:
    """What a beat answers is what is found afterwards."""
    await trial.begin("a")
    (outcome,) = await trial.beat(claim_of("a", active_ago_ms=3), now=START + 10)
    expect(outcome, Outcome(session=replace(session_of("a"), last_active_at=START + 7, last_seen_at=START + 10)))
    expect(await trial.store.get("handle-a"), outcome.session)


@promise()
async def applies_claims_of_one_session_in_order(trial: Trial) -> None:
    """Each outcome is the session as it is after that claim and before the next."""
    await trial.begin("a")
    agos = [5_000, 2_000, 9_000, None, 0]
    outcomes = await trial.beat(*(claim_of("a", active_ago_ms=ago) for ago in agos), now=START + 10_000)
    active = [outcome.session.last_active_at - START for outcome in outcomes if outcome.session]
    expect(active, [5_000, 8_000, 8_000, 8_000, 10_000], "milliseconds from the beginning to the last activity, after each claim")


@promise()
async def answers_in_the_order_of_the_claims(trial: Trial) -> None:
    """Outcome n belongs to claim n, whoever else is in the batch, unknown ones and repeated ones too."""
    for name in "abc":
        await trial.begin(name)
    order = ["c", "a", "?", "c", "b", "a", "a", "?", "c"] * 30
    outcomes = await trial.beat(*(claim_of(name) for name in order))
    expect([outcome.session.handle[-1] if outcome.session else "?" for outcome in outcomes], order)


@promise()
async def judges_before_it_credits(trial: Trial) -> None:
    """At its deadline a session is over, whatever is claimed; a millisecond before it is not."""
    await trial.begin("late")
    await trial.begin("just")
    (just,) = await trial.beat(claim_of("just", active_ago_ms=0), now=START + IDLE - 1)
    (late,) = await trial.beat(claim_of("late", active_ago_ms=IDLE - 1), now=START + IDLE)
    active_at = START + IDLE - 1
    expect(just, Outcome(session=replace(session_of("just"), last_active_at=active_at, last_seen_at=active_at)))
    expect(late, Outcome(session=replace(session_of("late"), ended_at=START + IDLE, ended_by=EndedBy.IDLE), ended_now=True))


@promise()
async def tells_an_end_once(trial: Trial) -> None:
    """Of all that notice that a session lapsed, the first alone is told that it ended now."""
    await trial.begin("a")
    claim, later = claim_of("a"), START + IDLE + 5
    outcomes = await trial.beat(claim, claim, now=later) + await trial.beat(claim, now=later)
    outcomes.append(await trial.store.end("handle-a", EndedBy.REVOKED, now=later))
    expect([outcome.ended_now for outcome in outcomes], [True, False, False, False])


@promise()
async def ends_at_the_absolute_end(trial: Trial) -> None:
    """No activity moves the absolute end, and where both ends fall together it is the absolute one."""
    await trial.begin("a")
    moments = list(range(START + IDLE - 1, START + ABSOLUTE, IDLE - 1))
    for now in moments:
        await trial.beat(claim_of("a", active_ago_ms=0), now=now)
    ended = replace(session_of("a"), last_active_at=moments[-1], last_seen_at=moments[-1], ended_at=START + ABSOLUTE)
    (last,) = await trial.beat(claim_of("a", active_ago_ms=0), now=START + ABSOLUTE + 7)
    expect(last, Outcome(session=replace(ended, ended_by=EndedBy.ABSOLUTE), ended_now=True))
    both = replace(session_of("both"), absolute_end_at=START + IDLE)
    await trial.store.create(both)
    (outcome,) = await trial.beat(claim_of("both"), now=START + ABSOLUTE)
    expect(outcome.session, replace(both, ended_at=START + IDLE, ended_by=EndedBy.ABSOLUTE))


@promise()
async def takes_the_largest_numbers_of_the_wire(trial: Trial) -> None:
    """The longest spans and the highest count that a message may carry are taken in and clamped, never an error."""
    await trial.begin("a")
    widest = claim_of(
        "a",
        age_ms=LONGEST_MS,
        active_ago_ms=2 * LONGEST_MS,
        on_screen=True,
        opens=True,
        view="v" * 64,
        tab="t" * 64,
        page="/" * 1024,
        title="\N{SNOWMAN}" * 300,
        heat=".".join(["zzzzz"] * 20),
        bands=".".join(["azzzzzzz"] * 64),
        visible_ms=LONGEST_MS,
        active_ms=LONGEST_MS,
        scroll_pct=100.0,
        lifecycle=Lifecycle.TERMINATED,
        seq=2**53 - 1,
    )
    (outcome,) = await trial.beat(widest, now=START + 1)
    expect(outcome.session, replace(session_of("a"), last_seen_at=START + 1))


@promise()
async def takes_a_batch_far_larger_than_usual(trial: Trial) -> None:
    """A thousand claims, each of its own session and then all of one, are all answered."""
    for n in range(50):
        await trial.begin(str(n))
    names = [str(n % 50) for n in range(900)] + ["7"] * 100
    outcomes = await trial.beat(*(claim_of(name, opens=True, view="v") for name in names))
    expect([outcome.session.handle for outcome in outcomes if outcome.session], [f"handle-{name}" for name in names])
