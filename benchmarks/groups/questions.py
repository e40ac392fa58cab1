"""How long the dashboard waits for an answer when a million visits are stored: its default period, all there are, and filters."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from benchmarks.measure import LOAD_CORE
from benchmarks.rows import Goal, row
from benchmarks.year import DAY_MS, END_AT, fill, handle_of
from stillhere.archive.records import VisitFilter
from stillhere.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.rows import Row, Scale
    from benchmarks.services import Services
    from benchmarks.sides import Stage
    from stillhere.archive.archive import Archive

GROUP: Final = "dashboard queries at 1,000,000 visits"

PROMPT: Final = Goal(200, "at most")

LONG_MS: Final = 700
"""What takes this long in all is asked no oftener than it must."""

VISITORS: Final = 20_000

FIRST: Final = "all, 18 seconds or more"
"""Whose pages are asked for by a process that holds nothing in memory yet: nothing else reads as much."""

VISIT: Final = f"{handle_of(7)}.1"
"""One that there is, however few there are."""

ZONE: Final = ZoneInfo("Europe/Berlin")

MONTH: Final = VisitFilter(since_at=END_AT - 30 * DAY_MS, until_at=END_AT)

FILTERS: Final = {
    "30 days": MONTH,
    "all": VisitFilter(),
    "30 days of a page": replace(MONTH, page="/page/3"),
    "30 days, 3 minutes or more": replace(MONTH, min_visible_ms=180_000),
    "30 days, signed out": replace(MONTH, ended_by=("signed_out",)),
    "30 days, verified": replace(MONTH, verified=True),
    "all, signed out": VisitFilter(ended_by=("signed_out",)),
    "all, verified": VisitFilter(verified=True),
    "all, 18 seconds or more": VisitFilter(min_visible_ms=18_000),
    "all of a page": VisitFilter(page="/page/3"),
    "all of a visitor": VisitFilter(visitor="visitor7@fund.example"),
}


def questions(stage: Stage, services: Services, scale: Scale) -> list[Row]:  # noqa: ARG001  # every group gets its stage
    """Measure every question on SQLite and PostgreSQL."""
    # Nothing is compared here: the databases may use every core, as they may at home.
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    urls = {kind: services.store(kind)[0] for kind in ("sqlite", "postgresql")}
    rows = asyncio.run(_all(urls, scale))
    os.sched_setaffinity(0, {LOAD_CORE})
    return rows


async def _all(urls: dict[str, str], scale: Scale) -> list[Row]:
    visits = scale.stored[-1]
    stores = {kind: open_store(url) for kind, url in urls.items()}
    for _, archive in stores.values():
        await archive.totals(beat_interval=180_000, now=END_AT)  # which makes the tables
    fill(urls["sqlite"], urls["postgresql"], visits, visitors=min(VISITORS, visits))
    rows = []
    for kind, (store, archive) in stores.items():
        for words, wanted in FILTERS.items():
            for name, ask in _questions(archive, wanted).items():
                rows.append(row(f"{name}, {words}, {kind}", await _ms(ask, scale), "ms", group=GROUP, goal=PROMPT))
        await store.close()
        rows.append(row(f"pages, {FIRST}, the first question, {kind}", await _first_ms(urls[kind], scale), "ms", group=GROUP))
    return rows


async def _first_ms(url: str, scale: Scale) -> list[float]:
    spent = list[float]()
    while len(spent) < scale.fewer:
        store, archive = open_store(url)
        await archive.visits(MONTH, beat_interval=180_000, now=END_AT)  # which connects, and reads no summaries
        began = time.perf_counter()
        await _questions(archive, FILTERS[FIRST])["pages"]()
        spent.append((time.perf_counter() - began) * 1_000)
        await store.close()
    return spent


def _questions(archive: Archive, wanted: VisitFilter) -> dict[str, Callable[[], Awaitable[Any]]]:
    when = {"beat_interval": 180_000, "now": END_AT}
    asked: dict[str, Callable[[], Awaitable[Any]]] = {
        "visits": lambda: archive.visits(wanted, **when),
        "totals": lambda: archive.totals(wanted, **when),
        "durations": lambda: archive.durations(wanted, **when),
        "visitors": lambda: archive.visitors(wanted, beat_interval=180_000, now=END_AT),
        "visitors by visible time": lambda: archive.visitors(wanted, sort="visible", beat_interval=180_000, now=END_AT),
        "buckets by day": lambda: archive.buckets(wanted, "day", ZONE, **when),
        "pages": lambda: archive.pages(wanted, **when),
        "simultaneous visitors": lambda: archive.simultaneous(wanted, **when),
    }
    if wanted == MONTH:
        asked["buckets by hour"] = lambda: archive.buckets(wanted, "hour", ZONE, **when)
    if wanted == VisitFilter():
        asked["buckets by month"] = lambda: archive.buckets(wanted, "month", ZONE, **when)
        asked["one visit"] = lambda: archive.visit(VISIT, **when)
        asked["who is here"] = lambda: archive.present(seen_since=END_AT - 60_000, **when)
    return asked


async def _ms(ask: Callable[[], Awaitable[Any]], scale: Scale) -> list[float]:
    await ask()  # what the database has never read is not what is measured
    spent = list[float]()
    while len(spent) < scale.rounds and (len(spent) < scale.fewer or sum(spent) < LONG_MS):
        began = time.perf_counter()
        await ask()
        spent.append((time.perf_counter() - began) * 1_000)
    return spent
