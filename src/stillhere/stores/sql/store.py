"""The store on SQLite: one file, several processes, nothing answered that is not on disk."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

import msgspec
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from stillhere.core.records import Claim, EndedBy, Outcome, Session
from stillhere.errors import SessionExists, StoreError
from stillhere.stores.sql.engine import open_engine
from stillhere.stores.sql.migrations import VERSION_TABLE, upgrade
from stillhere.stores.sql.schema import record_of, sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection, Engine

Params = ParamSpec("Params")
Result = TypeVar("Result")

_REMEMBERING: Final = ("place", "find_view", "choose_visit", "begin_visit", "open_view", "grow_view", "grow_visit")
"""What a claim does beyond its session, in this order."""

_deadline: Final = func.min(sessions.c.last_active_at + sessions.c.idle_timeout, sessions.c.absolute_end_at)

_READERS: Final = 4


class SqlStore:
    """Keeps sessions, views and visits in one SQLite file.

    One thread writes, for SQLite has one writer; a few others read beside it (write-ahead log). Every transaction is synced
    to disk before it is answered. Other processes wait their turn for up to five seconds, then it is `StoreError`.

    Args:
        url: `sqlite:///relative.db` or `sqlite:////absolute.db`. The file is made if there is none, readable by its owner only.

    Attributes:
        readers: runs a query in a reading thread, for the archive.

    Raises:
        SettingsError: if the URL names no file.
        StoreError: if the file cannot be opened, or was written by a newer version.
    """

    def __init__(self, url: str) -> None:
        """Open the file and bring it to the newest version."""
        self._engine = open_engine(url)
        self._sql = _statements()
        with _translated():
            try:
                with self._engine.begin() as connection:
                    upgrade(connection)
                self._connection = self._engine.connect()
                with self._transaction() as cursor:
                    cursor.execute(self._sql["claims"])
            except BaseException:
                self._engine.dispose()
                raise
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="stillhere-writer")
        self.readers = Readers(self._engine)

    async def create(self, session: Session) -> None:
        """See `Store.create`."""
        await self._write(self._create, session)

    def _create(self, session: Session) -> None:
        try:
            with self._transaction():
                self._connection.execute(sessions.insert(), msgspec.to_builtins(session))
        except IntegrityError as error:
            raise SessionExists(session.handle) from error

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, now: int) -> list[Outcome]:
        """See `Store.beat`."""
        return await self._write(self._beat, claims, visit_gap, now)

    def _beat(self, claims: Sequence[Claim], visit_gap: int, now: int) -> list[Outcome]:
        outcomes: list[Outcome] = [Outcome(session=None)] * len(claims)
        parameters = {"visit_gap": visit_gap, "now": now}
        with self._transaction() as cursor:
            for wave in _waves(claims):
                cursor.executemany(self._sql["put_claim"], [_row(n, claims[n]) for n in wave])
                lapsed = {row[0] for row in cursor.execute(self._sql["lapse"], parameters).fetchall()}
                cursor.execute(self._sql["credit"], parameters)
                if any(claims[n].view is not None or claims[n].opens for n in wave):
                    for name in _REMEMBERING:
                        cursor.execute(self._sql[name], parameters)
                for n, *row in cursor.execute(self._sql["read_sessions"]):
                    session = _session(row)
                    outcomes[n] = Outcome(session=session, ended_now=session.id_hash in lapsed)
                cursor.execute("DELETE FROM temp.claims")
        return outcomes

    async def get(self, id_hash: str) -> Session | None:
        """See `Store.get`."""
        return await self.readers(self._one, sessions.c.id_hash == id_hash)

    async def find(self, handle: str) -> Session | None:
        """See `Store.find`."""
        return await self.readers(self._one, sessions.c.handle == handle)

    @staticmethod
    def _one(connection: Connection, condition: Any) -> Session | None:  # noqa: ANN401  # SQLAlchemy's own type is Any's
        row = connection.execute(select(sessions).where(condition)).one_or_none()
        return None if row is None else record_of(row, Session)

    async def rotate(self, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """See `Store.rotate`."""
        return await self._write(self._rotate, id_hash, new_id_hash, now)

    def _rotate(self, id_hash: str, new_id_hash: str, now: int) -> Session | None:
        try:
            with self._transaction() as cursor:
                parameters = {"id_hash": id_hash, "new_id_hash": new_id_hash, "now": now}
                rotated = cursor.execute(self._sql["rotate"], parameters).rowcount
                return self._one(self._connection, sessions.c.id_hash == new_id_hash) if rotated else None
        except sqlite3.IntegrityError as error:
            raise SessionExists("another session") from error

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """See `Store.end`."""
        return await self._write(self._end, handle, by, now)

    def _end(self, handle: str, by: EndedBy, now: int) -> Outcome:
        with self._transaction() as cursor:
            ended = cursor.execute(self._sql["end"], {"handle": handle, "ended_by": by.value, "now": now}).rowcount
            return Outcome(session=self._one(self._connection, sessions.c.handle == handle), ended_now=ended == 1)

    async def living(self, *, subject: str | None, limit: int, now: int) -> list[Session]:
        """See `Listable.living`."""
        query = (
            select(sessions)
            .where(sessions.c.ended_at.is_(None), _deadline > now)
            .order_by(sessions.c.last_seen_at.desc(), sessions.c.handle)
            .limit(limit)
        )
        if subject is not None:
            query = query.where(sessions.c.subject == subject)
        return await self.readers(lambda connection: [record_of(row, Session) for row in connection.execute(query)])

    async def sweep(self, *, limit: int, now: int) -> list[Session]:
        """See `Sweepable.sweep`. Looks for candidates beside the writer, so that beats do not wait behind the search."""
        lapsed = select(sessions.c.handle).where(sessions.c.ended_at.is_(None), _deadline <= now).limit(limit)
        handles = await self.readers(lambda connection: list(connection.execute(lapsed).scalars()))
        return await self._write(self._sweep, handles, now) if handles else []

    def _sweep(self, handles: Sequence[str], now: int) -> list[Session]:
        with self._transaction() as cursor:
            parameters = {"handles": json.dumps(handles), "now": now}
            ended = [row[0] for row in cursor.execute(self._sql["sweep"], parameters)]
            found = self._connection.execute(select(sessions).where(sessions.c.handle.in_(ended)))
            return [record_of(row, Session) for row in found]

    async def count(self, *, now: int) -> int:
        """See `Listable.count`."""
        query = select(func.count()).select_from(sessions).where(sessions.c.ended_at.is_(None), _deadline > now)
        return await self.readers(lambda connection: connection.execute(query).scalar_one())

    async def ping(self) -> None:
        """See `Store.ping`. Takes the write lock and lets it go: a full disk or a read-only file is found out."""
        await self._write(self._ping)

    def _ping(self) -> None:
        with self._transaction() as cursor:
            cursor.execute(f"UPDATE {VERSION_TABLE} SET version_num = version_num")  # noqa: S608  # our own constant

    async def close(self) -> None:
        """See `Store.close`."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.shutdown()
        self.readers.close()
        self._connection.close()
        self._engine.dispose()

    async def _write(self, work: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
        return await _run_in(self._writer, lambda: work(*args, **kwargs))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        """Run in one transaction, and hand out the driver's cursor: the hot statements go past the portable layer."""
        with self._connection.begin():
            connection = cast("sqlite3.Connection", self._connection.connection.driver_connection)
            cursor = connection.cursor()
            try:
                yield cursor
            finally:
                cursor.close()


class Readers:
    """Runs queries beside the writer, in a few threads with a connection each.

    Args:
        engine: opens the connections.
    """

    def __init__(self, engine: Engine) -> None:
        """Start no thread yet."""
        self._engine = engine
        self._threads = ThreadPoolExecutor(_READERS, thread_name_prefix="stillhere-reader")

    async def __call__(self, query: Callable[..., Result], *args: object) -> Result:
        """Run `query(connection, *args)` in a reading thread.

        Raises:
            StoreError: if the database cannot be reached.
        """

        def run() -> Result:
            with self._engine.connect().execution_options(reads=True) as connection:
                return query(connection, *args)

        return await _run_in(self._threads, run)

    def close(self) -> None:
        """Wait for what runs, then end the threads."""
        self._threads.shutdown()


async def _run_in(threads: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    try:
        running = threads.submit(work)
    except RuntimeError as error:
        raise StoreError("the session store is closed") from error
    with _translated():
        return await asyncio.wrap_future(running)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's trouble into `StoreError`, keeping the cause; no parameters in the text, they may be secret."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise StoreError(f"the session store did not answer: {cause}") from error


def _statements() -> dict[str, str]:
    folder = files("stillhere.stores.sql").joinpath("sqlite")
    return {file.name.removesuffix(".sql"): file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".sql")}


def _waves(claims: Sequence[Claim]) -> Iterator[list[int]]:
    """Split a batch so that no session is in one wave twice; the order of each session's claims is kept."""
    taken: defaultdict[str, int] = defaultdict(int)
    waves: list[list[int]] = []
    for n, claim in enumerate(claims):
        wave = taken[claim.id_hash]
        taken[claim.id_hash] += 1
        if wave == len(waves):
            waves.append([])
        waves[wave].append(n)
    yield from waves


def _row(n: int, claim: Claim) -> tuple[object, ...]:
    return (
        n,
        claim.id_hash,
        claim.age_ms,
        claim.active_ago_ms,
        claim.on_screen,
        claim.chosen,
        claim.opens,
        claim.leaves,
        claim.view,
        claim.tab,
        claim.page,
        claim.title,
        claim.visible_ms,
        claim.active_ms,
        claim.scroll_pct,
        claim.lifecycle,
        claim.seq,
    )


def _session(row: Sequence[Any]) -> Session:
    """Build a session from columns in the order of the record."""
    *facts, attributes, ended_at, ended_by = row
    return Session(
        id_hash=facts[0],
        handle=facts[1],
        subject=facts[2],
        created_at=facts[3],
        last_active_at=facts[4],
        last_seen_at=facts[5],
        absolute_end_at=facts[6],
        idle_timeout=facts[7],
        attributes={} if attributes == "{}" else json.loads(attributes),  # as SQLAlchemy wrote them; msgspec would refuse a NaN
        ended_at=ended_at,
        ended_by=None if ended_by is None else EndedBy(ended_by),
    )
