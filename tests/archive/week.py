"""A week of visits, asked by days and by visits: what the tests of summaries work with."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from sqlalchemy import select, text

from stillhere.archive.packing import Texts
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

    from stillhere.archive.archive import Archive
    from stillhere.archive.cursor import VisitorSort
    from stillhere.core.records import Session
    from stillhere.stores.sqlite.store import SqliteStore

FIRST = 20_000 * DAY_MS
"""The first instant of a day."""

LATER = FIRST + 30 * DAY_MS
WHEN = {"beat_interval": 1_000, "now": LATER}
VISITS = 300


def fill(connection: Connection, seed: int) -> None:
    """Put visits of a week there: over midnights, some excluded, of people who come often, and that ended in every way."""
    draw = random.Random(seed)  # noqa: S311  # to be the same every time
    for n in range(VISITS):
        at = FIRST + draw.randrange(7 * DAY_MS)
        session = session_of(f"{n:03}", draw.choice([{}, {"verified": True}]), subject=f"v{draw.randrange(40)}", now=at)
        stays = [_visit(draw, session, number, at + number * DAY_MS // 8) for number in range(1, draw.choice([2, 2, 2, 3]))]
        over_at = stays[-1].last_seen_at + draw.choice([0, 0, 1_999, 2_000, 2_001, 60_000])
        by = draw.choice([EndedBy.SIGNED_OUT, EndedBy.IDLE, EndedBy.REVOKED])
        if draw.random() < 0.99:  # the sessions of a few have not been noted to be over
            session = replace(session, ended_at=over_at, ended_by=by)
        connection.execute(sessions.insert(), columns_of(session))
        for stay in stays:
            connection.execute(visits.insert(), columns_of(stay) | {"excluded": int(draw.random() < 0.1)})  # one in ten
            for view in range(draw.choice([1, 1, 2])):
                connection.execute(views.insert(), columns_of(_view(draw, stay, view)))


def _visit(draw: random.Random, session: Session, number: int, at: int) -> Visit:
    visible = min(int(draw.lognormvariate(10, 2)), 2 * DAY_MS)
    left_at = draw.choice([None, None, at + visible])
    return Visit(
        handle=session.handle, number=number, subject=session.subject, started_at=at, last_seen_at=at + visible, covered_until_at=at,
        visible_ms=visible, active_ms=visible // 3, left_at=left_at,
    )  # fmt: skip


def _view(draw: random.Random, stay: Visit, n: int) -> View:
    heat = ".".join(draw.choice(["0", "1", "2s"]) for _ in range(20))
    visible = stay.visible_ms // (n + 1)
    return View(
        handle=stay.handle, view=f"{stay.number}-{n}", visit=stay.number, tab=None, page=draw.choice([None, "/a", "/b", "/c"]),
        title=draw.choice([None, "A", "B", "B"]), opened_at=stay.started_at, last_seen_at=stay.started_at + visible, visible_ms=visible,
        active_ms=visible // 3, scroll_pct=draw.randrange(1001) / 10, heat=draw.choice([None, heat]),
    )  # fmt: skip


class Raw(SqlSource):
    """An archive that knows no days."""

    async def span(self, *_: object) -> None:
        """Know none."""


async def same_pages(archive: Archive, raw: Archive, wanted: VisitFilter) -> None:
    """Ask both for pages: all is the very same but the quartiles, which are near."""
    told, true = await archive.pages(wanted, **WHEN), await raw.pages(wanted, **WHEN)
    for one, other in zip(told, true, strict=True):
        for name in ("page", "title", "views", "visitors", "heat"):
            assert getattr(one, name) == getattr(other, name)
        assert (one.visible.sum, one.active.sum) == (other.visible.sum, other.active.sum)
        for name in ("q1", "median", "q3"):
            assert getattr(one.visible, name) == pytest.approx(getattr(other.visible, name), rel=0.02, abs=1)
            assert getattr(one.active, name) == pytest.approx(getattr(other.active, name), rel=0.02, abs=1)
            assert getattr(one.scroll, name) == pytest.approx(getattr(other.scroll, name), abs=0.6)


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


MOMENT = VisitFilter(limit=1_000, since_at=FIRST + 5, until_at=FIRST + 9)
"""In which there is no whole day."""

PERIODS = [
    VisitFilter(limit=1_000),
    VisitFilter(limit=1_000, since_at=FIRST + DAY_MS // 3),
    VisitFilter(limit=1_000, until_at=FIRST + 5 * DAY_MS),
    VisitFilter(limit=1_000, since_at=FIRST + DAY_MS, until_at=FIRST + 3 * DAY_MS + 1),
    MOMENT,
    VisitFilter(limit=1_000, visitor="v1"),
    VisitFilter(limit=1_000, page="/a"),
    VisitFilter(limit=1_000, page="/none", until_at=FIRST + 5 * DAY_MS),
    VisitFilter(limit=1_000, min_visible_ms=5_000, since_at=FIRST + DAY_MS // 3),
    VisitFilter(limit=1_000, max_visible_ms=60_000, min_visible_ms=9, page="/b", internal=True),
    VisitFilter(limit=1_000, excluded=True),
    VisitFilter(limit=1_000, internal=True, since_at=FIRST + DAY_MS // 3),
    VisitFilter(limit=1_000, verified=True),
    VisitFilter(limit=1_000, verified=False, page="/c", excluded=True, internal=True),
    VisitFilter(limit=1_000, ended_by=("signed_out",)),
    VisitFilter(limit=1_000, ended_by=("leave", "away", "here")),
    VisitFilter(limit=1_000, ended_by=("lost", "idle"), verified=True, min_visible_ms=5_000, until_at=FIRST + 5 * DAY_MS),
]


async def blocks(store: SqliteStore) -> list[int]:
    """Tell which blocks are put together."""
    query = days.select().with_only_columns(days.c.day).where(days.c.part == f"{BLOCK}check").order_by(days.c.day)
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
    return {name for body in bodies for name in Texts(body)}


async def come(store: SqliteStore, name: str, at: int) -> None:
    """Put a visit of somebody there."""
    session = replace(session_of(name, subject=name, now=at), ended_at=at + 9, ended_by=EndedBy.SIGNED_OUT)
    stay = Visit(handle=session.handle, number=1, subject=name, started_at=at, last_seen_at=at + 9, covered_until_at=at, visible_ms=9)
    await store.keep([Changed(session.handle, 1, session, [stay], [])])


async def summarised(store: SqliteStore) -> list[int]:
    """Tell which days are summarised."""
    query = days.select().with_only_columns(days.c.day).where(days.c.part == "check").order_by(days.c.day)
    return list(await store.readers(lambda connection: connection.execute(query).scalars().all()))
