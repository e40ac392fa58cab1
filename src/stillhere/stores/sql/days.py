"""What was counted of a day is forgotten when a visit of it changes: in the same transaction. Instants are ms since 1970.

On PostgreSQL whoever summarises keeps all others out who summarise or change what is summarised, from before they read until they commit;
those who change keep out only the first. SQLite lets one transaction write at a time anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select, text

from stillhere.stores.sql.schema import days

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection

DAY_MS: Final = 86_400_000

BLOCK_MS: Final = 32 * DAY_MS
"""So long is a block of days."""

BLOCK: Final = "block "
"""What the names of a block's parts begin with."""

LOCK: Final = 7_834_001_452_066_932
"""PostgreSQL's advisory lock of the days; `share_days.sql` has it, too."""

_FEW: Final = 500

_is_block: Final = days.c.part.startswith(BLOCK)


def hold_days(connection: Connection) -> None:
    """Let nobody else summarise days or forget them until this transaction ends. Before anything is read, and before any row is locked."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def read_at_once(connection: Connection) -> None:
    """Let all that is read in this transaction be of one instant, as SQLite does anyway. Before anything is read."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def share_days(connection: Connection) -> None:
    """Let nobody summarise days until this transaction ends. Before any row is locked, so that nobody waits in a circle."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": LOCK})


def forget_days(connection: Connection, instants: Iterable[int]) -> None:
    """Delete what was counted of the days of these instants, and of their blocks, in a transaction that shares or holds the days.

    Once in a transaction: rows are locked in order only within a call.
    """
    begins = sorted({at - at % DAY_MS for at in instants})
    blocks = sorted({at - at % BLOCK_MS for at in begins})
    for few, which in (*((few, ~_is_block) for few in _parted(begins)), *((few, _is_block) for few in _parted(blocks))):
        _forget(connection, days.c.day.in_(few) & which)


def _forget(connection: Connection, which: ColumnElement[bool]) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(select(days.c.day).where(which).order_by(days.c.day, days.c.part).with_for_update())
    connection.execute(delete(days).where(which))


def _parted(begins: Sequence[int]) -> Iterable[Sequence[int]]:
    return (begins[first : first + _FEW] for first in range(0, len(begins), _FEW))
