"""Who is here now, as one answer; and whether that is anything new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from stillhere.archive.records import Presence, VisitReport
from stillhere.archive.zones import day_begins_at, local, read_zone
from stillhere.server.admin.rows import JUST_LEFT_MS, person_row
from stillhere.stores.protocol import Listable
from stillhere.words import instant

if TYPE_CHECKING:
    from stillhere.archive.archive import Archive
    from stillhere.manager import SessionManager

MOVING: Final = ("lastSeenMs", "lastActiveMs", "expiresInMs")
"""Members that say how long ago or how soon: they move with the clock, and are no news."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one look found.

    Attributes:
        at: when it was.
        here: those who are here or just left, as the API writes them.
        visits: the visits of all who were seen lately.
        news: two looks with the same are no news.
    """

    at: int
    here: list[dict[str, Any]]
    visits: list[VisitReport]
    news: object


class Glance:
    """Looks who is here.

    Args:
        manager: the sessions.
        archive: their visits.
        zone: IANA name of the zone in which days begin.
    """

    def __init__(self, manager: SessionManager, archive: Archive, *, zone: str = "UTC") -> None:
        """Look at nothing yet."""
        self._manager = manager
        self._archive = archive
        self._zone = read_zone(zone)

    async def look(self) -> Seen:
        """Look once.

        Raises:
            StoreError: if the store cannot be reached.
        """
        policy, now = self._manager.policy, self._manager.clock()
        since = now - max(2 * policy.beat_interval, JUST_LEFT_MS)
        people = await self._archive.present(seen_since=since, beat_interval=policy.beat_interval, now=now)
        rows = [(person, person_row(person, policy=policy, now=now)) for person in people]
        shown = [(person, row) for person, row in rows if row["present"] or row["left"]]
        return Seen(
            at=now,
            here=[row for _, row in shown],
            visits=[person.visit for person in people],
            news=[_news(person, row) for person, row in shown],
        )

    async def totals(self, now: int) -> dict[str, int | None]:
        """Add up today; a store that cannot list its sessions cannot count them either.

        Raises:
            StoreError: if the store cannot be reached.
        """
        since = day_begins_at(local(now, self._zone).date(), self._zone)
        today = await self._archive.totals(since=since, beat_interval=self._manager.policy.beat_interval, now=now)
        return {
            "sessions": await self._manager.count() if isinstance(self._manager.store, Listable) else None,
            "visitsToday": today.visits,
            "visibleTodayMs": today.visible_ms,
            "medianVisibleTodayMs": today.median_visible_ms,
        }

    async def now(self) -> dict[str, object]:
        """Tell who is here, who just left, and today's totals."""
        seen = await self.look()
        return written(seen, await self.totals(seen.at))

    async def visit(self, visit_id: str) -> VisitReport | None:
        """Look at one visit.

        Raises:
            StoreError: if the store cannot be reached.
        """
        found = await self._archive.visit(visit_id, beat_interval=self._manager.policy.beat_interval, now=self._manager.clock())
        return None if found is None else found[0]


def written(seen: Seen, totals: dict[str, int | None]) -> dict[str, object]:
    """Write what a look found, as `GET now` answers."""
    return {"at": instant(seen.at), "here": seen.here, "totals": {"here": sum(bool(row["present"]) for row in seen.here), **totals}}


def _news(person: Presence, row: dict[str, object]) -> object:
    session = person.session
    return ({name: value for name, value in row.items() if name not in MOVING}, session.last_seen_at, session.last_active_at)
