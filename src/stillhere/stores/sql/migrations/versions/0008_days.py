"""What is counted of each day, packed: a cache. Days are named by their first instant, milliseconds since 1970."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


SORTED = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Make a table; it fills by itself."""
    op.create_table(
        "stillhere_days",
        sa.Column("part", SORTED, primary_key=True),
        sa.Column("day", sa.BigInteger, primary_key=True),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("stillhere_days_by_day", "stillhere_days", ["day"])
