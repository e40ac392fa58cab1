"""Where summarised days are kept: a cache beside visits and views in a SQL archive, made anew whenever what it tells of has changed.

A day is summarised once everything in it has been quiet for `QUIET_MS`; a block, once all of its days are. Whatever changes a visit, an
exclusion, an erasure, its being forgotten, deletes the summaries of its day and block in the same transaction, and waits for whoever is
about to write one. Words that come later still are found by going over the days in turn.
"""

from __future__ import annotations

import logging
import math
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec.structs import replace
from sqlalchemy import func, select, type_coerce
from sqlalchemy.types import NullType

from stillhere.archive.days import ALWAYS, PARTS, block, check_of, summarise
from stillhere.archive.held import Held
from stillhere.archive.records import Asked, VisitFilter
from stillhere.archive.summaries import Span, parts_for, parts_more
from stillhere.errors import StoreRefused
from stillhere.stores.sql.days import BLOCK, BLOCK_MS, DAY_MS, forget_days, hold_days, read_at_once
from stillhere.stores.sql.schema import days, visits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from stillhere.archive.held import Versions
    from stillhere.archive.packing import Bodies
    from stillhere.archive.sql import SqlSource
    from stillhere.stores.sql.readers import Readers

Result = TypeVar("Result")

logger = logging.getLogger("stillhere")

QUIET_MS: Final = 2 * DAY_MS
"""How long nothing may have been heard of a day's visits."""

AT_ONCE: Final = 30
"""Days that are summarised in one pass."""

FORM: Final = 14
"""The form of the summaries; with another, they are all made anew."""

HELD_MS: Final = 600_000
"""What nobody asked for in so long is not held in memory any more, nor who was erased meanwhile."""

NEVER: Final = math.inf
"""When it makes sense to try again with a day that has too much in it."""


class Rollup:
    """Reads and writes summarised days.

    Args:
        readers: runs queries in the store's reading threads.
        source: reads what is summarised.
    """

    def __init__(self, readers: Readers, source: SqlSource) -> None:
        """Keep them; no day is known to have been gone over yet."""
        self._readers = readers
        self._source = source
        self._held = Held()
        self._swept_at = 0
        self._gone_over = -1
        self._later: dict[int, float] = {}  # days that could not be summarised, and when it makes sense to try again
        self._never: set[int] = set()  # blocks that cannot be put together

    async def span(self, asked: Asked, question: str) -> Span | None:
        """Find the days of a period; None if a filter asks for more than days know, or none of it is summarised."""
        found = await self._readers(_read, question, asked, self._held)
        if not found:
            return None
        return Span(bodies={at: body for at, (_, body) in found.items()}, rest=_rest(asked, found), asked=asked)

    def let_go(self) -> None:
        """Hold nothing in memory of what was read."""
        self._held.clear()

    async def summarise(self, internal: tuple[str, ...], *, now: int) -> int:
        """Summarise days that are settled and not yet, the earliest first, up to a few; and go over one that is. Tell how many were.

        Args:
            internal: who does not count.
            now: milliseconds since 1970.
        """
        if now - self._swept_at >= HELD_MS:
            self._swept_at = now
            self._held.sweep()
        mark = _mark(internal)
        missing = [day for day in await self._readers(_missing, mark, now - QUIET_MS) if self._later.get(day, 0) <= now][:AT_ONCE]
        written = 0
        for day in missing:
            later: float | None = await self._tried(NEVER, self._write, day, mark, internal, now)
            if later is None:
                self._later.pop(day, None)
                written += 1
            else:
                self._later[day] = later
        await self._put_together(mark)
        if not written:
            await self._go_over(mark, internal, now)
        return written

    async def _put_together(self, mark: str) -> None:
        """Put the blocks together whose days are all summarised, and delete those of which a day is not."""
        whole, have = await self._readers(_blocks, mark)
        for begin in sorted(have - whole):
            await self._readers.write(_take_apart, begin)
        for begin in sorted(whole - have - self._never):
            if not await self._tried(False, put_together, begin, mark):  # what put_together tells
                self._never.add(begin)

    async def _tried(self, otherwise: Result, work: Callable[..., Result], *args: Any) -> Result:  # noqa: ANN401  # they are passed on
        """Do some writing. What the database refuses is not tried again: one day must not hold up all others."""
        try:
            return await self._readers.write(work, *args)
        except StoreRefused as error:
            logger.warning("what was counted of a day or block from %s on is not kept: %s", args[0], error)
            return otherwise

    async def _go_over(self, mark: str, internal: tuple[str, ...], now: int) -> None:
        """Look at the next day in turn, whether its visits and views still are what its summary was made of."""
        at = await self._readers(_following, mark, self._gone_over)
        self._gone_over = -1 if at is None else at
        if at is not None and await self._readers(self._has_changed, at, internal):
            await self._tried(None, self._make_anew, at, mark, internal, now)

    def _has_changed(self, connection: Connection, day: int, internal: tuple[str, ...]) -> bool:
        body = connection.execute(select(days.c.body).where(days.c.part == "check", days.c.day == day)).scalar_one_or_none()
        return body is not None and bytes(body) != check_of(*self._source.of_day(connection, _asked(day, internal)))

    def _make_anew(self, connection: Connection, day: int, mark: str, internal: tuple[str, ...], now: int) -> None:
        hold_days(connection)
        if self._has_changed(connection, day, internal):  # still: nobody was held up while it was looked at before
            forget_days(connection, [day])
            self._write(connection, day, mark, internal, now)

    def _write(self, connection: Connection, day: int, mark: str, internal: tuple[str, ...], now: int) -> float | None:
        """Summarise a day, unless another process has; None if it is done, otherwise when it makes sense to try again."""
        hold_days(connection)
        if connection.execute(select(days.c.day).where(days.c.part == "check", days.c.day == day, days.c.mark == mark)).first():
            return None
        forget_days(connection, [day])  # of another mark
        found, viewed = self._source.of_day(connection, _asked(day, internal))
        quiet_at = max((visit.last_seen_at for visit in found), default=0) + QUIET_MS
        if quiet_at >= now:
            return quiet_at + 1
        bodies = summarise(day, found, viewed)
        if bodies is None:
            return NEVER
        _keep(connection, day, mark, bodies)
        return None


def _keep(connection: Connection, begin: int, mark: str, bodies: Bodies, kind: str = "") -> None:
    connection.execute(days.insert(), [{"part": kind + part, "day": begin, "mark": mark, "body": body} for part, body in bodies.items()])


def _asked(day: int, internal: tuple[str, ...]) -> Asked:
    return Asked(wanted=VisitFilter(since_at=day, until_at=day + DAY_MS, internal=True, excluded=True), internal=internal)


def _mark(internal: tuple[str, ...]) -> str:
    """Name the form of the summaries and a list of who does not count; what was summarised by another is of no use."""
    return sha256("\n".join((str(FORM), *internal)).encode()).hexdigest()[:16]


def _read(connection: Connection, question: str, asked: Asked, held: Held) -> dict[int, tuple[int, Bodies]]:
    """Read what a question needs of the blocks of a period, and of the days that are in none; with each tell how long it is."""
    of_day, of_block = (parts_for(question, asked, of_block=is_block) for is_block in (False, True))
    if of_day is None or of_block is None:
        return {}
    read_at_once(connection)
    mark, wanted = _mark(asked.internal), asked.wanted
    blocks = _versions(connection, BLOCK, BLOCK_MS, mark, wanted)
    found = _whole(_held_bodies(connection, BLOCK, dict.fromkeys(blocks, of_block), mark, blocks, held), of_block)
    more = {begin: parts_more(asked, body) for begin, body in found.items()}
    for begin, body in _held_bodies(connection, BLOCK, more, mark, blocks, held).items():
        found[begin] |= body
    single = {day: of for day, of in _versions(connection, "", DAY_MS, mark, wanted).items() if day - day % BLOCK_MS not in found}
    days_found = _whole(_held_bodies(connection, "", dict.fromkeys(single, of_day), mark, single, held), of_day)
    both = [(begin, (length, body)) for length, few in ((BLOCK_MS, found), (DAY_MS, days_found)) for begin, body in few.items()]
    return dict(sorted(both))


def _whole(found: dict[int, Bodies], parts: Sequence[str]) -> dict[int, Bodies]:
    """Leave out the days and blocks that have not all of some parts."""
    return {begin: body for begin, body in found.items() if body.keys() >= set(parts)}


def _versions(connection: Connection, kind: str, length: int, mark: str, wanted: VisitFilter) -> Versions:
    """Find the days or blocks of a period, and tell what each is made of."""
    query = select(days.c.day, days.c.body).where(days.c.part == f"{kind}check", days.c.mark == mark)
    if wanted.since_at is not None:
        query = query.where(days.c.day >= wanted.since_at)
    if wanted.until_at is not None:
        query = query.where(days.c.day <= wanted.until_at - length)
    return {begin: mark.encode() + body for begin, body in connection.execute(query)}


def _held_bodies(
    connection: Connection, kind: str, parts: Mapping[int, Collection[str]], mark: str, versions: Versions, held: Held
) -> dict[int, Bodies]:
    """Give parts of some days or blocks, of each its own, and read only what is not held."""
    wanted = {begin: {kind + part for part in some} for begin, some in parts.items()}
    found = held.take(versions, wanted)
    lacking = {begin: missing for begin, names in wanted.items() if (missing := names - found[begin].keys())}
    read = {
        begin: {name: body for name, body in bodies.items() if name in lacking[begin]}
        for begin, bodies in _bodies(connection, set[str]().union(*lacking.values()), mark, list(lacking)).items()
    }
    held.keep(versions, read)
    return {
        begin: {name.removeprefix(kind): body for name, body in (bodies | read.get(begin, {})).items()} for begin, bodies in found.items()
    }


def _bodies(connection: Connection, names: Collection[str], mark: str, begins: Collection[int]) -> dict[int, Bodies]:
    """Read parts of some days or blocks; what a summary has not, or has gone meanwhile, is left out."""
    columns = (days.c.day, days.c.part, type_coerce(days.c.body, NullType()))  # as the database's driver gives it: nothing is copied
    query = select(*columns).where(days.c.part.in_(names), days.c.mark == mark, days.c.day.in_(begins))
    query = query.execution_options(bulky=True)
    found: dict[int, Bodies] = {}
    for begin, part, body in connection.execute(query) if begins and names else ():
        found.setdefault(begin, {})[part] = body
    return found


def _rest(asked: Asked, found: dict[int, tuple[int, Bodies]]) -> list[Asked]:
    """Tell what is left of a period."""
    left: list[tuple[int | None, int | None]] = []
    begin = asked.wanted.since_at
    for at, (length, _) in found.items():
        if begin is None or begin < at:
            left.append((begin, at))
        begin = at + length
    until = asked.wanted.until_at
    if until is None or (begin is not None and begin < until):
        left.append((begin, until))
    return [replace(asked, wanted=replace(asked.wanted, since_at=since, until_at=until)) for since, until in left]


def _missing(connection: Connection, mark: str, before: int) -> list[int]:
    """Find days with visits that are not summarised, and were over before an instant."""
    have = set(connection.execute(select(days.c.day).where(days.c.part == "check", days.c.mark == mark)).scalars())
    first = connection.execute(select(func.min(visits.c.started_at))).scalar_one()
    if first is None:
        return []
    begins = range(first - first % DAY_MS, before - DAY_MS + 1, DAY_MS)
    return [day for day in begins if day not in have]


def _blocks(connection: Connection, mark: str) -> tuple[set[int], set[int]]:
    """Find the blocks of which all days are summarised, and those that are put together."""
    begin = days.c.day - days.c.day % BLOCK_MS
    query = select(begin).where(days.c.part == "check", days.c.mark == mark).group_by(begin)
    whole = connection.execute(query.having(func.count() == BLOCK_MS // DAY_MS)).scalars()
    have = connection.execute(select(days.c.day).where(days.c.part == f"{BLOCK}check", days.c.mark == mark)).scalars()
    return set(whole), set(have)


def put_together(connection: Connection, begin: int, mark: str) -> bool:
    """Put a block together if all of its days are there; tell whether another try would make sense if it is not there now."""
    hold_days(connection)
    inside = (days.c.part == "check", days.c.mark == mark, days.c.day >= begin, days.c.day < begin + BLOCK_MS)
    begins = connection.execute(select(days.c.day).where(*inside)).scalars().all()
    found = _whole(_bodies(connection, PARTS, mark, begins), ALWAYS)
    if len(found) < BLOCK_MS // DAY_MS:
        return True
    _take_apart(connection, begin)
    bodies = block(begin, dict(sorted(found.items())))
    if bodies is None:
        return False
    _keep(connection, begin, mark, bodies, BLOCK)
    return True


def _take_apart(connection: Connection, begin: int) -> None:
    hold_days(connection)
    connection.execute(days.delete().where(days.c.part.startswith(BLOCK), days.c.day == begin))


def _following(connection: Connection, mark: str, after: int) -> Any:  # noqa: ANN401  # an instant or None
    query = select(func.min(days.c.day)).where(days.c.part == "check", days.c.mark == mark, days.c.day > after)
    return connection.execute(query).scalar_one()
