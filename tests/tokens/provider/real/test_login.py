"""Signing in at a real provider, and refreshing what came of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc.jwk import ECKey

from stillhere.tokens.provider.failures import Failure, LoginRefused, ProviderError
from stillhere.tokens.provider.party import RelyingParty
from tests.services.openid import SECRET, Person
from tests.tokens.provider.real.conftest import sign_in

if TYPE_CHECKING:
    from stillhere.tokens.provider.login import Login
    from tests.tokens.provider.real.conftest import Stand


@pytest.mark.parametrize("client", ["basic", "post", "signed"])
async def test_a_person_signs_in_and_stays(stand: Stand, client: str, now: int) -> None:
    """Whatever way we prove who we are: a login, a refresh and a revocation work, and the provider demands that way."""
    party = RelyingParty(stand.provider(client), random_bytes=os.urandom)
    login = await sign_in(party, now)
    assert (login.identity.iss, login.identity.sub, login.return_to) == (stand.faulty.url, "first", "/work?item=1")
    assert login.identity.sid is not None
    assert login.tokens.access_expires_at == now + 20_000
    assert party.refresh_at(login.tokens) == now + 10_000

    after = await party.refresh(login.tokens, now=now + 12_000)
    assert after.refresh_token not in {None, login.tokens.refresh_token}
    assert after.access_token != login.tokens.access_token
    assert after.access_expires_at == now + 32_000

    assert after.refresh_token is not None
    assert await party.revoke(after.refresh_token, "refresh_token", now=now) is True
    with pytest.raises(ProviderError) as raised:
        await party.refresh(after, now=now)
    assert (raised.value.failure, raised.value.why) == (Failure.TERMINAL, "invalid_grant")
    assert await party.revoke(after.refresh_token, "refresh_token", now=now) is True
    await party.close()


async def test_a_client_that_cannot_prove_itself_is_an_operators_matter(stand: Stand, login: Login, now: int) -> None:
    """A wrong secret, or a key that the provider does not know: nobody is signed out, and the refresh token is as good as before."""
    stranger = ECKey.generate_key("P-256").as_pem(private=True).decode()
    for settings in (
        stand.provider(client_secret="of another"),
        stand.provider("post", client_secret="of another"),
        stand.provider("signed", private_key=stranger),
    ):
        party = RelyingParty(settings, random_bytes=os.urandom)
        with pytest.raises(ProviderError) as raised:
            await party.refresh(login.tokens, now=now)
        assert (raised.value.failure, raised.value.why, raised.value.may_be_spent) == (Failure.OPERATOR, "invalid_client", False)
        with pytest.raises(ProviderError) as raised:
            await party.revoke("any", "refresh_token", now=now)
        assert raised.value.endpoint == "revocation"
        await party.close()


async def test_the_peer_is_strict(party: RelyingParty, login: Login, now: int) -> None:
    """A refresh token that is used twice ends the whole grant: whoever refreshes twice at once with this provider is signed out."""
    after = await party.refresh(login.tokens, now=now)
    for tokens in (login.tokens, after):
        with pytest.raises(ProviderError) as raised:
            await party.refresh(tokens, now=now)
        assert raised.value.failure is Failure.TERMINAL


async def test_the_peer_demands_proof_of_the_login(party: RelyingParty, now: int) -> None:
    """A code that somebody else brings, or that comes a second time, signs nobody in: the verifier and the provider see to it."""
    ours, theirs = await party.begin(now=now), await party.begin(now=now)
    async with Person() as person:
        query = await person.sign_in(ours.url)
    stolen = parse_qs(query)
    stolen["state"] = parse_qs(urlsplit(theirs.url).query)["state"]
    with pytest.raises(LoginRefused) as refused:
        await party.finish(urlencode(stolen, doseq=True), theirs.transaction, now=now)
    assert refused.value.why == "code"


async def test_a_code_serves_once(party: RelyingParty, now: int) -> None:
    """The same redirect does not sign in twice, and ends what the first time gave (RFC 9700)."""
    begun = await party.begin(now=now)
    async with Person() as person:
        query = await person.sign_in(begun.url)
    first = await party.finish(query, begun.transaction, now=now)
    with pytest.raises(LoginRefused) as refused:
        await party.finish(query, begun.transaction, now=now)
    assert refused.value.why == "code"
    with pytest.raises(ProviderError) as raised:
        await party.refresh(first.tokens, now=now)
    assert raised.value.failure is Failure.TERMINAL


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("state", "x", "state"),
        ("state", None, "state"),
        ("iss", "https://elsewhere.example", "issuer"),
        ("iss", None, "issuer"),
        ("code", "x", "code"),
        ("code", None, "code"),
    ],
)
async def test_a_redirect_that_was_tampered_with(party: RelyingParty, now: int, name: str, value: str | None, why: str) -> None:
    """What comes back is held to the login it began with: state, issuer (this provider says who it is) and code."""
    begun = await party.begin(now=now)
    async with Person() as person:
        query = parse_qs(await person.sign_in(begun.url))
    query[name] = [] if value is None else [value]
    with pytest.raises(LoginRefused) as refused:
        await party.finish(urlencode(query, doseq=True), begun.transaction, now=now)
    assert refused.value.why == why


async def test_a_person_may_be_asked_anew(party: RelyingParty, now: int) -> None:
    """With `max_age` the provider says when they proved who they are; with `prompt=none` and nobody there it refuses."""
    begun = await party.begin(max_age=60_000, now=now)
    async with Person() as person:
        login = await party.finish(await person.sign_in(begun.url), begun.transaction, now=now)
    assert abs(login.identity.claims["auth_time"] * 1000 - now) < 60_000

    begun = await party.begin(extra={"prompt": "none"}, now=now)
    async with Person("nobody") as person:
        query = await person.sign_in(begun.url)
    with pytest.raises(LoginRefused) as refused:
        await party.finish(query, begun.transaction, now=now)
    assert refused.value.why == "interaction_required"


async def test_the_provider_and_our_settings_fit(stand: Stand, party: RelyingParty, now: int) -> None:
    """What the provider says of itself agrees with the settings of these tests."""
    metadata = await party.metadata(now=now)
    assert metadata.problems(party.provider) == []
    assert metadata.authorization_response_iss_parameter_supported
    assert metadata.backchannel_logout_supported
    wants_more = stand.provider(scopes=("openid", "everything"))
    assert metadata.problems(wants_more) == ["the provider does not name scope `everything` as one it knows"]
    assert SECRET not in repr(party.provider)
