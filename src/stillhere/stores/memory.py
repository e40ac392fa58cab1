"""The reference store: dictionaries, and the rules themselves. Gone at the end of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhere.core.records import Claim, EndedBy, Outcome, Session, View, Visit
from stillhere.core.rules import apply_claim, end_session, ending, rotate_id
from stillhere.errors import SessionExists, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence


class MemoryStore:
    """Keeps sessions, views and visits in this process. Needs no lock: no verb awaits between reading and writing.

    Attributes:
        sessions: by handle.
        views: by handle, then by the client's name for the view.
        visits: by handle, in order.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.sessions: dict[str, Session] = {}
        self.views: dict[str, dict[str, View]] = {}
        self.visits: dict[str, list[Visit]] = {}
        self._handles: dict[str, str] = {}
        self._is_closed = False

    async def create(self, session: Session) -> None:
        """See `Store.create`."""
        self._refuse_if_closed()
        if session.id_hash in self._handles or session.handle in self.sessions:
            raise SessionExists(session.handle)
        self._handles[session.id_hash] = session.handle
        self.sessions[session.handle] = session

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, now: int) -> list[Outcome]:
        """See `Store.beat`."""
        self._refuse_if_closed()
        return [self._beat(claim, visit_gap=visit_gap, now=now) for claim in claims]

    def _beat(self, claim: Claim, *, visit_gap: int, now: int) -> Outcome:
        handle = self._handles.get(claim.id_hash)
        if handle is None:
            return Outcome(session=None)
        before = self.sessions[handle]
        visits = self.visits.get(handle, [])
        known = self.views.get(handle, {}).get(claim.view) if claim.view is not None else None
        number = known.visit if known is not None else len(visits)
        session, view, visit = apply_claim(
            before,
            known,
            visits[number - 1] if number else None,
            claim,
            visit_gap=visit_gap,
            now=now,
        )
        self.sessions[handle] = session
        if view is not None:
            self.views.setdefault(handle, {})[view.view] = view
        if visit is not None:
            self.visits.setdefault(handle, visits)[visit.number - 1 : visit.number] = [visit]
        return Outcome(session=session, ended_now=before.ended_at is None and session.ended_at is not None)

    async def get(self, id_hash: str) -> Session | None:
        """See `Store.get`."""
        self._refuse_if_closed()
        handle = self._handles.get(id_hash)
        return None if handle is None else self.sessions[handle]

    async def find(self, handle: str) -> Session | None:
        """See `Store.find`."""
        self._refuse_if_closed()
        return self.sessions.get(handle)

    async def rotate(self, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """See `Store.rotate`."""
        self._refuse_if_closed()
        handle = self._handles.get(id_hash)
        rotated = None if handle is None else rotate_id(self.sessions[handle], new_id_hash, now=now)
        if handle is None or rotated is None:
            return None
        if new_id_hash in self._handles:
            raise SessionExists(handle)
        del self._handles[id_hash]
        self._handles[new_id_hash] = handle
        self.sessions[handle] = rotated
        return rotated

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """See `Store.end`."""
        self._refuse_if_closed()
        before = self.sessions.get(handle)
        if before is None:
            return Outcome(session=None)
        session = self.sessions[handle] = end_session(before, by, now=now)
        return Outcome(session=session, ended_now=before.ended_at is None)

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
        lapsed = [
            end_session(session, EndedBy.IDLE, now=now)
            for session in self.sessions.values()
            if session.ended_at is None and ending(session, now=now) is not None
        ][:limit]
        self.sessions.update({session.handle: session for session in lapsed})
        return lapsed

    async def ping(self) -> None:
        """See `Store.ping`."""
        self._refuse_if_closed()

    async def close(self) -> None:
        """See `Store.close`."""
        self._is_closed = True

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise StoreError("the session store is closed")
