"""The tables, for portable queries. Migrations make them; a test holds the two equal. Instants are ms since 1970, spans ms.

Their names begin with `stillhere_`, so that they can live in an application's own database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import postgresql

if TYPE_CHECKING:
    from sqlalchemy import Row

Record = TypeVar("Record")

metadata: Final = MetaData()

Sorted: Final = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Text that lists are sorted by: everywhere in the order of its code points, as Python and SQLite sort."""

_ROOM: Final = {"fillfactor": 90}
"""PostgreSQL writes a changed row beside the old one while its page has room: no index is touched by a beat."""

sessions: Final = Table(
    "stillhere_sessions",
    metadata,
    Column("handle", Sorted, primary_key=True),
    Column("id_hash", Text, nullable=False),
    Column("subject", Sorted, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_active_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("absolute_end_at", BigInteger, nullable=False),
    Column("idle_timeout", BigInteger, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("ended_at", BigInteger),
    Column("ended_by", Text),
    # Never later than the deadline; sweep puts it off for those who were active since.
    Column("due_at", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended_at_and_ended_by_together"),
    sqlite_with_rowid=False,
    postgresql_with=_ROOM,
)

# Serves: list and end the sessions of one subject.
Index("stillhere_sessions_by_subject", sessions.c.subject)
# Serves: sweep, and the list of who is signed in. Holds living sessions only; no beat moves an entry in it.
_lives = sessions.c.ended_at.is_(None)
Index("stillhere_sessions_due", sessions.c.due_at, sqlite_where=_lives, postgresql_where=_lives)
# Serves: forget. Holds ended sessions only.
_is_over = sessions.c.ended_at.is_not(None)
Index("stillhere_sessions_ended", sessions.c.ended_at, sqlite_where=_is_over, postgresql_where=_is_over)

visits: Final = Table(
    "stillhere_visits",
    metadata,
    Column("handle", Sorted, ForeignKey("stillhere_sessions.handle"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("subject", Sorted, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("covered_until_at", BigInteger, nullable=False),
    Column("visible_ms", BigInteger, nullable=False),
    Column("active_ms", BigInteger, nullable=False),
    Column("left_at", BigInteger),
    # 1 if an operator left it out of every count; no beat looks at it.
    Column("excluded", Integer, nullable=False, server_default=text("0")),
    Column("uncounted_from_at", BigInteger, nullable=False, server_default=text("0")),
    Column("uncounted_until_at", BigInteger, nullable=False, server_default=text("0")),
    sqlite_with_rowid=False,
    postgresql_with=_ROOM,
)

# Serves: the archive's lists, newest first, of everybody and of one visitor.
Index("stillhere_visits_by_start", visits.c.started_at, visits.c.handle, visits.c.number)
Index("stillhere_visits_by_subject", visits.c.subject, visits.c.started_at)

# What is counted of a day of UTC, packed; a cache, which nobody misses.
days: Final = Table(
    "stillhere_days",
    metadata,
    Column("part", Sorted, primary_key=True),
    Column("day", BigInteger, primary_key=True),
    Column("mark", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# Serves: whatever changes a visit deletes what was counted of its day.
Index("stillhere_days_by_day", days.c.day)

views: Final = Table(
    "stillhere_views",
    metadata,
    Column("handle", Sorted, ForeignKey("stillhere_sessions.handle"), primary_key=True),
    Column("view", Sorted, primary_key=True),
    Column("visit", Integer, nullable=False),
    Column("tab", Text),
    Column("page", Text),
    Column("title", Text),
    Column("opened_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("visible_ms", BigInteger, nullable=False),
    Column("active_ms", BigInteger, nullable=False),
    Column("scroll_pct", Float, nullable=False),
    Column("lifecycle", Text),
    Column("seq", BigInteger, nullable=False),
    Column("heat", Text),
    Column("bands", Text),
    sqlite_with_rowid=False,
    postgresql_with=_ROOM,
)

grants: Final = Table(
    "stillhere_grants",
    metadata,
    Column("handle", Sorted, ForeignKey("stillhere_sessions.handle"), primary_key=True),
    Column("kind", Sorted, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("check_at", BigInteger, nullable=False),
    postgresql_with=_ROOM,
)

# Serves: upkeep, which looks at the grants of a kind that are due.
Index("stillhere_grants_due", grants.c.kind, grants.c.check_at)

# Names and subjects of these three are kept as their hashes.
firsts: Final = Table(
    "stillhere_firsts",
    metadata,
    Column("name", Sorted, primary_key=True),
    Column("until_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

notes: Final = Table(
    "stillhere_notes",
    metadata,
    Column("name", Sorted, primary_key=True),
    Column("handle", Sorted, primary_key=True),
    Column("until_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Serve: whoever comes first deletes a few of those that have passed.
Index("stillhere_firsts_passed", firsts.c.until_at)
Index("stillhere_notes_passed", notes.c.until_at)

generations: Final = Table(
    "stillhere_generations",
    metadata,
    Column("subject", Sorted, primary_key=True),
    Column("number", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    postgresql_with=_ROOM,
)

mirrored: Final = Table(
    "stillhere_mirrored",
    metadata,
    Column("mirror", Sorted, primary_key=True),
    Column("handle", Sorted, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("record_id", Text),
    Column("facts", Text),
    Column("sent", Text),
    Column("step", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger),
    Column("since_at", BigInteger),
    Column("sent_at", BigInteger),
    Column("dead_at", BigInteger),
    Column("error", Text),
    sqlite_with_rowid=False,
    postgresql_with=_ROOM,
)

# Serve: what is due, what waits, what was given up; and whether a record over there is known. Hold those only.
for _name in ("due_at", "since_at", "dead_at", "record_id"):
    _column = mirrored.c[_name]
    Index(
        f"stillhere_mirrored_by_{_name}",
        mirrored.c.mirror,
        _column,
        sqlite_where=_column.is_not(None),
        postgresql_where=_column.is_not(None),
    )

mirror_marks: Final = Table(
    "stillhere_mirror_marks",
    metadata,
    Column("mirror", Sorted, primary_key=True),
    Column("scanned_at", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("lease_until_at", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("pause_until_at", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("last_error", Text),
    Column("last_sent_at", BigInteger),
    Column("sent_count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What operators did. Its key serves the list, the latest first, and upkeep, which forgets the oldest.
audit: Final = Table(
    "stillhere_audit",
    metadata,
    Column("at", BigInteger, primary_key=True),
    Column("id", Sorted, primary_key=True),
    Column("operator", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text),
    Column("detail", Text),
    sqlite_with_rowid=False,
)

# SQLite cannot push: whoever watches reads here what is new. PostgreSQL notifies instead, and has no such table.
ends: Final = Table(
    "stillhere_ends",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("handle", Text, nullable=False),
    sqlite_autoincrement=True,  # numbers never come back, also after the oldest are deleted
    info={"dialect": "sqlite"},
)


def record_of(row: Row[Any], kind: type[Record], *, prefix: str = "") -> Record:
    """Build a record from those columns of a row that begin with a prefix, and have the record's names after it."""
    # The names are a subclass of str, which msgspec does not take as keys.
    facts = {str(name).removeprefix(prefix): value for name, value in row._mapping.items() if name.startswith(prefix)}  # noqa: SLF001  # SQLAlchemy's public name for it
    return msgspec.convert(facts, kind)
