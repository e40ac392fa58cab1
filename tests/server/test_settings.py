"""Settings: one table, four sources, clear refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stillhere.core.policy import BeatsExtend, Policy
from stillhere.errors import PolicyError, SettingsError
from stillhere.http.config import HttpConfig
from stillhere.server import demo
from stillhere.server.options.kinds import read_addresses, read_duration
from stillhere.server.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "ms"),
    [("500ms", 500), ("90s", 90_000), ("20m", 1_200_000), ("1.5h", 5_400_000), ("30d", 2_592_000_000), (" 20 m ", 1_200_000)],
)
def test_durations_carry_their_unit(text: str, ms: int) -> None:
    """A duration is a number and a unit."""
    assert read_duration(text) == ms


@pytest.mark.parametrize("text", ["20", "", "m", "-5s", "5 weeks", "1e3s", "20m5s", 20, None])
def test_anything_else_is_no_duration(text: object) -> None:
    """A bare number is refused, for nobody could tell its unit; the sentence shows how to write one."""
    with pytest.raises(ValueError, match="write 90s, 20m, 24h or 30d"):
        read_duration(text)


def test_defaults_are_those_of_policy_and_routes() -> None:
    """Without any setting the program runs under the plain defaults."""
    settings = load_settings({})
    assert settings.policy() == Policy()
    assert settings.http() == HttpConfig(extra_paths={"beat": (), "look": (), "end": (), "client": (), "events": (), "socket": ()})


def test_a_flag_wins_over_variable_over_file_over_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four sources, one order."""
    file = tmp_path / "stillhere.toml"
    file.write_text('idle_timeout = "10m"\nport = 1\nsite_name = "from the file"\nwarning_timeout = "1m"\n')
    monkeypatch.setenv("STILLHERE_PORT", "2")
    monkeypatch.setenv("STILLHERE_SITE_NAME", "from the variable")
    settings = load_settings({"port": "3"}, file, defaults={"idle_timeout": "5m", "warning_timeout": "2s", "beat_interval": "7s"})
    assert (settings.port, settings.site_name) == (3, "from the variable")
    assert (settings.idle_timeout, settings.warning_timeout, settings.beat_interval) == (600_000, 60_000, 7_000)


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several values go into one variable or flag; an empty one is no value."""
    monkeypatch.setenv("STILLHERE_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1")
    settings = load_settings({"beat_paths": "/keepalive,/api/session-heartbeat", "clear_site_data": ""})
    assert settings.trusted_proxies == ("10.0.0.0/8", "192.0.2.1")
    assert settings.http().extra_paths["beat"] == ("/keepalive", "/api/session-heartbeat")
    assert settings.clear_site_data == ()


def test_existing_clients_are_served_by_settings_alone() -> None:
    """Every route has more paths, the marker a name, and a bearer counts, by four flags."""
    http = load_settings({"end_paths": "/auth/logout", "client_paths": "/stay.js", "marker_cookie": "here", "bearer": "true"}).http()
    assert (http.extra_paths["end"], http.extra_paths["client"]) == (("/auth/logout",), ("/stay.js",))
    assert (http.marker_cookie, http.bearer) == ("here", True)


def test_a_preset_brings_its_defaults_and_its_ceiling() -> None:
    """A preset alone is enough; a setting above its ceiling names both values."""
    assert load_settings({"preset": "pci"}).policy().idle_timeout == 15 * 60_000
    with pytest.raises(PolicyError, match=r"1800000 ms.*above the ceiling of preset pci \(900000 ms\)"):
        load_settings({"preset": "pci", "idle_timeout": "30m"}).policy()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"idle_timeout": "20"}, "idle_timeout: '20' is not a duration"),
        ({"port": "99999"}, "port: "),
        ({"port": "x"}, "port: "),
        ({"admin_token": "short"}, "admin_token: "),
        ({"beats_extend": "perhaps"}, "beats_extend: "),
        ({"after_gate": "//elsewhere.example"}, "after_gate: "),
        ({"beats_per_minute": "0"}, "beats_per_minute: "),
        ({"bearer": "perhaps"}, "bearer: "),
    ],
)
def test_a_wrong_value_is_named(flags: dict[str, str], sentence: str) -> None:
    """The error begins with the name of the setting at fault."""
    with pytest.raises(SettingsError) as caught:
        load_settings(flags)
    assert str(caught.value).startswith(sentence)


def test_a_short_secret_is_told_in_characters_and_not_shown() -> None:
    """Who chose too short a token reads how long it has to be, and nobody reads it."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"admin_token": "open sesame"})
    assert str(caught.value) == "admin_token: it needs 16 characters or more, and has 11"


def test_several_wrong_values_are_named_together() -> None:
    """One start is enough to learn of all mistakes."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"idle_timeout": "20", "port": "x"})
    assert len(str(caught.value).splitlines()) == 2


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path) -> None:
    """A typing mistake in the file does not pass in silence."""
    file = tmp_path / "stillhere.toml"
    file.write_text('idle_timout = "10m"\n')
    with pytest.raises(SettingsError, match="idle_timout"):
        load_settings({}, file)


def test_a_file_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(SettingsError, match="there is no settings file"):
        load_settings({}, tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("idle_timeout = \n")
    with pytest.raises(SettingsError, match=r"broken\.toml"):
        load_settings({}, broken)


def test_the_token_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings can be logged: the admin token is not among what they show."""
    monkeypatch.setenv("STILLHERE_ADMIN_TOKEN", "0123456789abcdef")
    settings = load_settings({})
    assert settings.admin_token is not None
    assert settings.admin_token.get_secret_value() == "0123456789abcdef"
    assert "0123456789abcdef" not in repr(settings)


def test_the_demo_shows_warning_and_ending_within_two_minutes() -> None:
    """The demo's timeouts are short enough to watch: idle after 60 s, warned 20 s before."""
    policy = load_settings({}, defaults=demo.SETTINGS).policy()
    assert (policy.idle_timeout, policy.warning_timeout) == (60_000, 20_000)
    assert policy.beats_extend is BeatsExtend.ACTIVITY


@pytest.mark.parametrize("text", ["0s", "0.4ms", "401d", "9" * 400 + "d"])
def test_an_absurd_duration_is_refused(text: str) -> None:
    """Nothing shorter than a millisecond, nothing longer than a cookie lives."""
    with pytest.raises(ValueError, match="is not between 1ms and 400d"):
        read_duration(text)


def test_a_sweep_without_pause_is_refused() -> None:
    """The sweeper never spins."""
    with pytest.raises(SettingsError, match="sweep_interval: "):
        load_settings({"sweep_interval": "500ms"})


def test_a_mistyped_variable_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that looks like ours and is none stops the start, with what was probably meant."""
    monkeypatch.setenv("STILLHERE_IDEL_TIMEOUT", "5m")
    with pytest.raises(SettingsError, match=r"no setting STILLHERE_IDEL_TIMEOUT; did you mean STILLHERE_IDLE_TIMEOUT\?"):
        load_settings({})


def test_addresses_are_listed_by_comma_or_in_files(tmp_path: Path) -> None:
    """A list of addresses is written with commas, and `@` before a path means the patterns in that file; `@firm.example` is no file."""
    file = tmp_path / "list"
    file.write_text("# ours\nA@Firm.example\n@*.firm.example", "utf-8")
    assert read_addresses(f"@firm.example, @{file},b@c.example") == ("@firm.example", "a@firm.example", "@*.firm.example", "b@c.example")
    assert read_addresses(["@x.example"]) == ("@x.example",)
    assert read_addresses("") == ()
    for wrong, sentence in ((f"@{tmp_path}/none", "cannot be read"), ("nobody", "is no address"), (7, "is no address")):
        with pytest.raises(ValueError, match=sentence):
            read_addresses(wrong)


def test_mail_needs_a_server_and_a_sender() -> None:
    """Without a server no mail is sent; a server without a sender is refused at start, and its password is in no message."""
    assert load_settings({}).mailer() is None
    assert load_settings({"mail_url": "smtp://u:secret@post.example", "mail_from": "room@firm.example"}).mailer() is not None
    for flags in ({"mail_url": "smtp://u:secret@post.example"}, {"mail_url": "u:secret@post.example", "mail_from": "room@firm.example"}):
        with pytest.raises(SettingsError) as refused:
            load_settings(flags).mailer()
        assert "secret" not in str(refused.value)
