"""The outbox in SQL, beside the visits: portable queries; what is written is fenced by the lease."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from sqlalchemy import ColumnElement, Select, Text, and_, bindparam, case, cast, delete, func, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from stillhere.mirrors.records import DeadLetter, Due, LeaseLost, Mark, Row, Step, Waiting
from stillhere.stores.sql.schema import mirror_marks, mirrored, record_of, sessions, visits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from stillhere.core.records import Session
    from stillhere.stores.sql.readers import Readers
READ: Final = 50_000
"""Changed visits that one query finds; each goes through all candidates."""

WRITTEN: Final = 1_000
"""Rows made due in one transaction."""

_KEY: Final = ("mirror", "handle", "number")


class SqlHome(Protocol):
    """A SQL store, as far as an outbox needs one."""

    readers: Readers

    async def get(self, handle: str) -> Session | None:
        """See `Store.get`."""
        ...


class SqlOutbox:
    """Keeps the outbox in two tables of a SQL store.

    Args:
        home: the store that has the visits.
    """

    def __init__(self, home: SqlHome) -> None:
        """Keep the store."""
        self._home = home
        self._read = home.readers
        self._write = home.readers.write

    async def take(self, mirror: str, holder: str, *, now: int, until: int) -> int | None:
        """See `Outbox.take`."""
        return await self._write(_take, mirror, holder, now, until)

    async def release(self, mirror: str, holder: str) -> None:
        """See `Outbox.release`."""
        mine = and_(mirror_marks.c.mirror == mirror, mirror_marks.c.holder == holder)
        await self._write(_run, update(mirror_marks).where(mine).values(lease_until_at=0))

    async def held_until(self, mirror: str) -> int:
        """See `Outbox.held_until`."""
        row = await self._read(_first, select(mirror_marks.c.lease_until_at).where(mirror_marks.c.mirror == mirror))
        return 0 if row is None else row[0]

    async def mark(self, mirror: str) -> Mark | None:
        """See `Outbox.mark`."""
        row = await self._read(_first, select(mirror_marks).where(mirror_marks.c.mirror == mirror))
        return None if row is None else record_of(row, Mark)

    async def wake(self, mirror: str) -> bool:
        """See `Outbox.wake`."""
        waking = update(mirror_marks).where(mirror_marks.c.mirror == mirror).values(pause_until_at=0)
        return await self._write(_run, waking) == 1

    async def scan(self, mirror: str, fence: int, *, since: int, sessions: bool, now: int) -> int:
        """See `Outbox.scan`. It reads beside the writer, and writes in short transactions."""
        found = 0
        for query in _changed(mirror, since, with_sessions=sessions):
            while keys := await self._read(_pairs, query.limit(READ)):
                for begin in range(0, len(keys), WRITTEN):
                    await self._write(_make_due, mirror, fence, keys[begin : begin + WRITTEN], now)
                found += len(keys)
                if len(keys) < READ:
                    break
        return found

    async def due(self, mirror: str, *, limit: int, now: int) -> list[Due]:
        """See `Outbox.due`."""
        query = (
            select(mirrored, case((mirrored.c.number == 0, _SESSION_FACTS), else_=_VISIT_FACTS).label("current"))
            .outerjoin(sessions, sessions.c.handle == mirrored.c.handle)
            .outerjoin(visits, and_(visits.c.handle == mirrored.c.handle, visits.c.number == mirrored.c.number))
            .where(mirrored.c.mirror == mirror, mirrored.c.due_at <= now)
            .order_by(mirrored.c.due_at)
            .limit(limit)
        )
        return await self._read(_all_due, query)

    async def record(self, mirror: str, fence: int, rows: Sequence[Row], *, mark: Mark | None = None) -> None:
        """See `Outbox.record`."""
        await self._write(_record, mirror, fence, rows, mark)

    async def rewind(self, mirror: str, fence: int, *, mark: Mark, now: int) -> None:
        """See `Outbox.rewind`."""
        await self._write(_rewind, mirror, fence, mark, now)

    async def remove(self, mirror: str, fence: int, rows: Sequence[Row]) -> None:
        """See `Outbox.remove`."""
        await self._write(_remove, mirror, fence, rows)

    async def tidy(self, mirror: str, fence: int) -> int:
        """See `Outbox.tidy`."""
        here = select(sessions.c.handle).where(sessions.c.handle == mirrored.c.handle).exists()
        gone = select(mirrored).where(mirrored.c.mirror == mirror, ~here).limit(WRITTEN)
        tidied = 0
        while rows := await self._read(_all_rows, gone):
            await self._write(_remove, mirror, fence, rows)
            tidied += len(rows)
        return tidied

    async def has(self, mirror: str, record_id: str) -> bool:
        """See `Outbox.has`."""
        query = select(mirrored.c.number).where(mirrored.c.mirror == mirror, mirrored.c.record_id == record_id)
        return await self._read(_first, query.limit(1)) is not None

    async def session(self, handle: str) -> Session | None:
        """See `Outbox.session`."""
        return await self._home.get(handle)

    async def waiting(self, mirror: str) -> Waiting:
        """See `Outbox.waiting`."""
        mine = mirrored.c.mirror == mirror
        found = select(func.count(), func.min(mirrored.c.since_at), func.max(mirrored.c.error))
        waits = found.where(mine, mirrored.c.since_at.is_not(None))
        is_dead = select(func.count()).where(mine, mirrored.c.dead_at.is_not(None))
        pending, since_at, error = await self._read(_first, waits)
        (dead,) = await self._read(_first, is_dead)
        return Waiting(pending, since_at, dead, error)

    async def dead(self, mirror: str, *, limit: int) -> list[DeadLetter]:
        """See `Outbox.dead`."""
        query = select(mirrored).where(mirrored.c.mirror == mirror, mirrored.c.dead_at.is_not(None))
        rows = await self._read(_all_rows, query.order_by(mirrored.c.dead_at.desc(), mirrored.c.handle).limit(limit))
        return [letter_of(row) for row in rows]

    async def revive(self, mirror: str, letter: str, *, drop: bool, now: int) -> bool:
        """See `Outbox.revive`."""
        handle, number = read_letter(letter)
        here = and_(mirrored.c.mirror == mirror, mirrored.c.handle == handle, mirrored.c.number == number, mirrored.c.dead_at.is_not(None))
        return await self._write(_run, update(mirrored).where(here).values(**revived(drop=drop, now=now))) == 1

    async def revive_all(self, mirror: str, *, now: int) -> int:
        """See `Outbox.revive_all`."""
        here = and_(mirrored.c.mirror == mirror, mirrored.c.dead_at.is_not(None))
        return await self._write(_run, update(mirrored).where(here).values(**revived(drop=False, now=now)))


def letter_of(row: Row) -> DeadLetter:
    """Show a row as a dead letter."""
    return DeadLetter(id=f"{row.handle}.{row.number}", visit=row.id, at=row.dead_at or 0, attempts=row.attempts, error=row.error or "")


def read_letter(letter: str) -> tuple[str, int]:
    """Read a dead letter's id as handle and number; what is none names nothing."""
    handle, _, number = letter.rpartition(".")
    return handle, int(number) if number.isascii() and number.isdigit() and len(number) < 10 else -1  # noqa: PLR2004  # as many digits as fit


def revived(*, drop: bool, now: int) -> dict[str, Any]:
    """Tell what changes in a dead letter that is tried again, or dropped. What it is called over there is forgotten, for it may be gone."""
    again = {"dead_at": None, "attempts": 0}
    if drop:
        return {**again, "step": Step.DROPPED.value}
    return {**again, "step": Step.SENDING.value, "record_id": None, "due_at": now, "since_at": now}


_later: Final = visits.alias("later")
_is_last: Final = (
    ~select(_later.c.number).where(_later.c.handle == visits.c.handle, _later.c.number > visits.c.number).correlate(visits).exists()
)


def _text(column: ColumnElement[Any]) -> ColumnElement[str]:
    return func.coalesce(cast(column, Text), "-")


_VISIT_FACTS: Final = (
    cast(visits.c.last_seen_at, Text)
    + "."
    + cast(visits.c.visible_ms, Text)
    + "."
    + cast(visits.c.active_ms, Text)
    + "."
    + _text(visits.c.left_at)
    + "."
    + _text(sessions.c.ended_at)
    + case((_is_last, ".last"), else_="")
)
_SESSION_FACTS: Final = case((sessions.c.handle.is_(None), None), else_=_text(sessions.c.ended_at))


def _changed(mirror: str, since: int, *, with_sessions: bool) -> list[Select[Any]]:
    """List the queries for what changed: visits of those who live, and of those who ended since; and these sessions, if asked for."""
    whose = select(visits.c.handle, visits.c.number).select_from(sessions).join(visits, visits.c.handle == sessions.c.handle)
    found = [_where_new(whose, visits.c.number, _VISIT_FACTS, mirror)]
    if with_sessions:
        themselves = select(sessions.c.handle, literal(0).label("number")).select_from(sessions)
        found.append(_where_new(themselves, literal(0), _SESSION_FACTS, mirror))
    return [query.where(candidates) for query in found for candidates in (sessions.c.ended_at.is_(None), sessions.c.ended_at >= since)]


def _where_new(base: Select[Any], number: ColumnElement[int], facts: ColumnElement[str], mirror: str) -> Select[Any]:
    row = and_(mirrored.c.mirror == mirror, mirrored.c.handle == sessions.c.handle, mirrored.c.number == number)
    is_told_of = and_(
        mirrored.c.since_at.is_(None),
        mirrored.c.dead_at.is_(None),
        mirrored.c.step != Step.DROPPED.value,
        mirrored.c.facts.is_distinct_from(facts),
    )
    return base.outerjoin(mirrored, row).where(or_(mirrored.c.handle.is_(None), is_told_of))


def _take(connection: Connection, mirror: str, holder: str, now: int, until: int) -> int | None:
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert
    nobody = {"mirror": mirror, "scanned_at": now, "holder": "", "lease_until_at": 0, "fence": 0, "pause_until_at": 0}
    connection.execute(insert(mirror_marks).values(**nobody, failures=0, sent_count=0).on_conflict_do_nothing())
    is_mine = mirror_marks.c.holder == holder
    free = or_(is_mine, mirror_marks.c.lease_until_at <= now, mirror_marks.c.lease_until_at > 2 * until - now)
    fence = mirror_marks.c.fence + case((is_mine, 0), else_=1)
    taking = update(mirror_marks).where(mirror_marks.c.mirror == mirror, free).values(holder=holder, lease_until_at=until, fence=fence)
    taken: int | None = connection.execute(taking.returning(mirror_marks.c.fence)).scalar_one_or_none()
    return taken


def _guard(connection: Connection, mirror: str, fence: int) -> None:
    query = select(mirror_marks.c.fence).where(mirror_marks.c.mirror == mirror).with_for_update()
    if connection.execute(query).scalar_one_or_none() != fence:
        raise LeaseLost(f"another process drains {mirror} now")


def _make_due(connection: Connection, mirror: str, fence: int, keys: Sequence[tuple[str, int]], now: int) -> None:
    _guard(connection, mirror, fence)
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(mirrored)
    due = insert.on_conflict_do_update(index_elements=_KEY, set_={"due_at": now, "since_at": now})
    new = {"mirror": mirror, "attempts": 0, "step": "", "due_at": now, "since_at": now}
    connection.execute(due, [{**new, "handle": handle, "number": number} for handle, number in keys])


def _record(connection: Connection, mirror: str, fence: int, rows: Sequence[Row], mark: Mark | None) -> None:
    _guard(connection, mirror, fence)
    if rows:
        # Names of their own for the key, for those of columns stand for what is set.
        connection.execute(_SETTING, [msgspec.to_builtins(row) | {f"at_{name}": getattr(row, name) for name in _KEY} for row in rows])
    if mark is not None:
        connection.execute(update(mirror_marks).where(mirror_marks.c.mirror == mirror).values(**msgspec.to_builtins(mark)))


def _rewind(connection: Connection, mirror: str, fence: int, mark: Mark, now: int) -> None:
    _record(connection, mirror, fence, [], mark)
    connection.execute(update(mirrored).where(mirrored.c.mirror == mirror, mirrored.c.due_at > now).values(due_at=now))


_SETTING: Final = (
    update(mirrored)
    .where(*(mirrored.c[name] == bindparam(f"at_{name}") for name in _KEY))
    .values({column.name: bindparam(column.name) for column in mirrored.c if column.name not in _KEY})
)


def _remove(connection: Connection, mirror: str, fence: int, rows: Sequence[Row]) -> None:
    _guard(connection, mirror, fence)
    for row in rows:
        connection.execute(delete(mirrored).where(_is(row)))


def _is(row: Row) -> ColumnElement[bool]:
    return and_(mirrored.c.mirror == row.mirror, mirrored.c.handle == row.handle, mirrored.c.number == row.number)


def _run(connection: Connection, statement: Any) -> int:  # noqa: ANN401  # any that writes
    return connection.execute(statement).rowcount


def _first(connection: Connection, query: Select[Any]) -> Any:  # noqa: ANN401  # a row of any shape
    return connection.execute(query).first()


def _pairs(connection: Connection, query: Select[Any]) -> list[tuple[str, int]]:
    return [(row[0], row[1]) for row in connection.execute(query)]


def _all_rows(connection: Connection, query: Select[Any]) -> list[Row]:
    return [record_of(row, Row) for row in connection.execute(query)]


def _all_due(connection: Connection, query: Select[Any]) -> list[Due]:
    return [Due(record_of(row, Row), row.current) for row in connection.execute(query)]
