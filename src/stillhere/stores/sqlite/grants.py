"""Grants and notes in SQLite. There is one writer at a time, so a transaction of its own may read, judge by the very rule, and write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace
from sqlalchemy import func, select
from sqlalchemy.dialects.sqlite import insert

from stillhere.core.grants import Grant, Held, Swapped, swap_grant
from stillhere.core.ids import hash_name
from stillhere.core.records import Session
from stillhere.stores.sql.schema import firsts, generations, grants, notes, record_of, sessions

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

PASSED_AT_ONCE: Final = 8
"""Firsts, and notes, that have passed and are deleted with each new first: more than one login makes."""


def held(connection: Connection, handle: str, kind: str) -> Held:
    """See `Granting.held`. A transaction sees one moment."""
    session = connection.execute(select(sessions).where(sessions.c.handle == handle)).one_or_none()
    grant = connection.execute(select(grants).where(_is(handle, kind))).one_or_none()
    return Held(
        session=None if session is None else record_of(session, Session),
        grant=None if grant is None else record_of(grant, Grant),
    )


def swap(connection: Connection, grant: Grant, now: int) -> Swapped:
    """See `Granting.swap`."""
    before = held(connection, grant.handle, grant.kind)
    kept = swap_grant(before, grant, now=now)
    if kept is None:
        return Swapped(done=False, held=before)
    put = insert(grants).values(msgspec.to_builtins(kept))
    changed = {name: put.excluded[name] for name in ("version", "document", "check_at")}
    connection.execute(put.on_conflict_do_update(index_elements=["handle", "kind"], set_=changed))
    return Swapped(done=True, held=replace(before, grant=kept))


def due_grants(connection: Connection, kind: str, limit: int, now: int, until: int) -> list[Held]:
    """See `Granting.due_grants`. The earliest first."""
    due = select(grants.c.handle).where(grants.c.kind == kind, grants.c.check_at <= now).order_by(grants.c.check_at).limit(limit)
    handles = list(connection.execute(due).scalars())
    for handle in handles:
        connection.execute(grants.update().where(_is(handle, kind)).values(check_at=until))
    return [held(connection, handle, kind) for handle in handles]


def drop(connection: Connection, handle: str, kind: str, version: int) -> bool:
    """See `Granting.drop`."""
    return connection.execute(grants.delete().where(_is(handle, kind), grants.c.version == version)).rowcount == 1


def _is(handle: str, kind: str) -> ColumnElement[bool]:
    return (grants.c.handle == handle) & (grants.c.kind == kind)


def first(connection: Connection, name: str, until: int, now: int) -> bool:
    """See `Noting.first`."""
    put = insert(firsts).values(name=hash_name(name), until_at=until)
    taken = put.on_conflict_do_update(index_elements=["name"], set_={"until_at": until}, where=firsts.c.until_at < now)
    is_first = connection.execute(taken).rowcount == 1
    for table, keys in ((firsts, (firsts.c.name,)), (notes, (notes.c.name, notes.c.handle))):
        passed = select(*keys).where(table.c.until_at < now).order_by(table.c.until_at).limit(PASSED_AT_ONCE)
        for row in connection.execute(passed).all():
            connection.execute(table.delete().where(*(key == value for key, value in zip(keys, row, strict=True))))
    return is_first


def note(connection: Connection, name: str, handle: str, until: int) -> None:
    """See `Noting.note`."""
    put = insert(notes).values(name=hash_name(name), handle=handle, until_at=until)
    longer = {"until_at": func.max(notes.c.until_at, put.excluded.until_at)}
    connection.execute(put.on_conflict_do_update(index_elements=["name", "handle"], set_=longer))


def noted(connection: Connection, name: str, now: int) -> list[str]:
    """See `Noting.noted`."""
    return list(connection.execute(select(notes.c.handle).where(notes.c.name == hash_name(name), notes.c.until_at >= now)).scalars())


def generation(connection: Connection, subject: str) -> int:
    """See `Noting.generation`."""
    found = connection.execute(select(generations.c.number).where(generations.c.subject == hash_name(subject)))
    return found.scalar_one_or_none() or 0


def advance(connection: Connection, subject: str) -> int:
    """See `Noting.advance`."""
    put = insert(generations).values(subject=hash_name(subject), number=1)
    one_more = put.on_conflict_do_update(index_elements=["subject"], set_={"number": generations.c.number + 1})
    number: int = connection.execute(one_more.returning(generations.c.number)).scalar_one()
    return number
