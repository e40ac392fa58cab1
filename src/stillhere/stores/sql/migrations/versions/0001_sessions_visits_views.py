"""Sessions, visits and views. Instants are milliseconds since 1970 in UTC, spans are milliseconds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "stillhere_sessions",
        sa.Column("id_hash", sa.Text, primary_key=True),
        sa.Column("handle", sa.Text, nullable=False, unique=True),
        sa.Column("subject", sa.Text, nullable=False),
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
    )
    op.create_index("stillhere_sessions_by_subject", "stillhere_sessions", ["subject"])
    op.create_index("stillhere_sessions_living", "stillhere_sessions", ["absolute_end_at"], sqlite_where=sa.text("ended_at IS NULL"))
    op.create_table(
        "stillhere_visits",
        sa.Column("handle", sa.Text, sa.ForeignKey("stillhere_sessions.handle"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("covered_until_at", sa.BigInteger, nullable=False),
        sa.Column("visible_ms", sa.BigInteger, nullable=False),
        sa.Column("active_ms", sa.BigInteger, nullable=False),
        sa.Column("left_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("stillhere_visits_by_start", "stillhere_visits", ["started_at", "handle", "number"])
    op.create_index("stillhere_visits_by_subject", "stillhere_visits", ["subject", "started_at"])
    op.create_table(
        "stillhere_views",
        sa.Column("handle", sa.Text, sa.ForeignKey("stillhere_sessions.handle"), primary_key=True),
        sa.Column("view", sa.Text, primary_key=True),
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
    )
