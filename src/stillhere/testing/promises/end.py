"""What `end` promises."""

from __future__ import annotations

from msgspec.structs import replace

from stillhere.core.records import EndedBy, Outcome
from stillhere.testing.clock import START
from stillhere.testing.expect import expect
from stillhere.testing.promise import Trial, promise
from stillhere.testing.scene import ABSOLUTE, IDLE, claim_of, id_of, session_of


@promise()
async def is_idempotent_and_the_first_reason_stays(trial: Trial) -> None:
    """However often and for whatever reason it is ended again, when and why it first ended stays."""
    await trial.begin("a")
    first = await trial.store.end("handle-a", EndedBy.SIGNED_OUT, now=START + 5)
    expect(first, Outcome(session=replace(session_of("a"), ended_at=START + 5, ended_by=EndedBy.SIGNED_OUT), ended_now=True))
    for by in EndedBy:
        expect(await trial.store.end("handle-a", by, now=START + 9), Outcome(session=first.session), f"ended again: {by}")


@promise()
async def keeps_every_reason(trial: Trial) -> None:
    """Each reason is found again as it was told."""
    for by in EndedBy:
        session = await trial.begin(by)
        await trial.store.end(session.handle, by, now=START)
        expect(await trial.store.get(session.handle), replace(session, ended_at=START, ended_by=by))


@promise()
async def of_what_has_lapsed_is_at_its_deadline(trial: Trial) -> None:
    """Who signs out too late was signed out already: idle, at the deadline."""
    await trial.begin("a")
    outcome = await trial.store.end("handle-a", EndedBy.SIGNED_OUT, now=START + IDLE)
    expect(outcome, Outcome(session=replace(session_of("a"), ended_at=START + IDLE, ended_by=EndedBy.IDLE), ended_now=True))


@promise()
async def is_never_before_the_beginning(trial: Trial) -> None:
    """A clock that stepped back ends a session where it began."""
    await trial.begin("a")
    outcome = await trial.store.end("handle-a", EndedBy.REVOKED, now=START - 50)
    expect(outcome.session, replace(session_of("a"), ended_at=START, ended_by=EndedBy.REVOKED))


@promise()
async def is_for_ever(trial: Trial) -> None:
    """No beat, however active or old or young, and no rotation changes anything in a session that has ended."""
    await trial.begin("a")
    ended = await trial.store.end("handle-a", EndedBy.SIGNED_OUT, now=START + 5)
    for now in (START, START + 5, START + 6, START + IDLE, START + ABSOLUTE + 1):
        claims = [claim_of("a", active_ago_ms=ago, opens=True, view=f"v{ago}", on_screen=True) for ago in (0, 1, None)]
        expect(await trial.beat(*claims, now=now), [Outcome(session=ended.session)] * 3)
    expect(await trial.store.rotate("handle-a", id_of("a"), id_of("b"), now=START), None)
    expect(await trial.store.get("handle-a"), ended.session)
