"""The settings of the program: one table, from which flags, environment, TOML and `docs/settings.md` all come.

A flag wins over the environment (`STILLHERE_…`), which wins over the TOML file, which wins over the default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import msgspec
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from stillhere.core.policy import LONGEST_SPAN, BeatsExtend, Policy, RequestsExtend, build_policy
from stillhere.errors import SettingsError
from stillhere.http.config import HttpConfig
from stillhere.words import in_words

if TYPE_CHECKING:
    from pathlib import Path

UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\Z")


def read_duration(text: object) -> object:
    """Read `90s`, `20m`, `24h`, `30d` or `500ms` as milliseconds.

    Raises:
        ValueError: if it is none of these; a bare number is refused, for nobody could tell its unit.
    """
    found = _DURATION.match(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is not a duration; write 90s, 20m, 24h or 30d")
    span_ms = float(found[1]) * UNITS[found[2]]
    if not 1 <= span_ms <= LONGEST_SPAN:
        raise ValueError(f"{text!r} is not between 1ms and {LONGEST_SPAN // UNITS['d']}d")
    return round(span_ms)


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Duration = Annotated[int, BeforeValidator(read_duration)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Every setting with its default and meaning. Durations are written `90s`, `20m`, `24h`, `30d`; lists with commas."""

    defaults_of_verb: ClassVar[Mapping[str, Any]] = {}

    model_config = SettingsConfigDict(env_prefix="STILLHERE_", extra="forbid", frozen=True, validate_default=False)

    store: str = Field(
        "sqlite:///stillhere.db",
        description="Where sessions and visits are kept: `sqlite:///file.db`, `postgresql://user@host/database`, `redis://host/0` or `memory://`.",
    )
    archive: str | None = Field(
        None,
        description="Where the visits of a Redis store are kept: `sqlite:///file.db` or `postgresql://user@host/database`. Without it in Redis.",
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
    site_name: str = Field("stillhere", description="Name shown at the gate.")
    after_gate: str = Field("/", pattern=r"^/([^/\\]|$)", description="Path to go to from the gate, if the visitor came for none.")
    admin_token: SecretStr | None = Field(
        None, min_length=16, description="Token that opens `/admin`, at least 16 characters. Without it one is made and printed at start."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What is logged: `debug`, `info` (starts and ends of sessions), `warning`, `error`."
    )
    sweep_interval: Duration = Field(30_000, ge=1_000, description="How often the ends of lapsed sessions are recorded.")
    archive_interval: Duration = Field(5_000, ge=1_000, description="How often visits go to the archive, if that is elsewhere.")
    retention: Duration | None = Field(None, description="How long after its end a session is kept, with its visits. Without it for ever.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the signature is the library's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the signature is the library's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment, then TOML, then what the verb starts from."""
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls),
            InitSettingsSource(settings_cls, dict(cls.defaults_of_verb)),
        )

    def policy(self) -> Policy:
        """Build the policy.

        Raises:
            PolicyError: if the settings contradict each other or pass a preset's ceiling.
        """
        changes = {
            "idle_timeout": self.idle_timeout,
            "absolute_timeout": self.absolute_timeout,
            "warning_timeout": self.warning_timeout,
            "beat_interval": self.beat_interval,
            "activity_window": self.activity_window,
            "visit_gap": self.visit_gap,
            "touch_interval": self.touch_interval,
            "beats_extend": self.beats_extend,
            "requests_extend": self.requests_extend,
        }
        return build_policy(self.preset, **{name: value for name, value in changes.items() if value is not None})

    def http(self) -> HttpConfig:
        """Build the configuration of the session routes.

        Raises:
            SettingsError: if a value cannot work.
        """
        return HttpConfig(
            prefix=self.prefix,
            extra_paths={
                "beat": self.beat_paths,
                "look": self.look_paths,
                "end": self.end_paths,
                "client": self.client_paths,
                "events": self.events_paths,
                "socket": self.socket_paths,
            },
            cookie_name=self.cookie_name,
            marker_cookie=self.marker_cookie,
            bearer=self.bearer,
            same_site=self.same_site,
            allowed_origins=self.allowed_origins,
            trusted_proxies=self.trusted_proxies,
            beats_per_minute=self.beats_per_minute,
            messages_per_minute=self.messages_per_minute,
            streams_per_session=self.streams_per_session,
            streams_per_process=self.streams_per_process,
            clear_site_data=self.clear_site_data,
        )


def load_settings(flags: Mapping[str, Any], file: Path | None = None, *, defaults: Mapping[str, Any] | None = None) -> Settings:
    """Load the settings.

    Args:
        flags: those given on the command line, by name.
        file: a TOML file, or None.
        defaults: what a verb of the command line starts from; everything else wins over it.

    Raises:
        SettingsError: if the file cannot be read, or a value cannot be used; the message names each one.
    """
    known = {f"STILLHERE_{name.upper()}" for name in Settings.model_fields} | {"STILLHERE_CONFIG"}
    for variable in os.environ:
        if variable.startswith("STILLHERE_") and variable not in known:
            close = get_close_matches(variable, known, 1)
            raise SettingsError(f"there is no setting {variable}{f'; did you mean {close[0]}?' if close else ''}")
    if file is not None and not file.is_file():
        raise SettingsError(f"there is no settings file {file}")

    class Loaded(Settings, toml_file=file):
        """The settings, with this call's file and defaults among their sources."""

        defaults_of_verb = defaults or {}

    try:
        return Loaded(**flags)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}" for item in error.errors()]
        raise SettingsError("\n".join(lines)) from error
    except ValueError as error:
        raise SettingsError(f"{file}: {error}") from error


class DocumentedSetting(msgspec.Struct, frozen=True):
    """One row of the table of settings.

    Attributes:
        name: as in TOML and, with dashes, as a flag.
        variable: in the environment.
        default: as one would write it.
        meaning: one sentence.
    """

    name: str
    variable: str
    default: str
    meaning: str


def documented() -> list[DocumentedSetting]:
    """List every setting as `docs/settings.md` shows it."""
    return [
        DocumentedSetting(name, f"STILLHERE_{name.upper()}", _written(field.default, field.metadata), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def _written(default: object, metadata: list[Any]) -> str:
    if default is None or default == ():
        return ""
    if any(getattr(item, "func", None) is read_duration for item in metadata) and isinstance(default, int):
        count, _, unit = in_words(default).partition(" ")
        return f"`{count}{unit[0]}`"
    return f"`{','.join(default)}`" if isinstance(default, tuple) else f"`{str(default).lower() if isinstance(default, bool) else default}`"
