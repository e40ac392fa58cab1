"""Signing out at a provider, and being told by it that somebody did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import ECKey

from stillhere.testing import START
from stillhere.tokens.provider.jose import BadToken
from stillhere.tokens.provider.logout import EVENT
from tests.tokens.provider.doubles import ISSUER, Issuer

if TYPE_CHECKING:
    from stillhere.tokens.provider.login import Login
    from stillhere.tokens.provider.party import RelyingParty

NOW_S = START // 1000
OTHER = ECKey.generate_key("P-256")


@pytest.mark.parametrize(
    ("settings", "state", "asked"),
    [
        ({}, None, {"client_id": ["app"]}),
        ({}, "x", {"client_id": ["app"]}),
        (
            {"post_logout_redirect_uri": "https://app.example/bye"},
            None,
            {"client_id": ["app"], "post_logout_redirect_uri": ["https://app.example/bye"]},
        ),
        (
            {"post_logout_redirect_uri": "https://app.example/bye"},
            "a&b=c",
            {"client_id": ["app"], "post_logout_redirect_uri": ["https://app.example/bye"], "state": ["a&b=c"]},
        ),
    ],
)
async def test_where_a_person_signs_out(issuer: Issuer, settings: dict[str, Any], state: str | None, asked: dict[str, list[str]]) -> None:
    """The address says who we are and where to return to, and has no token in it."""
    url = await issuer.party(**settings).logout_url(state=state, now=START)
    assert url is not None
    assert url.startswith(f"{ISSUER}/end?")
    assert parse_qs(urlsplit(url).query) == asked


async def test_a_provider_without_a_page_for_that(issuer: Issuer) -> None:
    """Then there is no address."""
    issuer.metadata["end_session_endpoint"] = None
    assert await issuer.party().logout_url(now=START) is None


async def test_a_notice_is_read(issuer: Issuer, memory_party: RelyingParty) -> None:
    """Who, which session, and until when it must not count twice."""
    notice = await memory_party.read_logout_token(issuer.logout_token(), now=START)
    assert (notice.iss, notice.sub, notice.sid, notice.jti) == (ISSUER, "person", "there", "notice-1")
    assert notice.replay_until_at == START // 1000 * 1000 + 120_000 + 60_000


@pytest.mark.parametrize(
    ("claims", "header"),
    [
        ({"sid": None}, {}),
        ({"sub": None}, {}),
        ({"aud": ["app", "another"]}, {}),
        ({"iat": NOW_S - 359, "exp": NOW_S - 59}, {}),
        ({"iat": NOW_S + 60}, {}),
        ({"exp": 1e300}, {}),
        ({"events": {EVENT: {"unheard": "of"}, "https://another.example/event": {}}}, {}),
        ({}, {"typ": "LOGOUT+JWT"}),
        ({}, {"typ": "application/logout+jwt"}),
    ],
)
async def test_notices_that_are_believed(
    issuer: Issuer, memory_party: RelyingParty, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    """By session, by person, or both; and every one is remembered at least until it would be refused for its age."""
    text = issuer.logout_token(header=header, **claims)
    notice = await memory_party.read_logout_token(text, now=START)
    with pytest.raises(BadToken) as bad:
        await memory_party.read_logout_token(text, now=notice.replay_until_at + 1_000)
    assert bad.value.why in {"iat", "exp"}


@pytest.mark.parametrize(
    ("claims", "header", "why"),
    [
        ({}, {"typ": "JWT"}, "typ"),
        ({}, {"typ": "at+jwt"}, "typ"),
        ({}, {"kid": "second"}, "unknown_key"),
        ({"key": OTHER}, {}, "signature"),
        ({"iss": "https://elsewhere.example"}, {}, "iss"),
        ({"aud": "another"}, {}, "aud"),
        ({"aud": []}, {}, "aud"),
        ({"iat": NOW_S - 361}, {}, "iat"),
        ({"iat": NOW_S + 61}, {}, "iat"),
        ({"exp": NOW_S - 60}, {}, "exp"),
        ({"exp": None}, {}, "unreadable"),
        ({"iat": None}, {}, "unreadable"),
        ({"jti": None}, {}, "unreadable"),
        ({"jti": ""}, {}, "jti"),
        ({"jti": "x" * 256}, {}, "jti"),
        ({"events": None}, {}, "unreadable"),
        ({"events": {}}, {}, "events"),
        ({"events": {EVENT: "yes"}}, {}, "events"),
        ({"events": {"https://another.example/event": {}}}, {}, "events"),
        ({"events": [EVENT]}, {}, "unreadable"),
        ({"nonce": "x"}, {}, "nonce"),
        ({"sub": None, "sid": None}, {}, "sub"),
        ({"sub": ""}, {}, "sub"),
        ({"sid": "x" * 256}, {}, "sub"),
        ({"sub": 7}, {}, "unreadable"),
    ],
)
async def test_forged_notices(issuer: Issuer, memory_party: RelyingParty, claims: dict[str, Any], header: dict[str, Any], why: str) -> None:
    """Whatever is missing, old, of another purpose or of somebody else signs nobody out, and is named."""
    with pytest.raises(BadToken) as bad:
        await memory_party.read_logout_token(issuer.logout_token(header=header, **claims), now=START)
    assert (bad.value.why, bad.value.status_hint) == (why, 400)


async def test_a_header_without_a_type(issuer: Issuer, memory_party: RelyingParty) -> None:
    """A token that does not say that it is a logout is none."""
    text = issuer.id_token(events={EVENT: {}}, jti="notice-1", sid="there", nonce=None)
    with pytest.raises(BadToken) as bad:
        await memory_party.read_logout_token(text, now=START)
    assert bad.value.why == "typ"


async def test_an_id_token_of_a_real_login_is_no_notice(memory_party: RelyingParty, signed_in: Login) -> None:
    """One purpose is never taken for another."""
    with pytest.raises(BadToken) as bad:
        await memory_party.read_logout_token(signed_in.tokens.id_token, now=START)
    assert bad.value.why == "typ"
