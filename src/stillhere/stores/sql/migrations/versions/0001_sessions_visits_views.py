"""Sessions, visits and views. Instants are milliseconds since 1970 in UTC, spans are milliseconds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    sorted_text = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
    room = {"fillfactor": 90}
    lives, is_over = sa.text("ended_at IS NULL"), sa.text("ended_at IS NOT NULL")
    op.create_table(
        "stillhere_sessions",
        sa.Column("handle", sorted_text, primary_key=True),
        sa.Column("id_hash", sa.Text, nullable=False),
        sa.Column("subject", sorted_text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_active_at", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("absolute_end_at", sa.BigInteger, nullable=False),
        sa.Column("idle_timeout", sa.BigInteger, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("ended_by", sa.Text),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended_at_and_ended_by_together"),
        sqlite_with_rowid=False,
        postgresql_with=room,
    )
    op.create_index("stillhere_sessions_by_subject", "stillhere_sessions", ["subject"])
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("stillhere_sessions", sa.Column("due_at", sa.BigInteger, nullable=False, server_default=sa.text("0")))
        op.create_index("stillhere_sessions_due", "stillhere_sessions", ["due_at"], postgresql_where=lives)
    else:
        op.create_index("stillhere_sessions_living", "stillhere_sessions", ["absolute_end_at"], sqlite_where=lives)
    op.create_index("stillhere_sessions_ended", "stillhere_sessions", ["ended_at"], sqlite_where=is_over, postgresql_where=is_over)
    op.create_table(
        "stillhere_visits",
        sa.Column("handle", sorted_text, sa.ForeignKey("stillhere_sessions.handle"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("subject", sorted_text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("covered_until_at", sa.BigInteger, nullable=False),
        sa.Column("visible_ms", sa.BigInteger, nullable=False),
        sa.Column("active_ms", sa.BigInteger, nullable=False),
        sa.Column("left_at", sa.BigInteger),
        sqlite_with_rowid=False,
        postgresql_with=room,
    )
    op.create_index("stillhere_visits_by_start", "stillhere_visits", ["started_at", "handle", "number"])
    op.create_index("stillhere_visits_by_subject", "stillhere_visits", ["subject", "started_at"])
    op.create_table(
        "stillhere_views",
        sa.Column("handle", sorted_text, sa.ForeignKey("stillhere_sessions.handle"), primary_key=True),
        sa.Column("view", sorted_text, primary_key=True),
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
        postgresql_with=room,
    )
    if op.get_bind().dialect.name == "sqlite":
        op.create_table(
            "stillhere_ends",
            sa.Column("number", sa.Integer, primary_key=True),
            sa.Column("handle", sa.Text, nullable=False),
            sqlite_autoincrement=True,
        )
