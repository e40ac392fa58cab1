"""Alembic's way in: migrates over the connection that `upgrade` was given."""

from __future__ import annotations

from alembic import context

from stillhere.stores.sql.migrations import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False, version_table=VERSION_TABLE)
context.run_migrations()
