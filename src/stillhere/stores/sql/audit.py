"""The audit log in a SQL store's database: portable statements, run beside the writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select, tuple_

from stillhere.archive.audit import AuditEntry
from stillhere.stores.sql.schema import audit, record_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

    from stillhere.stores.sql.readers import Readers

_place = tuple_(audit.c.at, audit.c.id)


class SqlLog:
    """Keeps entries in a table.

    Args:
        readers: runs statements in the store's reading threads.
    """

    def __init__(self, readers: Readers) -> None:
        """Keep the readers."""
        self._readers = readers

    async def append(self, entry: AuditEntry) -> None:
        """See `AuditLog.append`."""
        await self._readers.write(_append, entry)

    async def entries(self, *, before: tuple[int, str] | None, limit: int) -> list[AuditEntry]:
        """See `AuditLog.entries`."""
        query = select(audit).order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit)
        return await self._readers(_entries, query if before is None else query.where(_place < before))

    async def forget(self, *, before: int, limit: int) -> int:
        """See `AuditLog.forget`."""
        return await self._readers.write(_forget, before, limit)


def _append(connection: Connection, entry: AuditEntry) -> None:
    connection.execute(audit.insert(), msgspec.to_builtins(entry))


def _entries(connection: Connection, query: Select[tuple[object, ...]]) -> list[AuditEntry]:
    return [record_of(row, AuditEntry) for row in connection.execute(query)]


def _forget(connection: Connection, before: int, limit: int) -> int:
    old = select(audit.c.at, audit.c.id).where(audit.c.at < before).order_by(audit.c.at, audit.c.id).limit(limit)
    places = [tuple(row) for row in connection.execute(old)]
    return connection.execute(audit.delete().where(_place.in_(places))).rowcount if places else 0
