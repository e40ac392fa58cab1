"""Stores that tell one lie each, and a few honest ones of unusual habits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from stillhere.core.records import Claim, EndedBy, Outcome, Session
from stillhere.core.rules import deadline, end_session, rotate_id
from stillhere.stores.memory import MemoryStore
from stillhere.testing import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class Honest(MemoryStore):
    """A memory store whose data can be opened again."""

    def __init__(self, other: Honest | None = None) -> None:
        super().__init__()
        if other is not None:
            self.sessions, self.views, self.visits, self._watchers = other.sessions, other.views, other.visits, other._watchers
            self.grants, self.firsts, self.notes, self.generations = other.grants, other.firsts, other.notes, other.generations
            self._first_until, self._note_until = other._first_until, other._note_until

    def again(self) -> Honest:
        """Open another on the same data."""
        return type(self)(self)

    def world(self) -> World:
        """Show all views and visits."""
        every_view = (view for by_name in self.views.values() for view in by_name.values())
        return World.of(every_view, (visit for in_order in self.visits.values() for visit in in_order))


class RevivesTheEnded(Honest):
    """Whoever is active lives again."""

    def _beat(self, claim: Claim, **spans: int) -> Outcome:
        kept = self.sessions.get(claim.handle)
        if kept is not None and claim.active_ago_ms == 0:
            self.sessions[claim.handle] = replace(kept, ended_at=None, ended_by=None)
        return super()._beat(claim, **spans)


class AdoptsIds(Honest):
    """Whoever comes with an unknown id gets a session."""

    def _beat(self, claim: Claim, **spans: int) -> Outcome:
        if claim.handle not in self.sessions:
            now = spans["now"]
            self.sessions[claim.handle] = Session(
                id_hash=claim.id_hash,
                handle=claim.handle,
                subject="",
                created_at=now,
                last_active_at=now,
                last_seen_at=now,
                absolute_end_at=now + 9_999,
                idle_timeout=9_999,
            )
        return super()._beat(claim, **spans)


class ForgetsTheProof(Honest):
    """A handle is enough."""

    def _beat(self, claim: Claim, **spans: int) -> Outcome:
        kept = self.sessions.get(claim.handle)
        return super()._beat(claim if kept is None else replace(claim, id_hash=kept.id_hash), **spans)


class OverwritesTheReason(Honest):
    """The last reason stays."""

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """See `Store.end`."""
        outcome = await super().end(handle, by, now=now)
        if outcome.session is not None and not outcome.ended_now:
            self.sessions[handle] = replace(outcome.session, ended_by=by)
        return Outcome(session=self.sessions.get(handle), ended_now=outcome.ended_now)


class SweepsTheLiving(Honest):
    """The sweep ends everybody."""

    async def sweep(self, *, limit: int, now: int) -> list[Session]:
        """See `Sweepable.sweep`."""
        return await super().sweep(limit=limit, now=now + 10_000_000)


class TakesClaimsBackwards(Honest):
    """The last claim of a batch comes first."""

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """See `Store.beat`."""
        return (await super().beat(claims[::-1], visit_gap=visit_gap, touch_interval=touch_interval, now=now))[::-1]


class RotatesForAnybody(Honest):
    """Whatever id is presented is swapped."""

    async def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """See `Store.rotate`."""
        kept = self.sessions.get(handle)
        return await super().rotate(handle, id_hash if kept is None else kept.id_hash, new_id_hash, now=now)


class OverwritesSessions(Honest):
    """The last to create a handle has it."""

    async def create(self, session: Session) -> None:
        """See `Store.create`."""
        self.sessions[session.handle] = session


class LosesViews(Honest):
    """Sessions are kept, views are not."""

    def __init__(self, other: Honest | None = None) -> None:
        super().__init__(other)
        self.views, self.visits = {}, {}


class TellsTwice(Honest):
    """Who watches hears of each end twice."""

    async def watch(self) -> AsyncIterator[str | None]:
        """See `Watchable.watch`."""
        async for handle in super().watch():
            yield handle
            if handle is not None:
                yield handle


class WritesAlways(Honest):
    """There is no touch interval."""

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """See `Store.beat`."""
        return await super().beat(claims, visit_gap=visit_gap, touch_interval=touch_interval * 0, now=now)


class MovesTimesBack(Honest):
    """The last beat says when a session was seen."""

    def _beat(self, claim: Claim, **spans: int) -> Outcome:
        outcome = super()._beat(claim, **spans)
        if outcome.session is None or outcome.session.ended_at is not None:
            return outcome
        self.sessions[claim.handle] = replace(outcome.session, last_seen_at=spans["now"])
        return replace(outcome, session=self.sessions[claim.handle])


class LetsALapseWait(Honest):
    """A session lives at its deadline, and ends a millisecond after it."""

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """See `Store.end`."""
        return await super().end(handle, by, now=now - 1)


class NoticesBySight(Honest):
    """Looking at a session is being seen."""

    async def get(self, handle: str) -> Session | None:
        """See `Store.get`."""
        kept = await super().get(handle)
        if kept is not None:
            self.sessions[handle] = replace(kept, last_seen_at=kept.last_seen_at + 1)
        return kept


class ForgetsWhoLapsed(Honest):
    """What has lapsed is deleted though nobody was told."""

    async def forget(self, *, ended_before: int, limit: int) -> int:
        """See `Sweepable.forget`."""
        await self.sweep(limit=limit, now=ended_before)
        return await super().forget(ended_before=ended_before, limit=limit)


class ListsInAnyOrder(Honest):
    """Lists are in the order of the handles."""

    async def living(self, *, subject: str | None, limit: int, now: int) -> list[Session]:
        """See `Listable.living`."""
        return sorted(await super().living(subject=subject, limit=limit, now=now), key=lambda session: session.handle)


class FoldsText(Honest):
    """Space around a subject is lost."""

    async def create(self, session: Session) -> None:
        """See `Store.create`."""
        await super().create(replace(session, subject=session.subject.strip()))


class CountsEveryTab(Honest):
    """A visit is as long as its tabs together."""

    def _beat(self, claim: Claim, **spans: int) -> Outcome:
        outcome = super()._beat(claim, **spans)
        for visit in self.visits.get(claim.handle, []):
            views = [view for view in self.views.get(claim.handle, {}).values() if view.visit == visit.number]
            longer = replace(visit, visible_ms=sum(view.visible_ms for view in views))
            self.visits[claim.handle][visit.number - 1] = longer
        return outcome


class IsEmptyWhenClosed(Honest):
    """A closed store answers that there is nothing."""

    async def close(self) -> None:
        """See `Store.close`."""
        self.sessions, self._is_closed = {}, False


class BreaksInTwo(Honest):
    """A beat that is cancelled has changed the session and not its view."""

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """See `Store.beat`."""
        spans = {"visit_gap": visit_gap, "touch_interval": touch_interval, "now": now}
        for claim in claims:
            super()._beat(replace(claim, view=None, opens=False), **spans)
        await asyncio.sleep(0)
        return [super(BreaksInTwo, self)._beat(claim, **spans) for claim in claims]


class WritesLater(Honest):
    """Ends are answered at once, and written with the next call."""

    def __init__(self, other: Honest | None = None) -> None:
        super().__init__(other)
        self.waiting: list[Session] = []

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """See `Store.end`."""
        await self.flush()
        kept = self.sessions.get(handle)
        if kept is None or kept.ended_at is not None:
            return Outcome(session=kept)
        self.waiting.append(end_session(kept, by, now=now))
        return Outcome(session=self.waiting[-1], ended_now=True)

    async def flush(self) -> None:
        """Write what waits."""
        while self.waiting:
            self._keep(self.sessions[self.waiting[-1].handle], self.waiting.pop())

    async def beat(self, claims: Sequence[Claim], **spans: Any) -> list[Outcome]:
        """See `Store.beat`."""
        await self.flush()
        return await super().beat(claims, **spans)

    async def get(self, handle: str) -> Session | None:
        """See `Store.get`."""
        await self.flush()
        return await super().get(handle)


class ReadsThenWrites(Honest):
    """Between reading and writing others have their turn."""

    async def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """See `Store.rotate`."""
        kept = self.sessions.get(handle)
        await asyncio.sleep(0)
        rotated = None if kept is None else rotate_id(kept, id_hash, new_id_hash, now=now)
        if rotated is not None:
            self.sessions[handle] = rotated
        return rotated


class EndsThenWrites(Honest):
    """An end is decided, then others have their turn, then it is written."""

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """See `Store.end`."""
        kept = self.sessions.get(handle)
        await asyncio.sleep(0)
        if kept is None:
            return Outcome(session=None)
        session = end_session(kept, by, now=now)
        return Outcome(session=session, ended_now=self._keep(kept, session))


class EndsWhomABeatSaved(Honest):
    """The sweep ends whoever had lapsed when it looked."""

    async def sweep(self, *, limit: int, now: int) -> list[Session]:
        """See `Sweepable.sweep`."""
        lapsed = [session for session in self.sessions.values() if session.ended_at is None and deadline(session) <= now][:limit]
        await asyncio.sleep(0)
        for session in lapsed:
            self._keep(session, end_session(session, EndedBy.IDLE, now=now))
        return [self.sessions[session.handle] for session in lapsed]


class Fails(Honest):
    """Nothing is known is not an answer."""

    async def get(self, handle: str) -> Session | None:
        """See `Store.get`."""
        return self.sessions[handle]


class Hangs(Honest):
    """A ping never comes back."""

    async def ping(self) -> None:
        """See `Store.ping`."""
        await asyncio.Event().wait()


class TakesManyTurns(Honest):
    """Honest: a rotation lets others have their turn more often than anybody cares to count."""

    async def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """See `Store.rotate`."""
        for _ in range(120):
            await asyncio.sleep(0)
        return await super().rotate(handle, id_hash, new_id_hash, now=now)


class FinishesAnyway(Honest):
    """Honest: what has begun is done some turns later, though the caller is gone; and looking takes a turn."""

    turns = 3

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """See `Store.end`."""
        work = asyncio.ensure_future(self._end_slowly(handle, by, now))
        return await asyncio.shield(work)

    async def _end_slowly(self, handle: str, by: EndedBy, now: int) -> Outcome:
        for _ in range(self.turns):
            await asyncio.sleep(0)
        return await super().end(handle, by, now=now)

    async def get(self, handle: str) -> Session | None:
        """See `Store.get`."""
        found = await super().get(handle)
        await asyncio.sleep(0)
        return found


class HasTheVerbsOnly:
    """Honest: the verbs that every store has, and no more."""

    def __init__(self) -> None:
        store = MemoryStore()
        self.create, self.beat, self.get = store.create, store.beat, store.get
        self.rotate, self.end, self.ping, self.close = store.rotate, store.end, store.ping, store.close
