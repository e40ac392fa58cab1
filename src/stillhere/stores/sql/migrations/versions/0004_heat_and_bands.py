"""What a page measured of its reading: how long each part was on screen, and what the view did when. Text that no query looks into."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns, both empty: no row is written."""
    op.add_column("stillhere_views", sa.Column("heat", sa.Text))
    op.add_column("stillhere_views", sa.Column("bands", sa.Text))
