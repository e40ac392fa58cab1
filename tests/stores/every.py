"""Every store there is, and how a test gets an empty one. A new store is one line here, and is then held to all that the others keep."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

from stillhere.archive.records import Asked, VisitFilter
from stillhere.core.records import View, Visit
from stillhere.stores import open_store
from stillhere.stores.memory import MemoryStore
from stillhere.stores.protocol import Granting, Listable, Noting, Store, Sweepable, Watchable
from stillhere.stores.sql.schema import record_of, views, visits
from stillhere.testing import Need, Opener, World
from stillhere.testing.scene import ABSOLUTE, GAP, IDLE, POLICY, claim_of, id_of, session_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Connection, Table

    from stillhere.archive.archive import Archive
    from stillhere.stores.sql.readers import Readers
    from stillhere.stores.sql.schema import Record
    from tests.services import Postgresql, RedisCluster, RedisServer

__all__ = [
    "ABSOLUTE",
    "GAP",
    "IDLE",
    "POLICY",
    "SERVED",
    "STORES",
    "UNABLE",
    "FullStore",
    "claim_of",
    "fresh_url",
    "id_of",
    "opened",
    "opening",
    "session_of",
    "url_with_tables",
    "world_of",
]

STORES: Final = ("memory", "sqlite", "postgresql", "redis", "redis-cluster")
"""Their names."""

SERVED: Final = frozenset({"postgresql", "redis", "redis-cluster"})
"""Those that need a server; it is started when the first test asks for it, and stopped when the tests are over."""

UNABLE: Final[dict[str, Collection[Need]]] = {"memory": (Need.REOPENABLE,)}
"""What a store cannot do. All others can do everything."""

_numbers: Final = count()


class FullStore(Store, Listable, Sweepable, Watchable, Granting, Noting, Protocol):
    """A store with every optional ability."""


def fresh_url(name: str, folder: Path) -> str:
    """Tell the URL of an empty store: a new file, a new database on the server, or keys with a prefix of their own."""
    number = next(_numbers)
    if name == "memory":
        return "memory://"
    if name == "sqlite":
        return f"sqlite:///{folder}/sessions{number}.db"
    if name == "postgresql":
        return _postgresql().database(f"fresh{number}")
    if name == "redis":
        return f"{_redis().url}?prefix=fresh{number}"
    assert name == "redis-cluster", f"no store is called {name}"
    return f"{_redis_cluster().url}?prefix=fresh{number}"


def url_with_tables(name: str, folder: Path) -> str:
    """Tell the URL of an empty store that has its tables: to copy them is quicker than to make them, which other tests look at."""
    if name == "sqlite":
        file = folder / f"sessions{next(_numbers)}.db"
        shutil.copyfile(_file_with_tables(), file)
        return f"sqlite:///{file}"
    if name == "postgresql":
        return _postgresql().database(f"fresh{next(_numbers)}", template=_database_with_tables())
    return fresh_url(name, folder)


@cache
def _file_with_tables() -> Path:
    _, folder = _servers()
    file = folder / "tables.db"
    store, _ = open_store(f"sqlite:///{file}")
    with ThreadPoolExecutor(1) as elsewhere:  # in this thread a loop may run
        elsewhere.submit(asyncio.run, store.close()).result()
    return file


@cache
def _database_with_tables() -> str:
    open_store(_postgresql().database("tables"))  # which leaves nobody connected
    return "tables"


def opened(name: str, folder: Path) -> tuple[FullStore, Archive]:
    """Open one of `STORES`, empty, and its archive."""
    return _open(url_with_tables(name, folder))


def _open(url: str) -> tuple[FullStore, Archive]:
    store, archive = open_store(url)
    assert isinstance(store, Listable)
    assert isinstance(store, Sweepable)
    assert isinstance(store, Watchable)
    assert isinstance(store, Granting)
    assert isinstance(store, Noting)
    return cast("FullStore", store), archive


@contextmanager
def opening(name: str, folder: Path) -> Iterator[Opener[FullStore]]:
    """Say to the kit how one of `STORES` is opened; what was made on a server is removed at the end of the block."""
    homes: dict[FullStore, tuple[str, Archive]] = {}

    def open_at(url: str) -> FullStore:
        store, archive = _open(url)
        homes[store] = url, archive
        return store

    def open_fresh() -> FullStore:
        return open_at(url_with_tables(name, folder))

    def reopen(store: FullStore) -> FullStore:
        return open_at(homes[store][0])

    async def world(store: FullStore) -> World:
        return await world_of(store, homes[store][1])

    can_reopen = Need.REOPENABLE not in UNABLE.get(name, ())
    try:
        yield Opener(open_fresh, reopen=reopen if can_reopen else None, durable=can_reopen, world=world)
    finally:
        if name == "postgresql":
            _drop({url.rpartition("/")[2] for url, _ in homes.values()})


async def world_of(store: Store, archive: Archive) -> World:
    """Show all views and visits that a store keeps: from its own tables where it has some, else through its archive."""
    if isinstance(store, MemoryStore):
        every_view = (view for by_name in store.views.values() for view in by_name.values())
        return World.of(every_view, (visit for in_order in store.visits.values() for visit in in_order))
    readers: Readers | None = getattr(store, "readers", None)
    if readers is not None:
        return World.of(await readers(_all, views, View), await readers(_all, visits, Visit))
    source = archive._source
    found = [one.visit for one in await source.visits(Asked(wanted=VisitFilter(limit=1_000_000)))]
    return World.of(await source.views(sorted({visit.handle for visit in found})), found)


def _all(connection: Connection, table: Table, kind: type[Record]) -> list[Record]:
    return [record_of(row, kind) for row in connection.execute(table.select())]


@cache
def _servers() -> tuple[ExitStack, Path]:
    """Hold the servers that run, and a folder for their logs, until the tests are over."""
    running = ExitStack()
    atexit.register(running.close)
    return running, Path(running.enter_context(tempfile.TemporaryDirectory(prefix="stillhere-servers-")))


@cache
def _postgresql() -> Postgresql:
    from tests.services import postgresql  # noqa: PLC0415  # drivers are loaded only where a server is wanted

    running, folder = _servers()
    return running.enter_context(postgresql(folder / "postgresql"))


def _drop(databases: Collection[str]) -> None:
    from psycopg import sql  # noqa: PLC0415  # as above

    for database in databases:
        _postgresql().execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))


@cache
def _redis() -> RedisServer:
    from tests.services import redis_server  # noqa: PLC0415  # as above

    running, folder = _servers()
    return running.enter_context(redis_server(folder / "redis"))


@cache
def _redis_cluster() -> RedisCluster:
    from tests.services import redis_cluster  # noqa: PLC0415  # as above

    running, folder = _servers()
    return running.enter_context(redis_cluster(folder / "cluster"))
