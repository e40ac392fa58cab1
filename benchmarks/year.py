"""A year of visits, made up by a fixed seed and put into a store at once: what the dashboard's questions are measured on."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import cache
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

import numpy as np
import psycopg

from benchmarks.bulk import copy_rows, insert_rows
from stillhere.core.heat import PARTS
from stillhere.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAY_MS: Final = 86_400_000
YEAR_MS: Final = 365 * DAY_MS
END_AT: Final = 1_767_225_600_000
"""The year is 2025."""

SEED: Final = 20_250_101

PAGES: Final = 60

_ATTRIBUTES: Final = ("{}", '{"verified": true}')
VIEWS_EACH: Final = 3

SESSIONS = ("handle", "id_hash", "subject", "created_at", "last_active_at", "last_seen_at", "absolute_end_at", "idle_timeout", "attributes")
VISITS = ("handle", "number", "subject", "started_at", "last_seen_at", "covered_until_at", "visible_ms", "active_ms", "left_at")
VIEWS = (
    "handle",
    "view",
    "visit",
    "tab",
    "page",
    "title",
    "opened_at",
    "last_seen_at",
    "visible_ms",
    "active_ms",
    "scroll_pct",
    "lifecycle",
    "heat",
)

Rows = tuple[list[tuple[object, ...]], list[tuple[object, ...]], list[tuple[object, ...]]]


def year(visits: int, *, visitors: int, batch: int = 20_000) -> Iterator[Rows]:
    """Make up sessions with one visit each, in the order of their starts, and their views.

    Args:
        visits: how many.
        visitors: how many people they are of.
        batch: visits that are made up together.
    """
    draw = random.Random(SEED)  # noqa: S311  # to be the same every time
    for begin in range(0, visits, batch):
        rows: Rows = ([], [], [])
        for n in range(begin, min(begin + batch, visits)):
            _visit(draw, n, END_AT - YEAR_MS + n * YEAR_MS // visits, f"visitor{draw.randrange(visitors)}@fund.example", rows)
        yield rows


def handle_of(n: int) -> str:
    """Name the session of a visit, counted from 0."""
    return f"s{n:015}"


def _visit(draw: random.Random, n: int, started_at: int, subject: str, rows: Rows) -> None:
    sessions, visits, views = rows
    handle, at, visible_total = handle_of(n), started_at, 0
    for view in range(VIEWS_EACH):
        visible = min(int(draw.lognormvariate(10, 1.2)), 3_600_000)
        page = min(int(draw.expovariate(0.08)), PAGES - 1)
        scroll = draw.randrange(0, 101)
        views.append((
            handle, f"v{view}", 1, "t", f"/page/{page}", f"Page {page}", at, at + visible, visible, visible // 2,
            float(scroll), "hidden", _heat(visible // 1_000, 1 + scroll // 5), view,
        ))  # fmt: skip
        at += visible
        visible_total += visible
    visits.append((handle, 1, subject, started_at, at, at, visible_total, visible_total // 2, at))
    sessions.append((handle, "x" * 43, subject, started_at, at, at, at + 1, DAY_MS, _ATTRIBUTES[n % 2], at, "signed_out", at))


@cache
def _heat(seconds: int, parts: int) -> str | None:
    """Write what a view measured that was seen down to one part of the page: all seconds, on each of those parts as many."""
    if not seconds:
        return None
    parts = min(parts, PARTS)
    each, more = divmod(seconds, parts)
    return ".".join(np.base_repr(each + (n < more) if n < parts else 0, 36).lower() for n in range(PARTS))


def fill(sqlite: str, postgresql: str, visits: int, *, visitors: int) -> None:
    """Put the same year into a SQLite and a PostgreSQL store at once, and summarise it; their tables are there.

    Args:
        sqlite: URL of the one.
        postgresql: URL of the other.
        visits: how many.
        visitors: of how many people.
    """
    works = ((_fill_sqlite, sqlite), (_fill_postgresql, postgresql))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        for done in [processes.submit(_fill, work, url, visits, visitors) for work, url in works]:
            done.result()


def _fill(work: Callable[[str, int, int], None], url: str, visits: int, visitors: int) -> None:
    work(url, visits, visitors)
    began = time.monotonic()
    asyncio.run(_summarise(url))
    print(f"summaries in {url.partition(':')[0]}: {time.monotonic() - began:.0f} s", flush=True)


async def _summarise(url: str) -> None:
    store, archive = open_store(url)
    while await archive.summarise(now=END_AT + 3 * DAY_MS):
        pass
    await store.close()


def _fill_sqlite(url: str, visits: int, visitors: int) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")  # kB
        connection.execute("BEGIN")
        for rows in year(visits, visitors=visitors):
            for (table, columns), few in zip(_TABLES, rows, strict=True):
                insert_rows(connection, f"stillhere_{table}", columns, few)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _fill_postgresql(url: str, visits: int, visitors: int) -> None:
    with psycopg.connect(url) as connection:
        for rows in year(visits, visitors=visitors):
            for (table, columns), few in zip(_TABLES, rows, strict=True):
                copy_rows(connection, f"stillhere_{table}", columns, few)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


_TABLES: Final = (("sessions", (*SESSIONS, "ended_at", "ended_by", "due_at")), ("visits", VISITS), ("views", (*VIEWS, "seq")))
