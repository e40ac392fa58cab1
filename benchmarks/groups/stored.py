"""Whether a beat costs more, the more sessions are stored; what a session takes; and how beats fare while many ends are recorded."""

from __future__ import annotations

import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from psycopg import sql

from benchmarks import verify
from benchmarks.measure import BenchmarkError, alternate, measure
from benchmarks.rows import Goal, row
from benchmarks.services import STORES
from benchmarks.sides import ALL_CORES, Stage
from tests.services import Postgresql, RedisServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measure import Side
    from benchmarks.rows import Row, Scale
    from benchmarks.services import Services
    from tests.services.process import Server

FLAT = Goal(1.15, "at most")
SMALL = Goal(300, "at most")
CALM = Goal(3, "at most")


class _Store(NamedTuple):
    """A store for one side, how much it took when it was empty, and the file with the cookies of those who are in it."""

    url: str
    databases: Sequence[Server]
    sessions: int
    lapsed: int
    empty: int
    cookies: Path | None


def stored(stage: Stage, services: Services, scale: Scale) -> list[Row]:
    """Measure every store with few, many and very many sessions in it."""
    rows: list[Row] = []
    stores = {kind: [_store(kind, count, stage, services, scale) for count in scale.stored] for kind in STORES}
    _fill([store for kind in STORES for store in stores[kind] if store.cookies], stage.folder, scale)
    for kind in STORES:
        # A stage for each: a million sessions in memory are let go before the next million come.
        folder = stage.folder / kind
        folder.mkdir()
        with Stage(folder, people=scale.sampled) as own:
            rows += _stored(kind, own, stores[kind], scale)
    return rows


def _store(kind: str, count: int, stage: Stage, services: Services, scale: Scale) -> _Store:
    url, databases = services.store(kind)
    cookies = None if kind == "memory" else stage.cookies(f"{kind} {count}")
    return _Store(url, databases, count, scale.lapsed if count == scale.stored[-1] else 0, _bytes(url, databases), cookies)


def _fill(stores: list[_Store], folder: Path, scale: Scale) -> None:
    """Fill them on all cores, those that take longest first: nothing is measured meanwhile."""
    with ThreadPoolExecutor(os.cpu_count()) as pool, Stage(folder, people=scale.sampled) as filling:

        def fill(store: _Store) -> None:
            assert store.cookies is not None
            filling.fill(store.url, store.sessions, lapsed=store.lapsed, cookies=store.cookies, cores=ALL_CORES)

        for _ in pool.map(fill, sorted(stores, key=lambda store: -store.sessions)):
            pass


def _stored(kind: str, stage: Stage, stores: list[_Store], scale: Scale) -> list[Row]:
    sides = {}
    for store in stores:
        name = f"{kind}, {store.sessions:,} stored"
        sides[store.sessions] = stage.embedded(name, store.url, databases=store.databases, stored=store.sessions, filled=store.cookies)
        verify.touches(sides[store.sessions])
    most = stores[-1].sessions
    if kind == "memory":
        few, many = (_resident(sides[count].server) for count in (scale.stored[0], most))
        size = (many - few) / (most - scale.stored[0])
    else:
        size = (_bytes(stores[-1].url, stores[-1].databases) - stores[-1].empty) / (most + scale.lapsed)
    made = row(f"a session in {kind}", [size], "bytes", group="bytes for each session", goal=SMALL if kind == "redis" else None)
    found = alternate(list(sides.values()), rounds=scale.rounds, seconds=1)
    cpu = {count: [round_.cpu_us + round_.database_us for round_ in found[side.name]] for count, side in sides.items()}
    least = (f"{scale.stored[0]:,} stored", cpu[scale.stored[0]])
    rows = [row(sides[count].name, cpu[count], "µs/beat", group="sessions stored", peer=least, goal=FLAT) for count in scale.stored[1:]]
    return [*rows, made, *([] if kind == "memory" else [_swept(kind, sides[most], scale)])]


def _swept(kind: str, side: Side, scale: Scale) -> Row:
    """Record the ends of all that lapsed while beats go on; compare the slowest hundredth with quiet times."""
    swept: list[int] = []
    sweep = threading.Thread(target=lambda: swept.append(verify.ask(side, "GET", "/bench/sweep", timeout_s=600).body))
    quiet = [measure(side, seconds=1).p99_us / 1000 for _ in range(scale.rounds)]
    sweep.start()
    busy = []
    while sweep.is_alive():
        busy.append(measure(side, seconds=1).p99_us / 1000)
    sweep.join()
    if swept != [scale.lapsed]:
        raise BenchmarkError(f"{side.name}: {scale.lapsed} sessions had lapsed, and {swept} were swept")
    during = busy[:-1] or busy  # the sweep ended within the last
    name = f"p99 while {scale.lapsed:,} of {scale.stored[-1]:,} lapse, {kind}"
    made = row(name, [median(during)], "ms", group="sweeping", peer=("quiet", [median(quiet)]), goal=CALM)
    return msgspec.structs.replace(made, rounds=during, peer_rounds=quiet)


def _bytes(url: str, databases: Sequence[Server]) -> int:
    """Tell how much a store takes; 0 for one in memory."""
    for server in databases:
        if isinstance(server, RedisServer):
            return int(server.ask("INFO", "memory")["used_memory"])
        if isinstance(server, Postgresql):
            tables = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'stillhere%'"
            return int(server.execute(sql.SQL(tables), database=url.rpartition("/")[2])[0][0])
    file = Path(url.partition("///")[2])
    if not file.is_file():
        return 0
    with closing(sqlite3.connect(file)) as connection:
        pages, page = (connection.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "page_size"))
    return int(pages * page)


def _resident(server: Server) -> int:
    """Tell how much memory a server's processes have."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1]) for pid in server.pids)
    return pages * os.sysconf("SC_PAGE_SIZE")
