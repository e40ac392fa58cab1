"""Sessions are found by their handles, and swept by the instant they are due. Instants are milliseconds since 1970, spans milliseconds.

The tables are made anew, in an order of text that is the same everywhere, and what was in them is kept.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


SORTED = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
ROOM = {"fillfactor": 90}

TABLES = {
    "sessions": "handle, id_hash, subject, created_at, last_active_at, last_seen_at, absolute_end_at, idle_timeout, attributes, "
    "ended_at, ended_by",
    "visits": "handle, number, subject, started_at, last_seen_at, covered_until_at, visible_ms, active_ms, left_at",
    "views": "handle, view, visit, tab, page, title, opened_at, last_seen_at, visible_ms, active_ms, scroll_pct, lifecycle, seq",
}


def upgrade() -> None:
    """Put everything aside, make the tables, put everything back."""
    for table in TABLES:
        op.execute(f"CREATE TEMPORARY TABLE kept_{table} AS SELECT * FROM stillhere_{table}")  # noqa: S608  # our own names
    for table in reversed(TABLES):
        op.drop_table(f"stillhere_{table}")
    for make in (_make_sessions, _make_visits, _make_views, _make_ends):
        make()
    for table, columns in TABLES.items():
        op.execute(f"INSERT INTO stillhere_{table} ({columns}) SELECT {columns} FROM kept_{table}")  # noqa: S608  # as above
        op.execute(f"DROP TABLE kept_{table}")


def _make_sessions() -> None:
    lives, is_over = sa.text("ended_at IS NULL"), sa.text("ended_at IS NOT NULL")
    op.create_table(
        "stillhere_sessions",
        sa.Column("handle", SORTED, primary_key=True),
        sa.Column("id_hash", sa.Text, nullable=False),
        sa.Column("subject", SORTED, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_active_at", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("absolute_end_at", sa.BigInteger, nullable=False),
        sa.Column("idle_timeout", sa.BigInteger, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("ended_by", sa.Text),
        sa.Column("due_at", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended_at_and_ended_by_together"),
        sqlite_with_rowid=False,
        postgresql_with=ROOM,
    )
    op.create_index("stillhere_sessions_by_subject", "stillhere_sessions", ["subject"])
    op.create_index("stillhere_sessions_due", "stillhere_sessions", ["due_at"], sqlite_where=lives, postgresql_where=lives)
    op.create_index("stillhere_sessions_ended", "stillhere_sessions", ["ended_at"], sqlite_where=is_over, postgresql_where=is_over)


def _make_visits() -> None:
    op.create_table(
        "stillhere_visits",
        sa.Column("handle", SORTED, sa.ForeignKey("stillhere_sessions.handle"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("subject", SORTED, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("covered_until_at", sa.BigInteger, nullable=False),
        sa.Column("visible_ms", sa.BigInteger, nullable=False),
        sa.Column("active_ms", sa.BigInteger, nullable=False),
        sa.Column("left_at", sa.BigInteger),
        sqlite_with_rowid=False,
        postgresql_with=ROOM,
    )
    op.create_index("stillhere_visits_by_start", "stillhere_visits", ["started_at", "handle", "number"])
    op.create_index("stillhere_visits_by_subject", "stillhere_visits", ["subject", "started_at"])


def _make_views() -> None:
    op.create_table(
        "stillhere_views",
        sa.Column("handle", SORTED, sa.ForeignKey("stillhere_sessions.handle"), primary_key=True),
        sa.Column("view", SORTED, primary_key=True),
        sa.Column("visit", sa.Integer, nullable=False),
        sa.Column("tab", sa.Text),
        sa.Column("page", sa.Text),
        sa.Column("title", sa.Text),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("visible_ms", sa.BigInteger, nullable=False),
        sa.Column("active_ms", sa.BigInteger, nullable=False),
        sa.Column("scroll_pct", sa.Float, nullable=False),
        sa.Column("lifecycle", sa.Text),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
        postgresql_with=ROOM,
    )


def _make_ends() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.create_table(
            "stillhere_ends",
            sa.Column("number", sa.Integer, primary_key=True),
            sa.Column("handle", sa.Text, nullable=False),
            sqlite_autoincrement=True,
        )
