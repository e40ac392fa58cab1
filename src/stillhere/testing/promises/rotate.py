"""What `rotate` promises."""

from __future__ import annotations

from msgspec.structs import replace

from stillhere.core.records import EndedBy, Outcome
from stillhere.testing.clock import START
from stillhere.testing.expect import expect
from stillhere.testing.promise import Trial, promise
from stillhere.testing.scene import IDLE, UNKNOWN, claim_of, id_of, session_of


@promise()
async def swaps_the_id_and_nothing_else(trial: Trial) -> None:
    """The new id opens the same session, the old one opens nothing, not even for a beat."""
    session = await trial.begin("a", {"role": "admin"})
    rotated = await trial.store.rotate("handle-a", id_of("a"), id_of("b"), now=START + 1)
    expect(rotated, replace(session, id_hash=id_of("b")))
    expect(await trial.store.get("handle-a"), rotated)
    expect(await trial.beat(claim_of("a", active_ago_ms=0)), [UNKNOWN], "a beat with the old id")
    expect(await trial.beat(replace(claim_of("a"), id_hash=id_of("b"))), [Outcome(session=rotated)], "a beat with the new id")


@promise()
async def needs_the_id_that_the_session_has(trial: Trial) -> None:
    """Of two that present the same id the first gets the session and the second gets None."""
    await trial.begin("a")
    first = await trial.store.rotate("handle-a", id_of("a"), id_of("b"), now=START)
    expect(await trial.store.rotate("handle-a", id_of("a"), id_of("c"), now=START), None)
    expect(await trial.store.get("handle-a"), first)
    expect(first, replace(session_of("a"), id_hash=id_of("b")))


@promise()
async def does_nothing_to_what_is_over(trial: Trial) -> None:
    """A session that has ended or lapsed gets no new id, and its record does not change."""
    store = trial.store
    await trial.begin("lapsed")
    await trial.begin("ended")
    ended = await store.end("handle-ended", EndedBy.REVOKED, now=START)
    expect(await store.rotate("handle-lapsed", id_of("lapsed"), id_of("x"), now=START + IDLE), None)
    expect(await store.rotate("handle-ended", id_of("ended"), id_of("y"), now=START), None)
    expect(await store.get("handle-lapsed"), session_of("lapsed"))
    expect(await store.get("handle-ended"), ended.session)


@promise()
async def leaves_the_sessions_of_others_alone(trial: Trial) -> None:
    """The id of one session swaps nothing in another, whatever handle it is presented with."""
    for name in "ab":
        await trial.begin(name)
    expect(await trial.store.rotate("handle-b", id_of("a"), id_of("c"), now=START), None)
    for name in "ab":
        expect(await trial.store.get(f"handle-{name}"), session_of(name))
