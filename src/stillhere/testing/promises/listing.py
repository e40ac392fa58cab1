"""What `living` and `count` promise."""

from __future__ import annotations

from contextlib import suppress

from msgspec.structs import replace

from stillhere.core.records import EndedBy
from stillhere.errors import SessionExists
from stillhere.testing.clock import START
from stillhere.testing.expect import expect
from stillhere.testing.promise import Need, Trial, listable, promise
from stillhere.testing.scene import IDLE, claim_of, id_of, session_of


@promise(Need.LISTABLE)
async def counts_the_living(trial: Trial) -> None:
    """The count is of the living, whether or not anybody has noticed the ends of the others."""
    store = listable(trial.store)
    for name in "abc":
        await trial.begin(name)
    await store.end("handle-a", EndedBy.REVOKED, now=START)
    expect([await store.count(now=now) for now in (START, START + IDLE - 1, START + IDLE)], [2, 2, 0])


@promise(Need.LISTABLE)
async def shows_the_living_by_when_they_were_seen(trial: Trial) -> None:
    """The list holds who lives, of one subject or all, the most recently seen first, and no more than asked for."""
    store = listable(trial.store)
    for n, subject in enumerate(["first", "second", "first", "first"]):
        await trial.begin(str(n), subject=subject, now=START + n)
    await trial.begin("tie", subject="second", now=START + 3)
    await store.end("handle-2", EndedBy.REVOKED, now=START + 4)
    await trial.beat(claim_of("0"), now=START + 9)

    async def handles(subject: str | None = None, limit: int = 10, now: int = START + 9) -> list[str]:
        return [session.handle for session in await store.living(subject=subject, limit=limit, now=now)]

    expect(await handles(), ["handle-0", "handle-3", "handle-tie", "handle-1"])
    expect(await handles("first"), ["handle-0", "handle-3"], "of one subject")
    expect(await handles("nobody"), [], "of a subject that has none")
    expect(await handles(limit=2), ["handle-0", "handle-3"], "at most two")
    expect(await handles(now=START + IDLE + 2), ["handle-3", "handle-tie"], "when the others have lapsed")


@promise(Need.LISTABLE)
async def shows_records_as_they_are(trial: Trial) -> None:
    """The list holds the very records that `get` finds, also after a beat and a rotation."""
    store = listable(trial.store)
    await trial.begin("a", {"n": 1})
    await trial.beat(claim_of("a", active_ago_ms=2), now=START + 5)
    rotated = await store.rotate("handle-a", id_of("a"), id_of("b"), now=START + 6)
    expect(await store.living(subject=None, limit=10, now=START + 7), [rotated])
    expect(await store.get("handle-a"), rotated)


@promise(Need.LISTABLE)
async def changes_nothing(trial: Trial) -> None:
    """Listing and counting leave a session as it was, also one that has lapsed: noticing is not ending."""
    store = listable(trial.store)
    session = await trial.begin("a")
    for _ in range(2):
        expect(await store.living(subject=None, limit=10, now=START + IDLE), [])
        expect(await store.count(now=START + IDLE), 0)
        expect(await store.get(session.handle), session)
    expect(await store.living(subject=None, limit=10, now=START), [session])


@promise(Need.LISTABLE)
async def shows_nobody_who_is_not_there(trial: Trial) -> None:
    """A session that was refused, never created, or has ended is in no list, of whatever subject."""
    store = listable(trial.store)
    first = await trial.begin("a")
    with suppress(SessionExists):
        await store.create(replace(session_of("b", subject="third"), handle=first.handle))
    await trial.beat(claim_of("c", active_ago_ms=0, opens=True, on_screen=True, view="v"))
    await trial.begin("d", subject="fourth")
    await store.end("handle-d", EndedBy.SIGNED_OUT, now=START)
    expect(await store.living(subject=None, limit=10, now=START), [first])
    for subject in ("third", "fourth"):
        expect(await store.living(subject=subject, limit=10, now=START), [], f"of {subject}")
