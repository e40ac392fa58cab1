"""Mirrors: which other systems are told of visits."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr

from stillhere.server.options.kinds import Duration, Names


class MirrorOptions(BaseModel):
    """Mirrors: which other systems are told of visits."""

    mirror_interval: Duration = Field(10_000, ge=1_000, description="How often mirrors are told what changed.")
    nocodb_url: str | None = Field(None, description="NocoDB server that gets a row for each visit: `https://nocodb.firm.example`.")
    nocodb_token: SecretStr | None = Field(None, description="API token of NocoDB.")
    nocodb_table: str | None = Field(None, description="Id of the table, `m…`: the browser shows it in the address.")
    nocodb_base: str | None = Field(None, description="Id of the base, `p…`; version 3 needs it.")
    nocodb_version: int = Field(2, ge=2, le=3, description="Version of NocoDB's record API: `2`, or `3` of releases from 0.264 on.")
    nocodb_columns: Names = Field(
        (),
        description="Titles of its columns, where they are not `emailOfAccessor`, `sessionStartTime`, `sessionEndTime`, and of more: `visit=visitId,visible=seconds`.",
    )
    webhook_urls: Names = Field((), description="Addresses that are told of visits and sessions, https: `https://crm.firm.example/hook`.")
    webhook_secret: SecretStr | None = Field(
        None, description="Secret that webhooks are signed with, `whsec_…`; several, parted by spaces, while one is replaced."
    )
    notify_to: Names = Field((), description="Addresses that get a note by mail when a visitor comes for the first time.")
    notify_returns: bool = Field(default=False, description="Whether they also get one when somebody comes back: `true` or `false`.")
    digest_to: Names = Field((), description="Addresses that get a daily digest by mail: who came, how long, and totals.")
    digest_at: str = Field(
        "07:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="When the digest of the day before is sent, in `zone`."
    )
    zone: str = Field("UTC", description="IANA time zone that days begin in: `Europe/Berlin`.")
