"""Sessions: where they are kept, how long they live, how their routes are offered."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from stillhere.core.policy import MOST_SESSIONS, BeatsExtend, RequestsExtend, SessionLimitBy
from stillhere.server.options.kinds import Duration, Names


class SessionOptions(BaseModel):
    """Sessions: where they are kept, how long they live, how their routes are offered."""

    store: str = Field(
        "sqlite:///stillhere.db",
        description="Where sessions and visits are kept: `sqlite:///file.db`, `postgresql://user@host/database`, `redis://host/0` or `memory://`.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    preset: str | None = Field(
        None, description="Policy with the ceilings of a standard: `owasp`, `nist-aal1`, `nist-aal2`, `nist-aal3`, `pci`, `hipaa`."
    )
    idle_timeout: Duration | None = Field(None, description="How long a session survives without activity. `20m` without a preset.")
    absolute_timeout: Duration | None = Field(None, description="How long it may last in all. `24h` without a preset.")
    warning_timeout: Duration = Field(120_000, description="How long before the end the warning shows.")
    beat_interval: Duration = Field(180_000, description="Visible time between two beats, after the ramp.")
    activity_window: Duration = Field(120_000, description="How long after an input a person still counts as active.")
    visit_gap: Duration = Field(1_800_000, description="Absence after which the next view begins a new visit.")
    touch_interval: Duration | None = Field(
        None, description="Clocks of a session that would move by less are not written. Everything is without it."
    )
    beats_extend: BeatsExtend = Field(BeatsExtend.ACTIVITY, description="What a beat may extend: `never`, `activity`, `always`.")
    requests_extend: RequestsExtend = Field(RequestsExtend.ALL, description="Which ordinary requests extend: `all`, `navigation`, `none`.")
    session_limit: int | None = Field(
        None, ge=1, le=MOST_SESSIONS, description="How many sessions a person may have at once. Without it any number."
    )
    session_limit_by: SessionLimitBy = Field(
        SessionLimitBy.EVICT_OLDEST, description="What gives way at one more: `evict_oldest`, `evict_least_recent`, `refuse`."
    )
    fresh_timeout: Duration = Field(
        900_000,
        description="How long after a sign-in people may end their other sessions. As long as `absolute_timeout`, nobody is asked again.",
    )
    prefix: str = Field("/session", description="Path that the session routes begin with.")
    beat_paths: Names = Field((), description="More paths that take beats, for existing clients: `/keepalive,/api/session-heartbeat`.")
    look_paths: Names = Field((), description="More paths that answer a look.")
    end_paths: Names = Field((), description="More paths that sign out: `/auth/logout`.")
    client_paths: Names = Field((), description="More paths that serve the client.")
    events_paths: Names = Field((), description="More paths that stream events.")
    socket_paths: Names = Field((), description="More paths that stream over WebSocket: `/ws/session`.")
    cookie_name: str = Field("__Host-session", description="Name of the cookie over https. On http on a loopback address it is `session`.")
    marker_cookie: str | None = Field(
        None, description="Name of one more cookie, which scripts can read: it holds the session's public handle."
    )
    bearer: bool = Field(default=False, description="Whether the secret id may also come as `Authorization: Bearer`: `true` or `false`.")
    same_site: Literal["lax", "strict"] = Field("lax", description="The cookie's `SameSite`: `lax` or `strict`.")
    allowed_origins: Names = Field((), description="Other origins that may call the session routes, exact: `https://app.example`.")
    trusted_proxies: Names = Field((), description="Networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed: `10.0.0.0/8`.")
    beats_per_minute: int = Field(240, ge=1, description="Messages that one session may send in a minute.")
    messages_per_minute: int = Field(6_000, ge=1, description="Messages that one client address may send in a minute.")
    streams_per_session: int = Field(30, ge=1, description="Streams that one session may have open in one process.")
    streams_per_process: int = Field(10_000, ge=1, description="Streams that a process takes; each needs a file descriptor.")
    clear_site_data: Names = Field(("cache", "storage"), description="What a sign-out tells the browser to drop; empty for nothing.")
    remember_device: bool = Field(
        default=True, description="Whether a session keeps which browser and system it began on: `true` or `false`."
    )
    remember_network: bool = Field(
        default=True, description="Whether it keeps the network it came from, /24 of IPv4 and /48 of IPv6: `true` or `false`."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What is logged: `debug`, `info` (starts and ends of sessions), `warning`, `error`."
    )
    sweep_interval: Duration = Field(30_000, ge=1_000, description="How often the ends of lapsed sessions are recorded.")
