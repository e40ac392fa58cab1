"""Settings of a provider are checked when they are said, not when somebody signs in."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey
from rich.console import Console

from stillhere.errors import SettingsError
from stillhere.tokens.provider.config import Provider, is_safe_address
from tests.tokens.provider.doubles import SETTINGS, provider

EC = ECKey.generate_key("P-256").as_pem(private=True).decode()

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"issuer": "http://login.example"}, "issuer 'http://login.example' must be an address of https"),
    ({"issuer": "login.example"}, "issuer 'login.example' must be an address of https"),
    ({"issuer": "https://login.example?tenant=a"}, "issuer 'https://login.example?tenant=a' has a query"),
    ({"redirect_uri": "http://app.example/callback"}, "redirect_uri 'http://app.example/callback' must be an address of https"),
    ({"redirect_uri": "https://app.example/callback#x"}, "redirect_uri"),
    ({"post_logout_redirect_uri": "https://person@app.example/"}, "post_logout_redirect_uri"),
    ({"client_id": ""}, "client_id is empty"),
    ({"client_secret": None}, "give either client_secret or private_key"),
    ({"private_key": EC}, "give either client_secret or private_key"),
    ({"client_authentication": "private_key_jwt"}, "client_authentication private_key_jwt needs private_key, which is not set"),
    (
        {"client_secret": None, "private_key": EC, "client_authentication": "client_secret_post"},
        "client_authentication client_secret_post needs client_secret",
    ),
    (
        {"client_authentication": "none"},
        "client_authentication must be client_secret_basic, client_secret_post or private_key_jwt, not 'none'",
    ),
    ({"client_secret": None, "private_key": "no key"}, "private_key cannot be read as a PEM key for ES256"),
    ({"client_secret": None, "private_key": EC, "private_key_algorithm": "RS256"}, "private_key cannot be read as a PEM key for RS256"),
    ({"private_key_algorithm": "HS256"}, "private_key_algorithm must be one of RS256, PS256, ES256, Ed25519, not 'HS256'"),
    ({"client_secret": None, "private_key": ECKey.generate_key("P-256").as_pem(private=False).decode()}, "private_key is a public key"),
    ({"client_secret": None, "private_key": ECKey.generate_key("P-384").as_pem(private=True).decode()}, "private_key is of curve P-384"),
    (
        {
            "client_secret": None,
            "private_key": OKPKey.generate_key("X25519").as_pem(private=True).decode(),
            "private_key_algorithm": "Ed25519",
        },
        "private_key is of curve X25519",
    ),
    ({"scopes": ("email",)}, "scopes must have `openid`"),
    ({"scopes": ("openid", "email profile")}, "'email profile' is not a scope"),
    ({"scopes": ("openid", "")}, "'' is not a scope"),
    ({"authorize_parameters": {"state": "x", "nonce": "y"}}, "authorize_parameters may not set nonce, state"),
    ({"algorithms": ("HS256",)}, "algorithms must be some of"),
    ({"algorithms": ("none",)}, "algorithms must be some of"),
    ({"algorithms": ()}, "algorithms must be some of"),
    ({"access_lifetime": 0}, "access_lifetime must be a whole number of milliseconds above 0, not 0"),
    ({"read_timeout": 1.5}, "read_timeout must be a whole number of milliseconds above 0, not 1.5"),
    ({"total_timeout": True}, "total_timeout must be a whole number"),
    ({"clock_skew": -1}, "clock_skew must be a whole number of milliseconds from 0, not -1"),
    ({"refresh_margin": 1.1}, "refresh_margin must be a fraction from 0 to 1, not 1.1"),
    ({"least_margin": 300_000}, "least_margin (300000 ms) must be shorter than access_lifetime (300000 ms)"),
    ({"read_timeout": 20_000}, "read_timeout (20000 ms) must not be longer than total_timeout (15000 ms)"),
    ({"connect_timeout": 16_000}, "connect_timeout (16000 ms) must not be longer than total_timeout (15000 ms)"),
    ({"total_timeout": 60_001}, "total_timeout (60001 ms) must not be longer than 60000 ms"),
]


@pytest.mark.parametrize(("wrong", "sentence"), WRONG)
def test_what_cannot_work_is_refused_with_a_sentence(wrong: dict[str, Any], sentence: str) -> None:
    """A value that cannot work is refused at once; the message names it, and shows no secret."""
    with pytest.raises(SettingsError, match=re.escape(sentence)) as refused:
        provider(**wrong)
    assert "planted" not in str(refused.value)
    assert "PRIVATE" not in str(refused.value)


@pytest.mark.filterwarnings("ignore:Key size should be")
def test_a_short_key_is_refused() -> None:
    """An RSA key below 2048 bits signs nothing."""
    short = RSAKey.generate_key(1024).as_pem(private=True).decode()
    with pytest.raises(SettingsError, match="private_key has 1024 bits; PS256 needs at least 2048"):
        provider(client_secret=None, private_key=short, private_key_algorithm="PS256")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ECKey.generate_key("P-256"), "ES256"),
        (OKPKey.generate_key("Ed25519"), "Ed25519"),
        (RSAKey.generate_key(2048), "RS256"),
        (RSAKey.generate_key(2048), "PS256"),
    ],
)
def test_keys_that_can_sign(key: ECKey | OKPKey | RSAKey, algorithm: Any) -> None:
    """Each algorithm takes a key of its kind, and proves with it who we are."""
    pem = key.as_pem(private=True).decode()
    found = provider(client_secret=None, private_key=pem, private_key_algorithm=algorithm)
    assert found.authentication == "private_key_jwt"
    assert found.signing_key().as_dict(private=False)["kty"] == key.key_type


def test_how_we_prove_who_we_are() -> None:
    """A secret is sent in the header unless the form is asked for."""
    assert provider().authentication == "client_secret_basic"
    assert provider(client_authentication="client_secret_post").authentication == "client_secret_post"


def test_printing_shows_no_secret() -> None:
    """Neither print nor rich nor an error's text shows the secret or the key."""
    for settings in (SETTINGS, {**SETTINGS, "client_secret": None, "private_key": EC}):
        shown = StringIO()
        Console(file=shown, width=400).print(Provider(**settings), [Provider(**settings)])
        text = f"{Provider(**settings)} {Provider(**settings)!r} {shown.getvalue()}"
        assert "planted" not in text
        assert "PRIVATE" not in text
        assert "https://login.example" in text


def test_problems_are_told_and_not_refused() -> None:
    """What works but was probably not meant is a sentence for `doctor`."""
    assert provider(post_logout_redirect_uri="https://app.example/").problems() == []
    found = provider(scopes=("openid",), issuer="http://127.0.0.1:9000").problems()
    assert [sentence.split(":")[0] for sentence in found] == [
        "scopes have no `offline_access`",
        "there is no post_logout_redirect_uri",
        "the issuer is plain http",
    ]


@given(
    lifetime=st.integers(0, 10**9),
    margin=st.floats(0, 1),
    least=st.integers(0, 299_999),
)
def test_a_margin_never_takes_more_than_half(lifetime: int, margin: float, least: int) -> None:
    """However margins are set, a new token is not due when it comes, unless it has no life at all."""
    found = provider(refresh_margin=margin, least_margin=least).margin_of(lifetime)
    assert 0 <= found <= lifetime / 2
    assert found == lifetime // 2 or found >= least


def test_margins_of_common_lifetimes() -> None:
    """Thirty percent, at least thirty seconds, at most half."""
    assert [provider().margin_of(span) for span in (3_600_000, 300_000, 60_000, 20_000)] == [1_080_000, 90_000, 30_000, 10_000]


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://login.example", True),
        ("https://login.example:8443/realm?x=1", True),
        ("http://localhost:9000", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:9000/", True),
        ("http://127.0.0.1.elsewhere.example", False),
        ("http://localhost.elsewhere.example", False),
        ("http://login.example", False),
        ("https://", False),
        ("https:///token", False),
        ("https://person:word@login.example", False),
        ("https://@login.example", False),
        ("https://login.example#x", False),
        ("https://login.example/#", False),
        ("https://login.example:port", False),
        ("https://login.example:0", False),
        ("https://login.example:99999", False),
        ("https://login.example /", False),
        ("https://login.example\\@elsewhere.example", False),
        ("https://lögin.example", False),
        ("https://[::1", False),
        ("ftp://login.example", False),
        ("javascript:alert(1)", False),
        ("//login.example", False),
        ("", False),
    ],
)
def test_addresses_where_secrets_may_travel(url: str, is_safe: bool) -> None:  # noqa: FBT001  # a column of the table
    """Encrypted, or not leaving the machine; and no address that two readers could read differently."""
    assert is_safe_address(url) is is_safe
