"""A week of visits, asked by days and by visits: what the tests of summaries work with."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace
from sqlalchemy import select, text

from stillhere.archive.records import VisitFilter
from stillhere.archive.sql import SqlSource
from stillhere.core.records import EndedBy, View, Visit
from stillhere.stores.protocol import Changed
from stillhere.stores.sql.days import BLOCK, DAY_MS
from stillhere.stores.sql.keeping import columns_of
from stillhere.stores.sql.schema import days, sessions, views, visits
from stillhere.testing.scene import session_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from stillhere.archive.archive import Archive, VisitorSort
    from stillhere.stores.sqlite.store import SqliteStore

FIRST = 20_000 * DAY_MS
"""The first instant of a day."""

LATER = FIRST + 30 * DAY_MS
WHEN = {"beat_interval": 1_000, "now": LATER}
VISITS = 300


def fill(connection: Connection, seed: int) -> None:
    """Put visits of a week there: over midnights, some excluded, of people who come often."""
    draw = random.Random(seed)  # noqa: S311  # to be the same every time
    heat = ".".join(["1"] * 20)
    for n in range(VISITS):
        at = FIRST + draw.randrange(7 * DAY_MS)
        visible = min(int(draw.lognormvariate(10, 2)), 2 * DAY_MS)
        session = replace(
            session_of(f"{n:03}", subject=f"v{draw.randrange(40)}", now=at), ended_at=at + visible, ended_by=EndedBy.SIGNED_OUT
        )
        stay = Visit(
            handle=session.handle, number=1, subject=session.subject, started_at=at, last_seen_at=at + visible, covered_until_at=at,
            visible_ms=visible, active_ms=visible // 3,
        )  # fmt: skip
        view = View(
            handle=session.handle, view="v", visit=1, tab=None, page=draw.choice([None, "/a", "/b", "/c"]),
            title=draw.choice([None, "A", "B"]),
            opened_at=at, last_seen_at=at + visible, visible_ms=visible, active_ms=visible // 3, scroll_pct=draw.randrange(1001) / 10,
            heat=draw.choice([None, heat]),
        )  # fmt: skip
        connection.execute(sessions.insert(), columns_of(session))
        connection.execute(visits.insert(), columns_of(stay) | {"excluded": int(draw.random() < 0.1)})
        connection.execute(views.insert(), columns_of(view))


class Raw(SqlSource):
    """An archive that knows no days."""

    async def span(self, *_: object) -> None:
        """Know none."""


async def answers(archive: Archive, wanted: VisitFilter) -> list[object]:
    """Ask everything that days may answer, but for pages."""
    sorts: tuple[VisitorSort, ...] = ("last", "visible", "visits")
    return [
        await archive.totals(wanted, **WHEN),
        await archive.durations(wanted, **WHEN),
        [await archive.visitors(replace(wanted, limit=7), sort=sort, beat_interval=1_000, now=LATER) for sort in sorts],
        [await archive.buckets(wanted, unit, ZoneInfo("Asia/Kathmandu"), **WHEN) for unit in ("hour", "day", "week", "month")],
        await archive.simultaneous(wanted, **WHEN),
    ]


PERIODS = [
    VisitFilter(limit=1_000),
    VisitFilter(limit=1_000, since_at=FIRST + DAY_MS // 3),
    VisitFilter(limit=1_000, until_at=FIRST + 5 * DAY_MS),
    VisitFilter(limit=1_000, since_at=FIRST + DAY_MS, until_at=FIRST + 3 * DAY_MS + 1),
    VisitFilter(limit=1_000, since_at=FIRST + 5, until_at=FIRST + 9),
    VisitFilter(limit=1_000, visitor="v1"),
    VisitFilter(limit=1_000, page="/a"),
    VisitFilter(limit=1_000, page="/none", until_at=FIRST + 5 * DAY_MS),
    VisitFilter(limit=1_000, min_visible_ms=5_000, since_at=FIRST + DAY_MS // 3),
    VisitFilter(limit=1_000, max_visible_ms=60_000, min_visible_ms=9, page="/b", internal=True),
]


async def blocks(store: SqliteStore) -> list[int]:
    """Tell which blocks are put together."""
    query = days.select().with_only_columns(days.c.day).where(days.c.part == f"{BLOCK}sums").order_by(days.c.day)
    return list(await store.readers(lambda connection: connection.execute(query).scalars().all()))


async def settle(archive: Archive, now: int) -> None:
    """Summarise all there is."""
    while await archive.summarise(now=now):
        pass


def somebody_waits(connection: Connection) -> bool:
    """Tell whether a transaction waits for another."""
    query = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
    return bool(connection.execute(query).scalar_one())


async def named(store: SqliteStore) -> set[str]:
    """Tell whoever is named in a summary."""
    query = select(days.c.body).where(days.c.part.in_(["names", f"{BLOCK}names"]))
    bodies = await store.readers(lambda connection: connection.execute(query).scalars().all())
    return {name for body in bodies for name in msgspec.msgpack.decode(body)}


async def come(store: SqliteStore, name: str, at: int) -> None:
    """Put a visit of somebody there."""
    session = replace(session_of(name, subject=name, now=at), ended_at=at + 9, ended_by=EndedBy.SIGNED_OUT)
    stay = Visit(handle=session.handle, number=1, subject=name, started_at=at, last_seen_at=at + 9, covered_until_at=at, visible_ms=9)
    await store.keep([Changed(session.handle, 1, session, [stay], [])])


async def summarised(store: SqliteStore) -> list[int]:
    """Tell which days are summarised."""
    query = days.select().with_only_columns(days.c.day).where(days.c.part == "sums").order_by(days.c.day)
    return list(await store.readers(lambda connection: connection.execute(query).scalars().all()))
