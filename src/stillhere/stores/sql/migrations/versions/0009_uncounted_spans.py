"""The last span of a visit that no tab was counted for, which a late one may fill: milliseconds since 1970; equal if there is none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns; no row is written, for the defaults stand in the table's own description."""
    for name in ("uncounted_from_at", "uncounted_until_at"):
        op.add_column("stillhere_visits", sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0")))
