"""Metrics: who may read them, and where else they go."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, SecretStr


class MetricsOptions(BaseModel):
    """Metrics: who may read them, and where else they go."""

    metrics: Literal["off", "loopback", "token", "open"] = Field(
        "loopback", description="Who may read `/metrics`: `off` nobody, `loopback` this machine, `token` who has it, `open` everybody."
    )
    metrics_token: SecretStr | None = Field(
        None, min_length=16, description="Token that opens `/metrics` as a bearer, at least 16 characters; with `metrics` as `token`."
    )
    opentelemetry: bool = Field(
        default=False, description="Whether metrics also go to OpenTelemetry's meter provider of this process: `true` or `false`."
    )
