"""Whether an operator left a visit out of every count: 1 or 0."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column; no row is written, for the default stands in the table's own description."""
    op.add_column("stillhere_visits", sa.Column("excluded", sa.Integer, nullable=False, server_default=sa.text("0")))
