"""What is shown behind the gate: a folder, or an application elsewhere."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from stillhere.server.options.kinds import Duration, Names


class ContentOptions(BaseModel):
    """What is shown behind the gate: a folder, or an application elsewhere."""

    folder: Path | None = Field(None, description="Folder shown behind the gate, such as `deck/`. The gate is then at `/gate`.")
    upstream: str | None = Field(
        None, description="Application shown behind the gate, such as `http://127.0.0.1:3000`. The gate is then at `/gate`."
    )
    upstream_timeout: Duration = Field(60_000, description="How long the application behind the gate may be silent before it is given up.")
    upstream_body: int = Field(
        100_000_000, ge=1, description="Most bytes that a visitor may send to the application behind the gate in one request."
    )
    open_paths: Names = Field(
        (), description="Paths of folder or application that need no session; one that ends in `/` stands for all below: `/about,/public/`."
    )
    inject: bool = Field(
        default=True, description="Whether HTML of folder or application gets the client, if it lacks it: `true` or `false`."
    )
    download: bool = Field(default=True, description="Whether the PDF viewer offers the file itself: `true` or `false`.")
