"""The settings of the program: one table, from which flags, environment, TOML and `docs/settings.md` all come.

A flag wins over the environment (`STILLHERE_…`), which wins over the TOML file, which wins over the default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from pydantic import ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from stillhere.core.policy import Policy, build_policy
from stillhere.core.spans import in_words
from stillhere.errors import SettingsError
from stillhere.http.config import HttpConfig
from stillhere.server.options.archive import ArchiveOptions
from stillhere.server.options.content import ContentOptions
from stillhere.server.options.dashboard import DashboardOptions
from stillhere.server.options.gate import GateOptions
from stillhere.server.options.kinds import read_duration
from stillhere.server.options.mail import MailOptions
from stillhere.server.options.metrics import MetricsOptions
from stillhere.server.options.mirrors import MirrorOptions
from stillhere.server.options.sessions import SessionOptions

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails


class Settings(
    MirrorOptions, MetricsOptions, DashboardOptions, ContentOptions, MailOptions, GateOptions, ArchiveOptions, SessionOptions, BaseSettings
):
    """Every setting with its default and meaning. Durations are written `90s`, `20m`, `24h`, `30d`; lists with commas."""

    defaults_of_verb: ClassVar[Mapping[str, Any]] = {}

    model_config = SettingsConfigDict(env_prefix="STILLHERE_", extra="forbid", frozen=True, validate_default=False)

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
            "session_limit": self.session_limit,
            "session_limit_by": self.session_limit_by,
            "fresh_timeout": self.fresh_timeout,
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
            remember_device=self.remember_device,
            remember_network=self.remember_network,
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
        raise SettingsError("\n".join(_fault(item) for item in error.errors())) from error
    except ValueError as error:
        raise SettingsError(f"{file}: {error}") from error


def _fault(item: ErrorDetails) -> str:
    fault = item["msg"].removeprefix("Value error, ")
    if item["type"] == "too_short" and isinstance(item["input"], str):
        # A secret is counted in items otherwise.
        fault = f"it needs {item['ctx']['min_length']} characters or more, and has {len(item['input'])}"
    return f"{'.'.join(map(str, item['loc']))}: {fault}"


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
