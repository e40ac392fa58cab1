"""What sessions hold of token issuers, and small facts shared by processes. Instants are milliseconds since 1970."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


SORTED = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
ROOM = {"fillfactor": 90}


def upgrade() -> None:
    """Make four tables; those that are there stay as they are."""
    op.create_table(
        "stillhere_grants",
        sa.Column("handle", SORTED, sa.ForeignKey("stillhere_sessions.handle"), primary_key=True),
        sa.Column("kind", SORTED, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("check_at", sa.BigInteger, nullable=False),
        postgresql_with=ROOM,
    )
    op.create_index("stillhere_grants_due", "stillhere_grants", ["kind", "check_at"])
    op.create_table(
        "stillhere_firsts",
        sa.Column("name", SORTED, primary_key=True),
        sa.Column("until_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("stillhere_firsts_passed", "stillhere_firsts", ["until_at"])
    op.create_table(
        "stillhere_notes",
        sa.Column("name", SORTED, primary_key=True),
        sa.Column("handle", SORTED, primary_key=True),
        sa.Column("until_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("stillhere_notes_passed", "stillhere_notes", ["until_at"])
    op.create_table(
        "stillhere_generations",
        sa.Column("subject", SORTED, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
        postgresql_with=ROOM,
    )
