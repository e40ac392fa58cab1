"""Stores that tell one lie each about grants."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from stillhere.core.grants import Grant, Held, Swapped, swap_grant
from stillhere.core.rules import ending
from tests.testing.liars import Honest

if TYPE_CHECKING:
    from stillhere.core.records import Session


class SharesKinds(Honest):
    """A session has one grant, whatever its kind."""

    def _held(self, handle: str, kind: str) -> Held:
        held = super()._held(handle, kind)
        others = [grants[handle] for grants in self.grants.values() if handle in grants]
        return held if held.grant or not others else replace(held, grant=others[0])


class TakesAnyVersion(Honest):
    """The last to write has it."""

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        session = self.sessions.get(grant.handle)
        if session is not None and ending(session, now=now) is None:
            self.grants.setdefault(grant.kind, {})[grant.handle] = grant
        return await super().swap(grant, now=now)


class RefusesRepetitions(Honest):
    """A version is taken once."""

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        held = await self.held(grant.handle, grant.kind)
        return Swapped(done=False, held=held) if held.grant == grant else await super().swap(grant, now=now)


class GrantsToTheEnded(Honest):
    """A session that is over takes grants."""

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        session = self.sessions.get(grant.handle)
        if session is None or ending(session, now=now) is None:
            return await super().swap(grant, now=now)
        self.sessions[grant.handle] = replace(session, ended_at=None, ended_by=None)
        swapped = await super().swap(grant, now=session.last_active_at)
        self.sessions[grant.handle] = session
        return Swapped(done=swapped.done, held=await self.held(grant.handle, grant.kind))


class ShowsOldSessions(Honest):
    """A grant is found with the session as it was when it was written."""

    def __init__(self, other: Honest | None = None) -> None:
        super().__init__(other)
        self.as_it_was: dict[str, Session | None] = {}

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        swapped = await super().swap(grant, now=now)
        self.as_it_was[grant.handle] = swapped.held.session
        return swapped

    async def held(self, handle: str, kind: str) -> Held:
        """See `Granting.held`."""
        held = await super().held(handle, kind)
        return replace(held, session=self.as_it_was.get(handle, held.session))


class TrimsDocuments(Honest):
    """Space around a document is lost."""

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        return await super().swap(replace(grant, document=grant.document.strip()), now=now)


class CutsNames(Honest):
    """A name ends at U+0000."""

    def _held(self, handle: str, kind: str) -> Held:
        return super()._held(handle.partition("\0")[0], kind)


class LeavesThemDue(Honest):
    """What is due is due for everybody."""

    async def due_grants(self, kind: str, *, limit: int, now: int, until: int) -> list[Held]:
        """See `Granting.due_grants`."""
        return await super().due_grants(kind, limit=limit, now=now, until=min(until, now))


class NeverPutsOff(LeavesThemDue):
    """The same: two promises find it."""


class PassesOverWhatBrokeOff(Honest):
    """Honest: what a cancelled call was at is passed over once, as by a server that is still at it."""

    breaks_off = False

    async def due_grants(self, kind: str, *, limit: int, now: int, until: int) -> list[Held]:
        """See `Granting.due_grants`."""
        passed_over, self.breaks_off = self.breaks_off, True
        if not passed_over:
            await asyncio.sleep(0)
        self.breaks_off = False
        return [] if passed_over else await super().due_grants(kind, limit=limit, now=now, until=until)


class TakesManyTurnsToSwap(Honest):
    """Honest: a swap, and a first, let others have their turn more often than anybody cares to count."""

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        for _ in range(120):
            await asyncio.sleep(0)
        return await super().swap(grant, now=now)

    async def first(self, name: str, *, until: int, now: int) -> bool:
        """See `Noting.first`."""
        for _ in range(120):
            await asyncio.sleep(0)
        return await super().first(name, until=until, now=now)


class FinishesSwapsAnyway(Honest):
    """Honest: a swap that has begun is done some turns later, though the caller is gone; and looking takes a turn."""

    turns = 2

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        return await asyncio.shield(asyncio.ensure_future(self._swap_slowly(grant, now)))

    async def _swap_slowly(self, grant: Grant, now: int) -> Swapped:
        for _ in range(self.turns):
            await asyncio.sleep(0)
        return await super().swap(grant, now=now)

    async def held(self, handle: str, kind: str) -> Held:
        """See `Granting.held`."""
        found = await super().held(handle, kind)
        await asyncio.sleep(0)
        return found


class TellsAllThatAreDue(Honest):
    """There is no limit."""

    async def due_grants(self, kind: str, *, limit: int, now: int, until: int) -> list[Held]:
        """See `Granting.due_grants`."""
        return await super().due_grants(kind, limit=limit + 999, now=now, until=until)


class GoesByTheFirst(Honest):
    """A grant is due when its first version said."""

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        held = await self.held(grant.handle, grant.kind)
        return await super().swap(grant if held.grant is None else replace(grant, check_at=held.grant.check_at), now=now)


class DropsAnyVersion(Honest):
    """Whatever is held is dropped."""

    async def drop(self, handle: str, kind: str, *, version: int) -> bool:
        """See `Granting.drop`."""
        held = await self.held(handle, kind)
        return await super().drop(handle, kind, version=version if held.grant is None else held.grant.version)


class KeepsGrantsOfTheForgotten(Honest):
    """Who is forgotten leaves grants behind."""

    async def forget(self, *, ended_before: int, limit: int) -> int:
        """See `Sweepable.forget`."""
        grants = {kind: dict(by_handle) for kind, by_handle in self.grants.items()}
        forgotten = await super().forget(ended_before=ended_before, limit=limit)
        self.grants |= grants
        return forgotten


class LooksThenSwaps(Honest):
    """Between looking and swapping others have their turn."""

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        held = self._held(grant.handle, grant.kind)
        await asyncio.sleep(0)
        kept = swap_grant(held, grant, now=now)
        if kept is not None:
            self.grants.setdefault(grant.kind, {})[grant.handle] = kept
        return Swapped(done=kept is not None, held=self._held(grant.handle, grant.kind))


class PutsOldGrantsBack(Honest):
    """What was due is written as it was when somebody looked."""

    async def due_grants(self, kind: str, *, limit: int, now: int, until: int) -> list[Held]:
        """See `Granting.due_grants`."""
        due = await super().due_grants(kind, limit=limit, now=now, until=until)
        for _ in range(3):
            await asyncio.sleep(0)
        self.grants.setdefault(kind, {}).update({held.grant.handle: held.grant for held in due if held.grant})
        return due


class SwapsAfterTheEnd(Honest):
    """The session is judged first, the version later."""

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        before = self.sessions.get(grant.handle)
        await asyncio.sleep(0)
        after = self.sessions.get(grant.handle)
        if before is None or after is None:
            return await super().swap(grant, now=now)
        self.sessions[grant.handle] = before
        swapped = await super().swap(grant, now=now)
        self.sessions[grant.handle] = after
        return swapped


class TellsManyTheSame(Honest):
    """Between finding what is due and putting it off others have their turn."""

    async def due_grants(self, kind: str, *, limit: int, now: int, until: int) -> list[Held]:
        """See `Granting.due_grants`."""
        due = [self._held(handle, kind) for handle, grant in self.grants.get(kind, {}).items() if grant.check_at <= now][:limit]
        await asyncio.sleep(0)
        for held in due:
            if held.grant is not None:
                self.grants[kind][held.grant.handle] = replace(held.grant, check_at=until)
        return due


class SwapsInTwo(Honest):
    """First the document is written, then the version."""

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        held = await self.held(grant.handle, grant.kind)
        if held.grant is not None and held.grant.version == grant.version - 1:
            self.grants[grant.kind][grant.handle] = replace(held.grant, document=grant.document)
        await asyncio.sleep(0)
        return await super().swap(grant, now=now)


class RotatesAlone(Honest):
    """A new id costs a session its grants."""

    async def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """See `Store.rotate`."""
        rotated = await super().rotate(handle, id_hash, new_id_hash, now=now)
        if rotated is not None:
            for grants in self.grants.values():
                grants.pop(handle, None)
        return rotated


class HoldsForItself(Honest):
    """Grants and notes are in this process only."""

    def __init__(self, other: Honest | None = None) -> None:
        super().__init__(other)
        self.grants, self.firsts, self.notes, self.generations = {}, {}, {}, {}


class KeepsNothingOfNotes(HoldsForItself):
    """The same: two promises find it."""


LIES: Final[dict[type[Honest], str]] = {
    SharesKinds: "grants.what_is_kept_is_held",
    TakesAnyVersion: "grants.the_version_decides",
    RefusesRepetitions: "grants.a_repetition_is_done_again",
    GrantsToTheEnded: "grants.nothing_is_kept_for_who_is_over",
    ShowsOldSessions: "grants.stays_while_its_session_changes",
    TrimsDocuments: "grants.documents_come_back_as_they_went_in",
    CutsNames: "grants.names_are_told_apart",
    LeavesThemDue: "grants.the_due_are_put_off",
    TellsAllThatAreDue: "grants.putting_off_is_bounded",
    GoesByTheFirst: "grants.a_swap_says_when_it_is_due",
    DropsAnyVersion: "grants.a_drop_needs_the_version",
    KeepsGrantsOfTheForgotten: "grants.are_forgotten_with_their_session",
    LooksThenSwaps: "grants.one_swap_wins",
    PutsOldGrantsBack: "grants.no_swap_is_lost",
    SwapsAfterTheEnd: "grants.a_swap_that_is_done_came_before_the_end",
    TellsManyTheSame: "grants.nobody_is_told_what_others_were",
    NeverPutsOff: "grants.a_cancelled_write_is_whole_or_nothing",
    SwapsInTwo: "grants.a_cancelled_write_is_whole_or_nothing",
    RotatesAlone: "grants.random_timelines_agree_with_the_rules",
    HoldsForItself: "grants.what_was_answered_is_kept",
    KeepsNothingOfNotes: "notes.what_was_noted_is_kept",
}

HABITS: Final[tuple[type[Honest], ...]] = (PassesOverWhatBrokeOff, TakesManyTurnsToSwap, FinishesSwapsAnyway)
"""Those that are honest."""
