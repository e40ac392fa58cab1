"""The gate: what it asks, and of whom."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from stillhere.server.options.kinds import Addresses


class GateOptions(BaseModel):
    """The gate: what it asks, and of whom."""

    site_name: str = Field("stillhere", description="Name shown at the gate.")
    after_gate: str = Field("/", pattern=r"^/([^/\\]|$)", description="Path to go to from the gate, if the visitor came for none.")
    gate_block: Addresses = Field(
        (),
        description="Who never enters: `someone@firm.example`, `@firm.example`, `@*.firm.example` for subdomains, or `@/path/of/a/file` with one a line.",
    )
    gate_allow: Addresses = Field((), description="Who may enter, if not everybody; written as `gate_block`.")
    gate_deny: Addresses = Field((), description="Who of those does not; written as `gate_block`.")
    gate_code: Literal["none", "email"] = Field(
        "none", description="How visitors show that an address is theirs: `none`, or `email` for a code that is mailed and typed."
    )
    gate_access_code: SecretStr | None = Field(
        None, min_length=8, description="What everybody has to know to enter, at least 8 characters. Without it nothing."
    )
    gate_terms: str | None = Field(
        None, min_length=1, description="What has to be accepted: a text file, or an address with `https://`. Without it nothing."
    )
    gate_welcome: str | None = Field(None, max_length=2_000, description="What the gate says to who comes.")
    gate_logo: str | None = Field(None, description="Picture at the gate: a file, `.svg`, `.png`, `.jpg`, `.webp` or `.gif`.")
    gate_colour: str | None = Field(
        None,
        pattern=r"^#[0-9a-fA-F]{6}$",
        description="Colour of buttons and links at the gate: `#0f6b50`. It is made readable on light and dark.",
    )
