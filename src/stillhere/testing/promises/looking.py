"""What `get` promises, and every verb that is asked for what is not there."""

from __future__ import annotations

from stillhere.core.records import EndedBy
from stillhere.testing.clock import START
from stillhere.testing.expect import expect
from stillhere.testing.promise import Trial, promise
from stillhere.testing.scene import IDLE, UNKNOWN, claim_of, id_of, session_of
from stillhere.testing.texts import TEXTS


@promise()
async def changes_nothing(trial: Trial) -> None:
    """Looking at a session leaves it as it was, however often."""
    session = await trial.begin("a")
    for _ in range(3):
        expect(await trial.store.get(session.handle), session)
    (outcome,) = await trial.beat(claim_of("a"), now=START + IDLE)
    expect(outcome.ended_now, promised=True, what="it is the beat that notices the lapse")


@promise()
async def for_what_is_not_there_finds_none(trial: Trial) -> None:
    """Absence is a value: no verb raises for an id or a handle that names nothing."""
    store = trial.store
    await trial.begin("a")
    expect(await store.get("handle-b"), None)
    expect(await store.get(id_of("a")), None, "looking for the hash of an id")
    expect(await store.rotate("handle-b", id_of("b"), id_of("c"), now=START), None)
    expect(await store.end("handle-b", EndedBy.REVOKED, now=START), UNKNOWN)
    expect(await trial.beat(claim_of("b")), [UNKNOWN])


@promise()
async def takes_any_text_for_a_handle(trial: Trial) -> None:
    """A handle may come from a URL: whatever text it is, it names nothing, and nothing else is touched."""
    session = await trial.begin("a")
    for text in ("", *TEXTS):
        expect(await trial.store.get(text), None, f"looking for {text!r}")
        expect(await trial.store.end(text, EndedBy.REVOKED, now=START), UNKNOWN, f"ending {text!r}")
    expect(await trial.store.get(session.handle), session)


@promise()
async def ping_reaches_a_working_store(trial: Trial) -> None:
    """A store that works is pinged without a word, and nothing is changed by it."""
    await trial.begin("a")
    await trial.store.ping()
    expect(await trial.store.get("handle-a"), session_of("a"))
