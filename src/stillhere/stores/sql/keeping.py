"""Keeps what a live store elsewhere reports, for the archive: only forwards, so that any report may come twice or late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import ColumnElement, Table, case, func
from sqlalchemy.dialects import postgresql, sqlite

from stillhere.core.records import Session, View, Visit
from stillhere.core.rules import deadline
from stillhere.stores.sql.days import forget_days, share_days
from stillhere.stores.sql.schema import sessions, views, visits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from stillhere.stores.protocol import Changed


def keep(connection: Connection, changes: Sequence[Changed]) -> None:
    """Insert or bring forward sessions with their visits and views, in the caller's transaction.

    Totals and instants never move back, not even if the live store lost its last seconds in a failover; the first end stays.
    """
    share_days(connection)
    forget_days(connection, (visit.started_at for changed in changes for visit in changed.visits))
    for table, records in (
        (sessions, [changed.session for changed in changes]),
        (visits, [visit for changed in changes for visit in changed.visits]),
        (views, [view for changed in changes for view in changed.views]),
    ):
        if records:
            connection.execute(_upsert(table, connection.dialect.name), [columns_of(record) for record in records])


def columns_of(record: Session | View | Visit) -> dict[str, Any]:
    """Write a record as the columns of its row; a session is due at its deadline."""
    columns: dict[str, Any] = msgspec.to_builtins(record)
    return columns | {"due_at": deadline(record)} if isinstance(record, Session) else columns


def _upsert(table: Table, dialect: str) -> Any:  # noqa: ANN401  # each dialect has a type of its own
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    new = insert.excluded
    keys = [column.name for column in table.primary_key]

    def later(name: str) -> ColumnElement[Any]:
        larger = func.greatest if dialect == "postgresql" else func.max
        return larger(table.c[name], new[name])

    # Two that archive at once may write an older report after a newer one.
    same_or_later = new.last_seen_at >= table.c.last_seen_at
    changes: Mapping[str, ColumnElement[Any]]
    if table is sessions:
        first = {name: func.coalesce(table.c[name], new[name]) for name in ("ended_at", "ended_by")}
        changes = (
            first
            | {name: later(name) for name in ("last_active_at", "last_seen_at")}
            | {"id_hash": case((same_or_later, new.id_hash), else_=table.c.id_hash)}
        )
    elif table is visits:
        grown = ("last_seen_at", "covered_until_at", "visible_ms", "active_ms")
        # Of two reports of the same moment the one that says that somebody left is the later.
        is_newer = (new.last_seen_at > table.c.last_seen_at) | (same_or_later & new.left_at.is_not(None))
        left_at = case((is_newer | table.c.left_at.is_(None), new.left_at), else_=table.c.left_at)
        # What is uncounted belongs to what is covered: it moves on with it, and shrinks as it is filled.
        is_further = (new.covered_until_at > table.c.covered_until_at) | (
            (new.covered_until_at == table.c.covered_until_at) & (new.visible_ms >= table.c.visible_ms)
        )
        uncounted = {name: case((is_further, new[name]), else_=table.c[name]) for name in ("uncounted_from_at", "uncounted_until_at")}
        changes = {name: later(name) for name in grown} | {"left_at": left_at} | uncounted
    else:
        is_newer = (new.seq > table.c.seq) | ((new.seq == table.c.seq) & same_or_later)
        told = {name: case((is_newer, new[name]), else_=table.c[name]) for name in ("page", "title", "lifecycle", "heat", "bands")}
        changes = told | {name: later(name) for name in ("last_seen_at", "visible_ms", "active_ms", "scroll_pct", "seq")}
    return insert.on_conflict_do_update(index_elements=keys, set_=dict(changes))
