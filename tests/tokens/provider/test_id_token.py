"""What an ID token must say to be believed."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256, sha512
from typing import TYPE_CHECKING, Any

import pytest
from joserfc.jwk import ECKey

from stillhere.testing import START
from stillhere.tokens.provider.failures import LoginRefused
from stillhere.tokens.provider.id_token import left_half
from tests.tokens.provider.doubles import ISSUER, Issuer, json_reply

if TYPE_CHECKING:
    from stillhere.tokens.provider.party import RelyingParty

NOW_S = START // 1000
AGES = [{"auth_time": NOW_S - 600}, {"auth_time": NOW_S + 600}, {}]


async def refusal(issuer: Issuer, party: RelyingParty, *, max_age: int | None = None, **claims: Any) -> str | None:
    """Sign in with changed claims, and tell what was wrong; None if nothing was."""
    begun = await party.begin(max_age=max_age, now=START)
    query = issuer.approve(begun.url)
    issuer.claims = claims
    try:
        await party.finish(query, begun.transaction, now=START)
    except LoginRefused as refused:
        return refused.detail if refused.why == "id_token" else refused.why
    return None


@pytest.mark.parametrize(
    ("claims", "at_fault"),
    [
        ({"iss": "https://elsewhere.example"}, "iss"),
        ({"iss": f"{ISSUER}/"}, "iss"),
        ({"iss": None}, "unreadable"),
        ({"iss": 7}, "unreadable"),
        ({"aud": "another"}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": "APP"}, "aud"),
        ({"aud": None}, "unreadable"),
        ({"aud": [7]}, "unreadable"),
        ({"aud": ["app", "another"]}, "azp"),
        ({"aud": ["app", "another"], "azp": "another"}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"sub": ""}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"sub": None}, "unreadable"),
        ({"sub": 7}, "unreadable"),
        ({"exp": NOW_S - 60}, "exp"),
        ({"exp": None}, "unreadable"),
        ({"exp": "tomorrow"}, "unreadable"),
        ({"iat": NOW_S + 61}, "iat"),
        ({"iat": NOW_S - 961}, "iat"),
        ({"iat": None}, "unreadable"),
        ({"nonce": "of another login"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": "é"}, "nonce"),
        ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash"),
        ({"at_hash": "é"}, "at_hash"),
    ],
)
async def test_each_claim_is_checked(issuer: Issuer, memory_party: RelyingParty, claims: dict[str, Any], at_fault: str) -> None:
    """A claim that is missing, of another type or somebody else's refuses the login and is named."""
    assert await refusal(issuer, memory_party, **claims) == at_fault


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"aud": ["app"]},
        {"aud": ["app", "another"], "azp": "app"},
        {"azp": "app"},
        {"exp": NOW_S - 59},
        {"exp": NOW_S + 0.5},
        {"exp": 1e300},
        {"iat": NOW_S + 60},
        {"iat": NOW_S - 960},
        {"sub": "x" * 255},
        {"unheard": {"of": ["by", "us"]}},
    ],
)
async def test_what_is_believed(issuer: Issuer, memory_party: RelyingParty, claims: dict[str, Any]) -> None:
    """A clock that is a minute off, an audience in a list and claims of no concern are fine."""
    assert await refusal(issuer, memory_party, **claims) is None


async def test_the_hash_of_the_access_token(issuer: Issuer, memory_party: RelyingParty) -> None:
    """Where the ID token says which access token it came with, that is held to it."""
    digest = sha256(b"planted-access-1").digest()[:16]
    assert await refusal(issuer, memory_party, at_hash=urlsafe_b64encode(digest).rstrip(b"=").decode()) is None


def test_hashes_go_by_the_algorithm() -> None:
    """Ed25519 hashes with SHA-512, the others with SHA-256 (OpenID Connect Core section 3.1.3.6)."""
    for algorithm, digest in (("RS256", sha256(b"x").digest()[:16]), ("EdDSA", sha512(b"x").digest()[:32])):
        assert left_half("x", algorithm) == urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.mark.parametrize("claims", AGES)
async def test_how_long_ago_somebody_proved_who_they_are(issuer: Issuer, memory_party: RelyingParty, claims: dict[str, Any]) -> None:
    """A login that asks for a recent sign-in is held to it; one that does not ask takes any."""
    assert await refusal(issuer, memory_party, max_age=300_000, **claims) == "auth_time"
    assert await refusal(issuer, memory_party, **claims) is None
    assert await refusal(issuer, memory_party, max_age=300_000, auth_time=NOW_S - 300) is None


async def test_who_signed_it(issuer: Issuer, memory_party: RelyingParty) -> None:
    """A token of another key, or of an unknown one, signs nobody in."""
    other = ECKey.generate_key("P-256")
    assert await refusal(issuer, memory_party, key=other) == "signature"
    assert await refusal(issuer, memory_party, key=other, header={"kid": "second"}) == "unknown_key"


async def test_an_answer_without_one(issuer: Issuer, memory_party: RelyingParty) -> None:
    """No ID token, no login."""
    begun = await memory_party.begin(now=START)
    query = issuer.approve(begun.url)

    issuer.answers["/token"].append(json_reply(issuer.tokens(id_token=None)))
    with pytest.raises(LoginRefused, match=r"the login is refused: id_token \(missing\)\. Begin again"):
        await memory_party.finish(query, begun.transaction, now=START)


async def test_who_somebody_is(issuer: Issuer, memory_party: RelyingParty) -> None:
    """The record has issuer, subject, the provider's session and all claims; printing it shows only who."""
    begun = await memory_party.begin(return_to="/work", now=START)
    query = issuer.approve(begun.url)
    issuer.claims = {"sid": "there", "email": "planted@fund.example"}
    login = await memory_party.finish(query, begun.transaction, now=START)
    identity = login.identity
    assert (identity.iss, identity.sub, identity.sid, login.return_to) == (ISSUER, "person", "there", "/work")
    assert identity.claims["email"] == "planted@fund.example"
    assert repr(identity) == f"Identity(iss={ISSUER!r}, sub='person', sid='there', …)"
