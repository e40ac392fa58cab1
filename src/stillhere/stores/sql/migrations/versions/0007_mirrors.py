"""What mirrors were told, and how far each has come. Instants are milliseconds since 1970."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


SORTED = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Make two tables; those that are there stay as they are."""
    op.create_table(
        "stillhere_mirrored",
        sa.Column("mirror", SORTED, primary_key=True),
        sa.Column("handle", SORTED, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("record_id", sa.Text),
        sa.Column("facts", sa.Text),
        sa.Column("sent", sa.Text),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("since_at", sa.BigInteger),
        sa.Column("sent_at", sa.BigInteger),
        sa.Column("dead_at", sa.BigInteger),
        sa.Column("error", sa.Text),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 90},
    )
    for name in ("due_at", "since_at", "dead_at", "record_id"):
        where = sa.column(name).is_not(None)
        op.create_index(f"stillhere_mirrored_by_{name}", "stillhere_mirrored", ["mirror", name], sqlite_where=where, postgresql_where=where)
    op.create_table(
        "stillhere_mirror_marks",
        sa.Column("mirror", SORTED, primary_key=True),
        sa.Column("scanned_at", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("lease_until_at", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("pause_until_at", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("last_sent_at", sa.BigInteger),
        sa.Column("sent_count", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
