"""The reference store: dictionaries, and the rules themselves. Gone at the end of the process."""

from __future__ import annotations

from heapq import heappop, heappush, nsmallest
from itertools import islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stillhere.core.grants import Grant, Held, Swapped, swap_grant
from stillhere.core.records import Claim, EndedBy, Outcome, Session, View, Visit
from stillhere.core.rules import apply_claim, deadline, end_session, ending, is_id_of, rotate_id
from stillhere.errors import SessionExists, StoreError
from stillhere.stores.watchers import Watchers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class MemoryStore:
    """Keeps everything in this process. Needs no lock: no verb awaits between reading and writing.

    Attributes:
        sessions: by handle.
        views: by handle, then by the client's name for the view.
        visits: by handle, in order.
        excluded: by handle, numbers of the visits that an operator left out of every count.
        grants: by kind, then by handle.
        firsts: until when each name is taken.
        notes: by name, then by handle, until when.
        generations: by subject.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.sessions: dict[str, Session] = {}
        self.views: dict[str, dict[str, View]] = {}
        self.visits: dict[str, list[Visit]] = {}
        self.excluded: dict[str, set[int]] = {}
        self.grants: dict[str, dict[str, Grant]] = {}
        self.firsts: dict[str, int] = {}
        self.notes: dict[str, dict[str, int]] = {}
        self.generations: dict[str, int] = {}
        self._first_until: list[tuple[int, str]] = []  # a heap of what is to be let go of
        self._note_until: list[tuple[int, str, str]] = []  # as above
        self._due: list[tuple[int, str]] = []  # a heap; nobody's instant in it is later than the deadline
        self._watchers = Watchers()
        self._is_closed = False

    async def create(self, session: Session) -> None:
        """See `Store.create`."""
        self._refuse_if_closed()
        if session.handle in self.sessions:
            raise SessionExists(session.handle)
        self.sessions[session.handle] = session
        heappush(self._due, (deadline(session), session.handle))

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """See `Store.beat`."""
        self._refuse_if_closed()
        return [self._beat(claim, visit_gap=visit_gap, touch_interval=touch_interval, now=now) for claim in claims]

    def beat_now(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """See `Immediate.beat_now`."""
        self._refuse_if_closed()
        return [self._beat(claim, visit_gap=visit_gap, touch_interval=touch_interval, now=now) for claim in claims]

    def _beat(self, claim: Claim, *, visit_gap: int, touch_interval: int, now: int) -> Outcome:
        handle = claim.handle
        before = self.sessions.get(handle)
        if before is None or not is_id_of(claim.id_hash, before):
            return Outcome(session=None)
        visits = self.visits.get(handle)
        known = self.views[handle].get(claim.view) if claim.view is not None and handle in self.views else None
        latest = None if visits is None else visits[-1 if known is None else known.visit - 1]
        session, view, visit = apply_claim(before, known, latest, claim, visit_gap=visit_gap, touch_interval=touch_interval, now=now)
        if view is not None and view is not known:
            self.views.setdefault(handle, {})[view.view] = view
        if visit is not None and visit is not latest:
            self.visits.setdefault(handle, [])[visit.number - 1 : visit.number] = [visit]
        return Outcome(session=session, ended_now=session is not before and self._keep(before, session))

    def _keep(self, before: Session, after: Session) -> bool:
        """Keep a session's new record; tell whether that recorded its end, and tell the watchers if so."""
        self.sessions[after.handle] = after
        ended_now = before.ended_at is None and after.ended_at is not None
        if ended_now:
            self._watchers.tell(after.handle)
        return ended_now

    async def get(self, handle: str) -> Session | None:
        """See `Store.get`."""
        self._refuse_if_closed()
        return self.sessions.get(handle)

    async def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """See `Store.rotate`."""
        self._refuse_if_closed()
        before = self.sessions.get(handle)
        rotated = None if before is None else rotate_id(before, id_hash, new_id_hash, now=now)
        if rotated is not None:
            self.sessions[handle] = rotated
        return rotated

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """See `Store.end`."""
        self._refuse_if_closed()
        before = self.sessions.get(handle)
        if before is None:
            return Outcome(session=None)
        session = end_session(before, by, now=now)
        return Outcome(session=session, ended_now=self._keep(before, session))

    async def living(self, *, subject: str | None, limit: int, now: int) -> list[Session]:
        """See `Listable.living`."""
        self._refuse_if_closed()
        living = [session for session in self.sessions.values() if ending(session, now=now) is None and subject in {None, session.subject}]
        return sorted(living, key=lambda session: (-session.last_seen_at, session.handle))[:limit]

    async def count(self, *, now: int) -> int:
        """See `Listable.count`."""
        return len(await self.living(subject=None, limit=len(self.sessions), now=now))

    async def sweep(self, *, limit: int, now: int) -> list[Session]:
        """See `Sweepable.sweep`."""
        self._refuse_if_closed()
        swept: list[Session] = []
        while self._due and self._due[0][0] <= now and len(swept) < limit:
            _, handle = heappop(self._due)
            session = self.sessions.get(handle)
            if session is None or session.ended_at is not None:
                continue
            if ending(session, now=now) is None:
                heappush(self._due, (deadline(session), handle))  # was active since
            else:
                self._keep(session, end_session(session, EndedBy.IDLE, now=now))
                swept.append(self.sessions[handle])
        return swept

    async def forget(self, *, ended_before: int, limit: int) -> int:
        """See `Forgetful.forget`."""
        self._refuse_if_closed()
        over = (session for session in self.sessions.values() if (session.ended_at or session.absolute_end_at) < ended_before)
        handles = [session.handle for session in islice(over, limit)]
        self.drop_sessions(handles)
        return len(handles)

    def drop_sessions(self, handles: Sequence[str]) -> None:
        """Delete sessions with all that belongs to them."""
        for handle in handles:
            for kept in (self.sessions, self.views, self.visits, self.excluded):
                kept.pop(handle, None)
            for grants in self.grants.values():
                grants.pop(handle, None)

    async def held(self, handle: str, kind: str) -> Held:
        """See `Granting.held`."""
        self._refuse_if_closed()
        return self._held(handle, kind)

    def _held(self, handle: str, kind: str) -> Held:
        return Held(session=self.sessions.get(handle), grant=self.grants.get(kind, {}).get(handle))

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        self._refuse_if_closed()
        kept = swap_grant(self._held(grant.handle, grant.kind), grant, now=now)
        if kept is not None:
            self.grants.setdefault(grant.kind, {})[grant.handle] = kept
        return Swapped(done=kept is not None, held=self._held(grant.handle, grant.kind))

    async def due_grants(self, kind: str, *, limit: int, now: int, until: int) -> list[Held]:
        """See `Granting.due_grants`. The earliest first."""
        self._refuse_if_closed()
        grants = self.grants.get(kind, {})
        due = nsmallest(limit, (grant for grant in grants.values() if grant.check_at <= now), key=lambda grant: grant.check_at)
        for grant in due:
            grants[grant.handle] = replace(grant, check_at=until)
        return [self._held(grant.handle, kind) for grant in due]

    async def drop(self, handle: str, kind: str, *, version: int) -> bool:
        """See `Granting.drop`."""
        self._refuse_if_closed()
        grants = self.grants.get(kind, {})
        if handle not in grants or grants[handle].version != version:
            return False
        del grants[handle]
        return True

    async def first(self, name: str, *, until: int, now: int) -> bool:
        """See `Noting.first`."""
        self._refuse_if_closed()
        self._let_pass(now)
        if name in self.firsts:
            return False
        self.firsts[name] = until
        heappush(self._first_until, (until, name))
        return True

    async def note(self, name: str, handle: str, *, until: int) -> None:
        """See `Noting.note`."""
        self._refuse_if_closed()
        notes = self.notes.setdefault(name, {})
        notes[handle] = max(until, notes.get(handle, until))
        heappush(self._note_until, (until, name, handle))

    async def noted(self, name: str, *, now: int) -> list[str]:
        """See `Noting.noted`."""
        self._refuse_if_closed()
        return [handle for handle, until in self.notes.get(name, {}).items() if until >= now]

    def _let_pass(self, now: int) -> None:
        """Forget what need not be known any more, so that nothing piles up."""
        while self._first_until and self._first_until[0][0] < now:
            del self.firsts[heappop(self._first_until)[1]]
        while self._note_until and self._note_until[0][0] < now:
            until, name, handle = heappop(self._note_until)
            notes = self.notes.get(name, {})
            if notes.get(handle) == until:  # else it was noted again, for longer
                del notes[handle]
            if not notes:
                self.notes.pop(name, None)

    async def generation(self, subject: str) -> int:
        """See `Noting.generation`."""
        self._refuse_if_closed()
        return self.generations.get(subject, 0)

    async def advance(self, subject: str) -> int:
        """See `Noting.advance`."""
        self._refuse_if_closed()
        self.generations[subject] = self.generations.get(subject, 0) + 1
        return self.generations[subject]

    async def watch(self) -> AsyncIterator[str | None]:
        """See `Watchable.watch`."""
        self._refuse_if_closed()
        async for handle in self._watchers.listen():
            yield handle

    async def ping(self) -> None:
        """See `Store.ping`."""
        self._refuse_if_closed()

    async def close(self) -> None:
        """See `Store.close`."""
        self._is_closed = True
        self._watchers.close()

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise StoreError("the session store is closed")
