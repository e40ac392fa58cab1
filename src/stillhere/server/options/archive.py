"""Visits: where they are kept, and for how long."""

from __future__ import annotations

from pydantic import BaseModel, Field

from stillhere.server.options.kinds import Duration, Names


class ArchiveOptions(BaseModel):
    """Visits: where they are kept, and for how long."""

    archive: str | None = Field(
        None,
        description="Where the visits of a Redis store are kept: `sqlite:///file.db` or `postgresql://user@host/database`. Without it in Redis.",
    )
    archive_interval: Duration = Field(5_000, ge=1_000, description="How often visits go to the archive, if that is elsewhere.")
    retention: Duration | None = Field(None, description="How long after its end a session is kept, with its visits. Without it for ever.")
    internal_visitors: Names = Field(
        (), description="Whose visits are listed and counted only if asked for, such as one's own team: `@firm.example,me@home.example`."
    )
