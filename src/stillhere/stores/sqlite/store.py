"""The store on SQLite: one file, several processes, nothing answered that is not on disk."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, cast

from sqlalchemy import func, select, union_all
from sqlalchemy.exc import IntegrityError

from stillhere.core.records import Claim, EndedBy, Outcome, Session
from stillhere.errors import SessionExists, StoreError
from stillhere.stores.sql import listing
from stillhere.stores.sql.days import forget_days
from stillhere.stores.sql.keeping import columns_of, keep
from stillhere.stores.sql.migrations import VERSION_TABLE, upgrade
from stillhere.stores.sql.readers import Readers, run_in, translated
from stillhere.stores.sql.schema import ends, grants, record_of, sessions, views, visits
from stillhere.stores.sql.waves import waves
from stillhere.stores.sqlite import grants as granting
from stillhere.stores.sqlite.engine import open_engine

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from stillhere.core.grants import Grant, Held, Swapped
    from stillhere.stores.protocol import Changed

Params = ParamSpec("Params")
Result = TypeVar("Result")

_VIEWED: Final = ("place", "find_view", "choose_visit", "begin_visit", "open_view", "grow_view", "grow_visit")
"""What a claim does beyond its session, in this order."""

_VIEWLESS: Final = ("place", "choose_visit", "begin_visit", "grow_visit")
"""The same, where no claim names a view."""

TOLD_LIMIT: Final = 10_000
"""Ends that are kept for those who watch. Who falls further behind looks at all it holds."""

LOOKS: Final = 100
"""Sessions that one transaction of the sweep looks at, so that a beat never waits long behind it."""

WATCH_INTERVAL_S: Final = 0.25
"""How often one who watches looks; an end is to be known in open pages within a second."""


class SqliteStore:
    """Keeps sessions, views, visits and grants in one SQLite file.

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
        self._is_closed = False
        self._engine = open_engine(url)
        self._sql = _statements()
        with translated():
            try:
                with self._engine.begin() as connection:
                    upgrade(connection)
                self._connection = self._engine.connect()
                with self._transaction() as cursor:
                    # 64 MB; with the default of 2 every beat among a million sessions reads its pages anew.
                    cursor.execute("PRAGMA cache_size = -65536")
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
                self._connection.execute(sessions.insert(), columns_of(session))
        except IntegrityError as error:
            raise SessionExists(session.handle) from error

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """See `Store.beat`."""
        return await self._write(self._beat, claims, {"visit_gap": visit_gap, "touch_interval": touch_interval, "now": now})

    def _beat(self, claims: Sequence[Claim], parameters: Mapping[str, int]) -> list[Outcome]:
        outcomes: list[Outcome] = [Outcome(session=None)] * len(claims)
        with self._transaction() as cursor:
            for wave in waves(claims):
                has_views = any(claims[n].view is not None for n in wave)
                if has_views:
                    cursor.executemany(self._sql["put_claim"], [(*_touch(n, claims[n]), *_view(claims[n])) for n in wave])
                else:
                    cursor.executemany(self._sql["put_touch"], [_touch(n, claims[n]) for n in wave])
                lapsed = [row[0] for row in cursor.execute(self._sql["lapse"], parameters).fetchall()]
                found = cursor.execute(self._sql["credit"], parameters).fetchall()
                if len(found) < len(wave):  # some were over, or were spared by the touch interval, or there are none such
                    found = cursor.execute(self._sql["read_sessions"]).fetchall()
                if has_views or any(claims[n].opens for n in wave):
                    for name in _VIEWED if has_views else _VIEWLESS:
                        cursor.execute(self._sql[name], parameters)
                cursor.execute("DELETE FROM temp.claims")
                self._tell(lapsed)
                by_handle = {claims[n].handle: n for n in wave}
                for row in found:
                    outcomes[by_handle[row[0]]] = Outcome(session=_session(row), ended_now=row[0] in lapsed)
        return outcomes

    async def get(self, handle: str) -> Session | None:
        """See `Store.get`."""
        return await self.readers(self._one, handle)

    @staticmethod
    def _one(connection: Connection, handle: str) -> Session | None:
        row = connection.execute(select(sessions).where(sessions.c.handle == handle)).one_or_none()
        return None if row is None else record_of(row, Session)

    async def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """See `Store.rotate`."""
        return await self._write(self._rotate, handle, id_hash, new_id_hash, now)

    def _rotate(self, handle: str, id_hash: str, new_id_hash: str, now: int) -> Session | None:
        with self._transaction() as cursor:
            parameters = {"handle": handle, "id_hash": id_hash, "new_id_hash": new_id_hash, "now": now}
            rotated = cursor.execute(self._sql["rotate"], parameters).rowcount
            return self._one(self._connection, handle) if rotated else None

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """See `Store.end`."""
        return await self._write(self._end, handle, by, now)

    def _end(self, handle: str, by: EndedBy, now: int) -> Outcome:
        with self._transaction() as cursor:
            ended = cursor.execute(self._sql["end"], {"handle": handle, "ended_by": by.value, "now": now}).rowcount
            self._tell([handle] * ended)
            return Outcome(session=self._one(self._connection, handle), ended_now=ended == 1)

    async def living(self, *, subject: str | None, limit: int, now: int) -> list[Session]:
        """See `Listable.living`."""
        return await listing.living(self.readers, subject=subject, limit=limit, now=now)

    async def sweep(self, *, limit: int, now: int) -> list[Session]:
        """See `Sweepable.sweep`. In short transactions, and it looks for candidates beside the writer: beats do not wait for either."""
        due = select(sessions.c.handle).where(sessions.c.ended_at.is_(None), sessions.c.due_at <= now).order_by(sessions.c.due_at)
        swept: list[Session] = []
        while len(swept) < limit:
            query = due.limit(min(limit - len(swept), LOOKS))
            handles = await self.readers(lambda connection, query=query: list(connection.execute(query).scalars()))
            if not handles:
                break
            try:
                swept += await self._write(self._sweep, handles, now)
            except StoreError:
                if not swept:
                    raise
                break  # who was swept is told of; the next call meets the trouble
        return swept

    def _sweep(self, handles: Sequence[str], now: int) -> list[Session]:
        with self._transaction() as cursor:
            parameters = {"handles": json.dumps(handles), "now": now}
            ended = [row[0] for row in cursor.execute(self._sql["sweep"], parameters)]
            cursor.execute(self._sql["put_off"], parameters)
            self._tell(ended)
            self._connection.execute(ends.delete().where(ends.c.number <= select(func.max(ends.c.number)).scalar_subquery() - TOLD_LIMIT))
            found = self._connection.execute(select(sessions).where(sessions.c.handle.in_(ended)))
            return [record_of(row, Session) for row in found]

    async def forget(self, *, ended_before: int, limit: int) -> int:
        """See `Forgetful.forget`."""
        ended = select(sessions.c.handle).where(sessions.c.ended_at < ended_before)
        lost = select(sessions.c.handle).where(sessions.c.ended_at.is_(None), sessions.c.absolute_end_at < ended_before)
        handles = await self.readers(lambda connection: list(connection.execute(union_all(ended, lost).limit(limit)).scalars()))
        return await self._write(self._forget, handles) if handles else 0

    def _forget(self, handles: Sequence[str]) -> int:
        with self._transaction():
            stayed = select(visits.c.started_at).where(visits.c.handle.in_(handles))
            forget_days(self._connection, self._connection.execute(stayed).scalars().all())
            for table in (views, visits, grants):
                self._connection.execute(table.delete().where(table.c.handle.in_(handles)))
            return self._connection.execute(sessions.delete().where(sessions.c.handle.in_(handles))).rowcount

    async def held(self, handle: str, kind: str) -> Held:
        """See `Granting.held`."""
        return await self.readers(granting.held, handle, kind)

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        return await self._at_once(granting.swap, grant, now)

    async def due_grants(self, kind: str, *, limit: int, now: int, until: int) -> list[Held]:
        """See `Granting.due_grants`."""
        return await self._at_once(granting.due_grants, kind, limit, now, until)

    async def drop(self, handle: str, kind: str, *, version: int) -> bool:
        """See `Granting.drop`."""
        return await self._at_once(granting.drop, handle, kind, version)

    async def first(self, name: str, *, until: int, now: int) -> bool:
        """See `Noting.first`."""
        return await self._at_once(granting.first, name, until, now)

    async def note(self, name: str, handle: str, *, until: int) -> None:
        """See `Noting.note`."""
        await self._at_once(granting.note, name, handle, until)

    async def noted(self, name: str, *, now: int) -> list[str]:
        """See `Noting.noted`."""
        return await self.readers(granting.noted, name, now)

    async def generation(self, subject: str) -> int:
        """See `Noting.generation`."""
        return await self.readers(granting.generation, subject)

    async def advance(self, subject: str) -> int:
        """See `Noting.advance`."""
        return await self._at_once(granting.advance, subject)

    async def keep(self, changes: Sequence[Changed]) -> None:
        """See `ArchiveSink.keep`."""
        await self._write(self._keep, changes)

    def _keep(self, changes: Sequence[Changed]) -> None:
        with self._transaction():
            keep(self._connection, changes)

    def _tell(self, handles: Sequence[str]) -> None:
        """Leave word of ends for those who watch, in the transaction that records them."""
        if handles:
            self._connection.execute(ends.insert(), [{"handle": handle} for handle in handles])

    async def watch(self) -> AsyncIterator[str | None]:
        """See `Watchable.watch`. SQLite pushes nothing, so it looks four times a second."""
        last = await self.readers(lambda connection: connection.execute(select(func.max(ends.c.number))).scalar() or 0)
        yield None
        while True:
            await asyncio.sleep(WATCH_INTERVAL_S)
            try:
                told = await self.readers(_told_since, last)
            except StoreError:
                if self._is_closed:
                    raise
                continue  # trouble that may pass; nothing is missed, for it goes on where it was
            if told and told[0].number > last + 1:
                yield None
            for row in told:
                last = row.number
                yield row.handle

    async def count(self, *, now: int) -> int:
        """See `Listable.count`."""
        return await listing.count(self.readers, now=now)

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
        self._is_closed = True
        self._writer.shutdown()
        self.readers.close()
        self._connection.close()
        self._engine.dispose()

    async def _write(self, work: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
        return await run_in(self._writer, lambda: work(*args, **kwargs))

    async def _at_once(
        self, work: Callable[Concatenate[Connection, Params], Result], *args: Params.args, **kwargs: Params.kwargs
    ) -> Result:
        """Run in the writing thread, in one transaction."""

        def run() -> Result:
            with self._transaction():
                return work(self._connection, *args, **kwargs)

        return await run_in(self._writer, run)

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


def _statements() -> dict[str, str]:
    folder = files("stillhere.stores.sqlite")
    return {file.name.removesuffix(".sql"): file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".sql")}


def _told_since(connection: Connection, last: int) -> Sequence[Any]:
    return connection.execute(select(ends.c.number, ends.c.handle).where(ends.c.number > last).order_by(ends.c.number)).all()


def _touch(n: int, claim: Claim) -> tuple[object, ...]:
    """Write what a claim says of its session, in the order of put_touch.sql."""
    return (
        n,
        claim.handle,
        claim.id_hash,
        claim.age_ms,
        claim.active_ago_ms,
        claim.on_screen,
        claim.chosen,
        claim.opens,
        claim.leaves,
    )


def _view(claim: Claim) -> tuple[object, ...]:
    """Write what it says of a view, in the order of put_claim.sql."""
    return (
        claim.view,
        claim.tab,
        claim.page,
        claim.title,
        claim.visible_ms,
        claim.active_ms,
        claim.scroll_pct,
        claim.lifecycle,
        claim.seq,
        claim.heat,
        claim.bands,
    )


def _session(row: Sequence[Any]) -> Session:
    """Build a session from columns in the order of the record."""
    *facts, attributes, ended_at, ended_by = row
    return Session(
        handle=facts[0],
        id_hash=facts[1],
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
