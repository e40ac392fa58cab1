"""Refreshing and revoking: one call each, everything usable is kept, and nobody else's tokens are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from stillhere.testing import START
from stillhere.tokens.provider.failures import Failure, ProviderError
from stillhere.tokens.provider.jose import open_unproven
from stillhere.tokens.provider.party import RelyingParty
from stillhere.tokens.provider.transport import HttpxTransport, NoReply, Reply
from tests.tokens.provider.doubles import Issuer, json_reply, provider

if TYPE_CHECKING:
    from stillhere.tokens.provider.login import Login

LATER = START + 240_000
NOW_S = LATER // 1000
OTHER = ECKey.generate_key("P-256")


async def test_a_refresh(issuer: Issuer, memory_party: RelyingParty, signed_in: Login) -> None:
    """One call with the refresh token and our proof; new tokens that count from when it went out."""
    issuer.now = LATER
    after = await memory_party.refresh(signed_in.tokens, now=LATER)
    assert issuer.form("/token") == {"grant_type": "refresh_token", "refresh_token": "planted-refresh-1"}
    assert len(issuer.calls("/token")) == 2
    assert (after.access_token, after.refresh_token) == ("planted-access-2", "planted-refresh-2")
    assert (after.received_at, after.access_expires_at) == (LATER, LATER + 300_000)
    assert msgspec.json.decode(open_unproven(after.id_token).payload)["iat"] == NOW_S


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"refresh_token": None}, {"refresh_token": "planted-refresh-1"}),
        ({"scope": "openid"}, {"scope": "openid"}),
        ({"id_token": None}, {}),
        ({"expires_in": None}, {"access_expires_at": LATER + 300_000}),
    ],
)
async def test_what_is_not_told_stays(
    issuer: Issuer, memory_party: RelyingParty, signed_in: Login, changes: dict[str, Any], kept: dict[str, Any]
) -> None:
    """A refresh token, an ID token or a scope that does not come is the one before; a lifetime is the default."""
    issuer.answers["/token"].append(json_reply(issuer.tokens(**changes)))
    after = await memory_party.refresh(signed_in.tokens, now=LATER)
    assert {name: getattr(after, name) for name in kept} == kept
    assert after.access_token == "planted-access-2"
    if "id_token" in changes:
        assert after.id_token == signed_in.tokens.id_token


async def test_nothing_to_refresh_with(issuer: Issuer, memory_party: RelyingParty, signed_in: Login) -> None:
    """Without a refresh token nobody is asked."""
    tokens = msgspec.structs.replace(signed_in.tokens, refresh_token=None)
    asked = len(issuer.asked)
    with pytest.raises(ProviderError) as raised:
        await memory_party.refresh(tokens, now=LATER)
    assert (raised.value.failure, raised.value.why, len(issuer.asked)) == (Failure.TERMINAL, "no_refresh_token", asked)


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"sub": "somebody else"}, "id_token_sub"),
        ({"sub": ""}, "id_token_sub"),
        ({"iss": "https://elsewhere.example"}, "id_token_iss"),
        ({"aud": "another"}, "id_token_aud"),
        ({"aud": ["app", "another"], "azp": "another"}, "id_token_azp"),
        ({"nonce": "of another login"}, "id_token_nonce"),
        ({"key": OTHER}, "id_token_signature"),
        ({"header": {"alg": "ES512"}, "key": ECKey.generate_key("P-521")}, "id_token_algorithm"),
    ],
)
async def test_somebody_elses_tokens_are_refused(
    issuer: Issuer, memory_party: RelyingParty, signed_in: Login, claims: dict[str, Any], why: str
) -> None:
    """Another person, provider, client or login, or another signer: none of it is used, and the session ends."""
    issuer.claims = claims
    with pytest.raises(ProviderError) as raised:
        await memory_party.refresh(signed_in.tokens, now=START)
    assert (raised.value.failure, raised.value.why, raised.value.may_be_spent) == (Failure.IDENTITY_CHANGED, why, True)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": None},
        {"exp": START // 1000 - 60},
        {"iat": START // 1000 + 3_600},
        {"header": {"kid": "second"}},
        {"iat": "yesterday"},
    ],
)
async def test_an_id_token_that_cannot_be_checked_is_left(
    issuer: Issuer, memory_party: RelyingParty, signed_in: Login, claims: dict[str, Any]
) -> None:
    """Out of its time, of a key that is nowhere, or unreadable: the tokens are kept, and the last good ID token stays."""
    issuer.claims = claims
    after = await memory_party.refresh(signed_in.tokens, now=START)
    assert after.refresh_token == "planted-refresh-2"
    assert (after.id_token == signed_in.tokens.id_token) is (claims != {"nonce": None})


async def test_a_nonce_is_compared_where_there_is_one(issuer: Issuer, memory_party: RelyingParty, signed_in: Login) -> None:
    """An ID token without a nonce says nothing about the next one's."""
    issuer.claims = {"nonce": None}
    after = await memory_party.refresh(signed_in.tokens, now=START)
    issuer.claims = {"nonce": "any"}
    assert (await memory_party.refresh(after, now=START)).refresh_token == "planted-refresh-3"


async def test_keys_come_first(issuer: Issuer, signed_in: Login) -> None:
    """They are fetched before the refresh token goes out, so that what comes is not held up; without them it is kept all the same."""
    party = issuer.party()
    begun = len(issuer.asked)
    issuer.answers["/jwks"].extend([Reply(status=503, headers={}, body=b""), NoReply("unreachable", may_have_arrived=False)])
    after = await party.refresh(signed_in.tokens, now=START)
    assert [call.url.rpartition("/")[2] for call in issuer.asked[begun:]] == ["openid-configuration", "jwks", "token", "jwks"]
    assert (after.refresh_token, after.id_token) == ("planted-refresh-2", signed_in.tokens.id_token)


@given(
    status=st.sampled_from([200, 302, 400, 401, 403, 429, 500, 503]),
    said=st.fixed_dictionaries(
        {},
        optional={
            "error": st.sampled_from(["invalid_grant", "invalid_client", "slow_down", "new"]),
            "access_token": st.sampled_from(["planted-a", "", 7]),
            "refresh_token": st.sampled_from(["planted-b", "", None, 7]),
            "id_token": st.sampled_from(["planted-c", "", None, 7, "a.b.c"]),
            "expires_in": st.sampled_from([1, -1, "x", None]),
        },
    ),
)
async def test_any_answer_is_tokens_or_a_failure(status: int, said: dict[str, Any]) -> None:
    """Whatever comes: usable tokens, or one error that says what it means and shows none of them."""
    issuer = Issuer()
    party = issuer.party()
    begun = await party.begin(now=START)
    login = await party.finish(issuer.approve(begun.url), begun.transaction, now=START)
    issuer.answers["/token"].append(json_reply(said, status))
    try:
        after = await party.refresh(login.tokens, now=LATER)
    except ProviderError as error:
        assert "planted" not in f"{error} {error!r} {vars(error)}"  # noqa: PT017  # either way is fine
        assert error.failure is not Failure.TERMINAL or said.get("error") == "invalid_grant"  # noqa: PT017  # as above
    else:
        assert (after.access_token, after.refresh_token) == ("planted-a", said.get("refresh_token") or "planted-refresh-1")
        assert after.id_token == login.tokens.id_token


async def test_a_token_is_taken_back(issuer: Issuer, memory_party: RelyingParty) -> None:
    """With our proof, and a word about what it is (RFC 7009)."""
    assert await memory_party.revoke("planted-refresh-1", "refresh_token", now=START) is True
    assert issuer.form("/revoke") == {"token": "planted-refresh-1", "token_type_hint": "refresh_token"}
    assert issuer.calls("/revoke")[0].headers["Authorization"].startswith("Basic ")


async def test_a_provider_that_takes_nothing_back(issuer: Issuer) -> None:
    """That is an answer, and no trouble."""
    issuer.metadata["revocation_endpoint"] = None
    assert await issuer.party().revoke("x", "access_token", now=START) is False


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (Reply(status=503, headers={"retry-after": "30"}, body=b""), Failure.TRANSIENT),
        (json_reply({"error": "invalid_client"}, 401), Failure.OPERATOR),
        (NoReply("timeout", may_have_arrived=True), Failure.TRANSIENT),
    ],
)
async def test_a_revocation_that_fails(issuer: Issuer, memory_party: RelyingParty, reply: Reply | NoReply, failure: Failure) -> None:
    """The caller knows whether it is worth trying again, and when."""
    issuer.answers["/revoke"].append(reply)
    with pytest.raises(ProviderError) as raised:
        await memory_party.revoke("x", "refresh_token", now=START)
    assert (raised.value.endpoint, raised.value.failure) == ("revocation", failure)


async def test_a_kind_of_token_that_cannot_be_revoked(issuer: Issuer, memory_party: RelyingParty) -> None:
    """Some revoke no access tokens that are JWTs (RFC 7009 section 2.2.1): there is nothing to be tried again."""
    issuer.answers["/revoke"].append(json_reply({"error": "unsupported_token_type"}, 400))
    assert await memory_party.revoke("x", "access_token", now=START) is False


async def test_when_it_is_time(issuer: Issuer, signed_in: Login) -> None:
    """The margin is of the token's whole life, whatever is left of it."""
    for changes, at in (({}, 210_000), ({"refresh_margin": 0.5}, 150_000), ({"refresh_margin": 0, "least_margin": 1}, 299_999)):
        assert issuer.party(**changes).refresh_at(signed_in.tokens) == START + at


async def test_the_usual_transport(issuer: Issuer) -> None:
    """Without another one, calls go out by httpx2; closing what was never used is no harm."""
    party = RelyingParty(provider(), random_bytes=bytes)
    assert isinstance(party._transport, HttpxTransport)
    await party.close()
    await issuer.party().close()
