"""The outbox in memory, beside a memory store: for trying things out. It is gone with the process, as the visits are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from stillhere.mirrors.records import DeadLetter, Due, LeaseLost, Mark, Row, Step, Waiting
from stillhere.mirrors.sql import letter_of, read_letter, revived

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stillhere.core.records import Session
    from stillhere.stores.memory import MemoryStore


class MemoryOutbox:
    """Keeps the outbox in dictionaries.

    Args:
        store: has the visits.
    """

    def __init__(self, store: MemoryStore) -> None:
        """Start empty."""
        self._store = store
        self._rows: dict[tuple[str, str, int], Row] = {}
        self._marks: dict[str, Mark] = {}
        self._leases: dict[str, tuple[str, int, int]] = {}  # holder, until, fence

    async def take(self, mirror: str, holder: str, *, now: int, until: int) -> int | None:
        """See `Outbox.take`."""
        before, until_at, fence = self._leases.get(mirror, ("", 0, 0))
        if before != holder and now < until_at <= 2 * until - now:
            return None
        self._leases[mirror] = holder, until, fence + (before != holder)
        self._marks.setdefault(mirror, Mark(scanned_at=now))
        return self._leases[mirror][2]

    async def release(self, mirror: str, holder: str) -> None:
        """See `Outbox.release`."""
        before, _, fence = self._leases.get(mirror, ("", 0, 0))
        if before == holder:
            self._leases[mirror] = holder, 0, fence

    async def held_until(self, mirror: str) -> int:
        """See `Outbox.held_until`."""
        return self._leases.get(mirror, ("", 0, 0))[1]

    async def mark(self, mirror: str) -> Mark | None:
        """See `Outbox.mark`."""
        return self._marks.get(mirror)

    async def wake(self, mirror: str) -> bool:
        """See `Outbox.wake`."""
        mark = self._marks.get(mirror)
        if mark is None:
            return False
        self._marks[mirror] = replace(mark, pause_until_at=0)
        return True

    async def scan(self, mirror: str, fence: int, *, since: int, sessions: bool, now: int) -> int:
        """See `Outbox.scan`."""
        self._guard(mirror, fence)
        found = 0
        for session in self._store.sessions.values():
            if session.ended_at is not None and session.ended_at < since:
                continue
            numbers = range(0 if sessions else 1, len(self._store.visits.get(session.handle, [])) + 1)
            for key in ((mirror, session.handle, number) for number in numbers):
                row = self._rows.get(key)
                waits = row is not None and (row.since_at is not None or row.dead_at is not None or row.step is Step.DROPPED)
                if not waits and (row is None or row.facts != self._facts(row)):
                    row = row or Row(mirror=mirror, handle=session.handle, number=key[2])
                    self._rows[key] = replace(row, due_at=now, since_at=now)
                    found += 1
        return found

    async def due(self, mirror: str, *, limit: int, now: int) -> list[Due]:
        """See `Outbox.due`."""
        due = {row.id: row for row in self._of(mirror) if row.due_at is not None and row.due_at <= now}
        rows = sorted(due.values(), key=lambda row: row.due_at or 0)
        return [Due(row, self._facts(row)) for row in rows[:limit]]

    async def record(self, mirror: str, fence: int, rows: Sequence[Row], *, mark: Mark | None = None) -> None:
        """See `Outbox.record`."""
        self._guard(mirror, fence)
        self._rows.update({(row.mirror, row.handle, row.number): row for row in rows})
        if mark is not None:
            self._marks[mirror] = mark

    async def rewind(self, mirror: str, fence: int, *, mark: Mark, now: int) -> None:
        """See `Outbox.rewind`."""
        later = [row for row in self._of(mirror) if row.due_at is not None and row.due_at > now]
        await self.record(mirror, fence, [replace(row, due_at=now) for row in later], mark=mark)

    async def remove(self, mirror: str, fence: int, rows: Sequence[Row]) -> None:
        """See `Outbox.remove`."""
        self._guard(mirror, fence)
        for row in rows:
            self._rows.pop((row.mirror, row.handle, row.number), None)

    async def tidy(self, mirror: str, fence: int) -> int:
        """See `Outbox.tidy`."""
        gone = [row for row in self._of(mirror) if row.handle not in self._store.sessions]
        await self.remove(mirror, fence, gone)
        return len(gone)

    async def has(self, mirror: str, record_id: str) -> bool:
        """See `Outbox.has`."""
        return any(row.record_id == record_id for row in self._of(mirror))

    async def session(self, handle: str) -> Session | None:
        """See `Outbox.session`."""
        return self._store.sessions.get(handle)

    async def waiting(self, mirror: str) -> Waiting:
        """See `Outbox.waiting`."""
        waits = [row for row in self._of(mirror) if row.since_at is not None]
        since_at = min((row.since_at for row in waits if row.since_at is not None), default=None)
        error = max((row.error for row in waits if row.error is not None), default=None)
        return Waiting(len(waits), since_at, sum(row.dead_at is not None for row in self._of(mirror)), error)

    async def dead(self, mirror: str, *, limit: int) -> list[DeadLetter]:
        """See `Outbox.dead`."""
        letters = [letter_of(row) for row in self._of(mirror) if row.dead_at is not None]
        return sorted(letters, key=lambda letter: (-letter.at, letter.id))[:limit]

    async def revive(self, mirror: str, letter: str, *, drop: bool, now: int) -> bool:
        """See `Outbox.revive`."""
        key = (mirror, *read_letter(letter))
        row = self._rows.get(key)
        if row is None or row.dead_at is None:
            return False
        changes = revived(drop=drop, now=now)
        self._rows[key] = replace(row, **{**changes, "step": Step(changes["step"])})
        return True

    async def revive_all(self, mirror: str, *, now: int) -> int:
        """See `Outbox.revive_all`."""
        letters = [letter_of(row).id for row in self._of(mirror) if row.dead_at is not None]
        return sum([await self.revive(mirror, letter, drop=False, now=now) for letter in letters])

    def _of(self, mirror: str) -> Iterator[Row]:
        return (row for row in self._rows.values() if row.mirror == mirror)

    def _guard(self, mirror: str, fence: int) -> None:
        if self._leases.get(mirror, ("", 0, 0))[2] != fence:
            raise LeaseLost(f"another process drains {mirror} now")

    def _facts(self, row: Row) -> str | None:
        session = self._store.sessions.get(row.handle)
        if session is None:
            return None
        if row.number == 0:
            return str(session.ended_at)
        visit = self._store.visits[row.handle][row.number - 1]
        return f"{visit.last_seen_at}.{visit.visible_ms}.{visit.active_ms}.{visit.left_at}.{session.ended_at}"
