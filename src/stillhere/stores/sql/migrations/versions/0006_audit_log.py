"""What operators did. Instants are milliseconds since 1970."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


SORTED = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Make a table; those that are there stay as they are."""
    op.create_table(
        "stillhere_audit",
        sa.Column("at", sa.BigInteger, primary_key=True),
        sa.Column("id", SORTED, primary_key=True),
        sa.Column("operator", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text),
        sa.Column("detail", sa.Text),
        sqlite_with_rowid=False,
    )
