"""Migrations, from the first version on. `upgrade` brings a database to the newest one; Alembic keeps the count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import inspect, text

from stillhere.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_HERE: Final = Path(__file__).parent

VERSION_TABLE: Final = "stillhere_version"
"""Where Alembic keeps the count; a name of our own, for the database may be an application's with migrations of its own."""

NEWEST: Final = "0009"
"""Revision that this version of stillhere works with; a test compares it with the newest file."""


def revision_of(connection: Connection) -> str | None:
    """Tell which revision a database is at, or None if it is empty."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    query = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608  # our own constant
    return connection.execute(query).scalar_one_or_none()


def upgrade(connection: Connection) -> None:
    """Bring a database to the newest revision, inside the caller's transaction.

    Args:
        connection: in a transaction that keeps other processes from migrating too.

    Raises:
        StoreError: if the database is at a revision that this version does not know.
    """
    revision = revision_of(connection)
    if revision == NEWEST:
        return
    if revision is not None and revision not in _known():
        raise StoreError(
            f"the session store is at revision {revision!r}, which this version of stillhere does not know (its newest is {NEWEST!r}); "
            "upgrade stillhere, or use another file if this one belongs to another program",
        )
    from alembic import command  # noqa: PLC0415  # slow to import, and needed once in a database's life
    from alembic.config import Config  # noqa: PLC0415  # as above

    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))  # a ConfigParser reads it
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _known() -> set[str]:
    return {file.name.partition("_")[0] for file in _HERE.joinpath("versions").glob("[0-9]*_*.py")}
