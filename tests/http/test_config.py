"""How the routes are offered is checked when it is said, not when somebody comes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stillhere.errors import SettingsError
from stillhere.http.config import HttpConfig

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"prefix": "session"}, "'session' is not a path for a session route"),
    ({"prefix": "/session/"}, "'/session/' is not a path"),
    ({"prefix": "/s?x"}, "is not a path"),
    ({"prefix": "/s#x"}, "is not a path"),
    ({"extra_paths": {"beat": ("keepalive",)}}, "'keepalive' is not a path"),
    ({"cookie_name": "my session"}, "'my session' is not a cookie name"),
    ({"cookie_name": ""}, "'' is not a cookie name"),
    ({"loopback_cookie_name": "a;b"}, "'a;b' is not a cookie name"),
    ({"marker_cookie": "my marker"}, "'my marker' is not a cookie name"),
    ({"marker_cookie": ""}, "'' is not a cookie name"),
    ({"marker_cookie": "__Host-session"}, "marker_cookie '__Host-session' is a secret cookie's name"),
    ({"marker_cookie": "session"}, "marker_cookie 'session' is a secret cookie's name"),
    ({"allowed_origins": ("https://app.example/",)}, "is not an origin"),
    ({"allowed_origins": ("*",)}, "is not an origin"),
    ({"allowed_origins": ("null",)}, "is not an origin"),
    ({"trusted_proxies": ("10.0.0.1/8",)}, "is not an address or network"),
    ({"trusted_proxies": ("everyone",)}, "is not an address or network"),
    ({"beats_per_minute": 0}, "beats_per_minute must be at least 1, not 0"),
    ({"messages_per_minute": -1}, "messages_per_minute must be at least 1, not -1"),
    ({"streams_per_session": 0}, "streams_per_session must be at least 1, not 0"),
    ({"streams_per_process": 0}, "streams_per_process must be at least 1, not 0"),
]


@pytest.mark.parametrize(("wrong", "sentence"), WRONG)
def test_what_cannot_work_is_refused_with_a_sentence(wrong: dict[str, Any], sentence: str) -> None:
    """A value that cannot work is refused at once, and the message shows it."""
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        HttpConfig(**wrong)


def test_paths_of_the_default_prefix() -> None:
    """The routes are where the protocol says."""
    assert HttpConfig().paths() == {
        "/session": "look",
        "/session/beat": "beat",
        "/session/end": "end",
        "/session/client.js": "client",
        "/session/events": "events",
        "/session/socket": "socket",
        "/session/refresh": "refresh",
        "/session/jwks.json": "keys",
        "/session/login": "login",
        "/session/callback": "callback",
        "/session/backchannel": "backchannel",
        "/session/list": "list",
        "/session/revoke": "revoke",
    }


def test_paths_of_another_prefix_and_of_existing_clients() -> None:
    """The prefix can be changed, and each route can have more paths."""
    config = HttpConfig(
        prefix="/auth", extra_paths={"beat": ("/keepalive", "/api/auth/heartbeat"), "look": ("/auth/me",), "end": ("/auth/logout",)}
    )
    assert config.paths() == {
        "/auth": "look",
        "/auth/beat": "beat",
        "/auth/end": "end",
        "/auth/client.js": "client",
        "/auth/events": "events",
        "/auth/socket": "socket",
        "/auth/refresh": "refresh",
        "/auth/jwks.json": "keys",
        "/auth/login": "login",
        "/auth/callback": "callback",
        "/auth/backchannel": "backchannel",
        "/auth/list": "list",
        "/auth/revoke": "revoke",
        "/keepalive": "beat",
        "/api/auth/heartbeat": "beat",
        "/auth/me": "look",
        "/auth/logout": "end",
    }


def test_session_and_refresh_token_have_cookies_of_their_own() -> None:
    """One name for both would let the one overwrite the other."""
    with pytest.raises(SettingsError, match="names of their own"):
        HttpConfig(cookie_name="__Host-refresh")


@pytest.mark.parametrize(
    "extra_paths",
    [{"beat": ("/session/end",)}, {"look": ("/session",)}, {"beat": ("/x",), "look": ("/x",)}, {"beat": ("/x", "/x")}],
)
def test_no_path_is_two_routes(extra_paths: Any) -> None:
    """A path that would answer as two routes is refused: a sign-out must never turn into a beat."""
    with pytest.raises(SettingsError, match="two session routes at once"):
        HttpConfig(extra_paths=extra_paths)
