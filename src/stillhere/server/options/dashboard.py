"""The dashboard: who may open it."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr

from stillhere.server.options.kinds import Duration, Names


class DashboardOptions(BaseModel):
    """The dashboard: who may open it."""

    admin_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="Token that opens `/admin` to operators, at least 16 characters. Without it one is made and printed at start, unless operators sign in at a provider.",
    )
    viewer_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="Token that opens `/admin` to viewers, who see everything and change nothing. Without it none does.",
    )
    admin_issuer: str | None = Field(
        None, description="OpenID provider at which operators sign in: its issuer, to the letter. `docs/operators.md` says how."
    )
    admin_client_id: str | None = Field(None, description="How that provider knows this program.")
    admin_client_secret: SecretStr | None = Field(None, description="What it gave this program to prove itself by.")
    admin_operators: Names = Field(
        (),
        description="Verified e-mail addresses whose owners sign in there as operators: `someone@firm.example`, `@firm.example` for a domain.",
    )
    admin_viewers: Names = Field((), description="The same for viewers, who see everything and change nothing.")
    audit_retention: Duration = Field(34_560_000_000, description="How long the audit log keeps what operators did.")
