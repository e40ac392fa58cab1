"""What `create` promises."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from stillhere.core.records import EndedBy
from stillhere.errors import SessionExists
from stillhere.testing.clock import START
from stillhere.testing.expect import expect, expect_error
from stillhere.testing.promise import Trial, promise
from stillhere.testing.scene import session_of


@promise()
async def keeps_the_record_as_it_was_given(trial: Trial) -> None:
    """What was created is found by its handle, every field equal."""
    session = await trial.begin("a", {"n": 1})
    expect(await trial.store.get(session.handle), session)


@promise()
async def keeps_handles_apart_that_look_alike(trial: Trial) -> None:
    """Handles that differ by the case of a letter, or by being longer, name different sessions."""
    names = ["a", "A", "aa", "a-", "a_", "-", "b" * 57]
    sessions = [await trial.begin(name) for name in names]
    expect([await trial.store.get(session.handle) for session in sessions], sessions)


@promise()
async def never_overwrites(trial: Trial) -> None:
    """A taken handle is refused, and the session that has it stays as it was."""
    first = await trial.begin("a")
    with expect_error(SessionExists, "creating a second session of one handle") as refused:
        await trial.store.create(replace(session_of("b", subject="third@fund.example"), handle=first.handle))
    expect(refused[0].handle, first.handle, "the handle that the error names")
    expect(await trial.store.get(first.handle), first)


@promise()
async def never_overwrites_what_has_ended(trial: Trial) -> None:
    """The handle of a session that is over is not free again."""
    session = await trial.begin("a")
    ended = await trial.store.end(session.handle, EndedBy.REVOKED, now=START)
    with expect_error(SessionExists, "creating a session that has ended once more"):
        await trial.store.create(session)
    expect(await trial.store.get(session.handle), ended.session)


@promise()
async def of_one_handle_by_many_succeeds_once(trial: Trial) -> None:
    """Of thirty that create the same handle at once exactly one succeeds, and its record is the one kept."""
    sessions = [session_of("a", {"n": n}) for n in range(30)]
    results = await asyncio.gather(*map(trial.store.create, sessions), return_exceptions=True)
    won = [session for session, result in zip(sessions, results, strict=True) if result is None]
    expect([type(result) for result in results if result is not None], [SessionExists] * 29)
    expect([await trial.store.get("handle-a")], won)
