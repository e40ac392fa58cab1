"""Every fault of a provider, in front of a real one: what it means, and what is left of the grant."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from stillhere.testing import Fault, FaultyProvider
from stillhere.tokens.provider.failures import Failure, ProviderError
from stillhere.tokens.provider.party import RelyingParty
from tests.services.openid import openid_server
from tests.tokens.provider.real.conftest import HASTE

if TYPE_CHECKING:
    from pathlib import Path

    from stillhere.tokens.provider.login import Login
    from tests.tokens.provider.real.conftest import Stand

TRANSIENT, OPERATOR, TERMINAL, CHANGED = Failure.TRANSIENT, Failure.OPERATOR, Failure.TERMINAL, Failure.IDENTITY_CHANGED

UNHEARD = {
    "busy": (Fault(status=429, retry_after="7"), (TRANSIENT, "busy", 429, False, 7)),
    "busy for an hour": (Fault(status=429, retry_after="3600"), (TRANSIENT, "busy", 429, False, 300)),
    "down": (Fault(status=500), (TRANSIENT, "unavailable", 500, True, 5)),
    "down with a date": (Fault(status=503, retry_after="Fri, 01 Jan 2100 00:00:00 GMT"), (TRANSIENT, "unavailable", 503, True, 300)),
    "down in its own words": (Fault(status=503, error="invalid_grant"), (TRANSIENT, "invalid_grant", 503, True, 5)),
    "in doubt in its own words": (
        Fault(status=400, error="temporarily_unavailable"),
        (TRANSIENT, "temporarily_unavailable", 400, False, 5),
    ),
    "a page": (Fault(html=True), (TRANSIENT, "not_json", 200, True, 5)),
    "a page that forbids": (Fault(status=403), (OPERATOR, "not_for_us", 403, True, 5)),
    "a page that is not there": (Fault(status=404), (OPERATOR, "not_for_us", 404, True, 5)),
    "a page that asks": (Fault(status=400), (TRANSIENT, "unreadable", 400, True, 5)),
    "moved": (Fault(status=302, location="https://elsewhere.example/token"), (TRANSIENT, "redirect", 302, True, 5)),
    "moved for good": (Fault(status=308, location="/token"), (TRANSIENT, "redirect", 308, True, 5)),
    "refuses us": (Fault(status=401, error="invalid_client"), (OPERATOR, "invalid_client", 401, False, 5)),
    "refuses the grant type": (Fault(status=400, error="unsupported_grant_type"), (OPERATOR, "unsupported_grant_type", 400, False, 5)),
    "does not allow us": (Fault(status=400, error="unauthorized_client"), (OPERATOR, "unauthorized_client", 400, False, 5)),
    "refuses the scope": (Fault(status=400, error="invalid_scope"), (OPERATOR, "invalid_scope", 400, False, 5)),
    "says something new": (Fault(status=400, error="bad_mood"), (OPERATOR, "unknown_error", 400, False, 5)),
    "refuses the grant": (Fault(status=400, error="invalid_grant"), (TERMINAL, "invalid_grant", 400, False, 5)),
}
"""Faults in the provider's place: it hears nothing, so the refresh token is good afterwards, whether or not we can know that."""

HEARD = {
    "the answer is lost": (Fault(loses_answer=True), (TRANSIENT, "broken", None, True, 5)),
    "the answer is late": (Fault(delay=4_000), (TRANSIENT, "timeout", None, True, 5)),
    "a gateway gave up": (Fault(status=504, is_heard=True), (TRANSIENT, "unavailable", 504, True, 5)),
    "a page after all": (Fault(html=True, is_heard=True), (TRANSIENT, "not_json", 200, True, 5)),
    "half an answer": (Fault(cuts=40), (TRANSIENT, "unreadable", 200, True, 5)),
    "an endless answer": (Fault(pads=300_000), (TRANSIENT, "too_long", None, True, 5)),
    "no JSON, it says": (Fault(content_type="text/html"), (TRANSIENT, "not_json", 200, True, 5)),
    "no access token": (Fault(without=("access_token",)), (TRANSIENT, "no_tokens", 200, True, 5)),
    "another kind of token": (Fault(members={"token_type": "DPoP"}), (OPERATOR, "token_type", 200, True, 5)),
    "somebody else": (Fault(claims={"sub": "second"}), (CHANGED, "id_token_sub", 200, True, 5)),
    "another provider": (Fault(claims={"iss": "https://elsewhere.example"}), (CHANGED, "id_token_iss", 200, True, 5)),
    "for another client": (Fault(claims={"aud": "another"}), (CHANGED, "id_token_aud", 200, True, 5)),
    "asked for by another": (Fault(claims={"aud": ["basic", "another"], "azp": "another"}), (CHANGED, "id_token_azp", 200, True, 5)),
    "of another login": (Fault(claims={"nonce": "of another"}), (CHANGED, "id_token_nonce", 200, True, 5)),
    "signed by nobody": (Fault(unsigned=True), (CHANGED, "id_token_signature", 200, True, 5)),
}
"""Faults after the provider has heard: the refresh token is spent."""


async def refused(party: RelyingParty, login: Login, now: int) -> tuple[Failure, str, int | None, bool, int]:
    """Refresh in vain, and tell what it meant."""
    with pytest.raises(ProviderError) as raised:
        await party.refresh(login.tokens, now=now)
    error = raised.value
    assert error.endpoint == "token"
    assert error.status_hint == (401 if error.failure in {TERMINAL, CHANGED} else 503)
    return error.failure, error.why, error.status, error.may_be_spent, error.retry_after


@pytest.mark.parametrize("fault", UNHEARD)
async def test_a_fault_in_the_providers_place(stand: Stand, party: RelyingParty, login: Login, now: int, fault: str) -> None:
    """It means what the table says, the provider is asked once, and what it was not told cost nothing."""
    spoiled, meaning = UNHEARD[fault]
    stand.faulty.next("token", spoiled)
    before = stand.faulty.calls["token"]
    assert await refused(party, login, now) == meaning
    assert stand.faulty.calls["token"] == before + 1
    assert (await party.refresh(login.tokens, now=now)).refresh_token != login.tokens.refresh_token


@pytest.mark.parametrize("fault", HEARD)
async def test_a_fault_after_the_provider_has_heard(stand: Stand, party: RelyingParty, login: Login, now: int, fault: str) -> None:
    """It means what the table says, and the refresh token may be spent; with this provider it is."""
    spoiled, meaning = HEARD[fault]
    stand.faulty.next("token", spoiled)
    asking = RelyingParty(stand.provider(**HASTE), random_bytes=os.urandom) if spoiled.delay else party
    assert await refused(asking, login, now) == meaning
    if asking is not party:
        await asking.close()
    assert (await refused(party, login, now))[:2] == (TERMINAL, "invalid_grant")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(without=("refresh_token",)),
        Fault(members={"refresh_token": ""}),
        Fault(members={"refresh_token": None}),
    ],
)
async def test_no_new_refresh_token(stand: Stand, party: RelyingParty, login: Login, now: int, fault: Fault) -> None:
    """A provider that tells no new refresh token means that the old one stays (RFC 6749 section 6); if it rotated, that shows next time."""
    stand.faulty.next("token", fault)
    after = await party.refresh(login.tokens, now=now)
    assert after.refresh_token == login.tokens.refresh_token
    assert after.access_token != login.tokens.access_token
    with pytest.raises(ProviderError) as raised:
        await party.refresh(after, now=now)
    assert raised.value.failure is TERMINAL


@pytest.mark.parametrize(
    ("fault", "lifetime"),
    [
        (Fault(without=("expires_in",)), 300_000),
        (Fault(members={"expires_in": "60"}), 60_000),
        (Fault(members={"expires_in": -1}), 300_000),
        (Fault(members={"expires_in": True}), 300_000),
        (Fault(members={"expires_in": 1e300}), 400 * 86_400_000),
    ],
)
async def test_a_lifetime_that_is_untidy(stand: Stand, party: RelyingParty, login: Login, now: int, fault: Fault, lifetime: int) -> None:
    """A lifetime that is missing or makes no sense costs nobody a session: the default is believed."""
    stand.faulty.next("token", fault)
    assert (await party.refresh(login.tokens, now=now)).access_expires_at == now + lifetime


@pytest.mark.parametrize("skew", [-3_600_000, 3_600_000])
async def test_a_provider_whose_clock_is_off(stand: Stand, party: RelyingParty, login: Login, now: int, skew: int) -> None:
    """A refresh counts by our clock; an ID token out of its time is left, and the last good one stays. No login begins with one."""
    stand.faulty.always("token", Fault(skew=skew))
    after = await party.refresh(login.tokens, now=now)
    assert after.access_expires_at == now + 20_000
    assert after.id_token == login.tokens.id_token
    assert after.refresh_token != login.tokens.refresh_token


async def test_a_provider_whose_keys_are_out_of_reach(stand: Stand, login: Login, now: int) -> None:
    """A refresh is kept although its ID token cannot be checked; a wrong person is refused even then."""
    stand.faulty.always("jwks", Fault(status=503))
    party = RelyingParty(stand.provider(), random_bytes=os.urandom)
    after = await party.refresh(login.tokens, now=now)
    assert after.refresh_token != login.tokens.refresh_token
    assert after.id_token == login.tokens.id_token
    stand.faulty.next("token", Fault(claims={"sub": "second"}))
    with pytest.raises(ProviderError) as raised:
        await party.refresh(after, now=now)
    assert (raised.value.failure, raised.value.why) == (CHANGED, "id_token_sub")
    await party.close()


async def test_a_key_that_was_not_there_before(stand: Stand, party: RelyingParty, login: Login, now: int) -> None:
    """An ID token signed with a new key is believed once the keys were fetched anew."""
    stand.faulty.next("token", Fault(claims={"email": "new@fund.example"}))
    before = stand.faulty.calls["jwks"]
    after = await party.refresh(login.tokens, now=now)
    assert after.id_token != login.tokens.id_token
    assert stand.faulty.calls["jwks"] == before


async def test_nobody_there(tmp_path: Path, now: int) -> None:
    """A provider that cannot be reached has not got the refresh token; one that died behind its gateway may have."""
    with FaultyProvider() as faulty, openid_server(tmp_path, issuer=faulty.url) as server:
        faulty.upstream = server.url
        from tests.tokens.provider.real.conftest import Stand, sign_in  # noqa: PLC0415  # a stand of its own

        party = RelyingParty(Stand(faulty, server, None).provider(), random_bytes=os.urandom)  # type: ignore[arg-type]  # no notices here
        login = await sign_in(party, now)
        server.kill()
        assert await refused(party, login, now) == (TRANSIENT, "unavailable", 502, True, 5)
    assert await refused(party, login, now) == (TRANSIENT, "unreachable", None, False, 5)
    fresh = RelyingParty(party.provider, random_bytes=os.urandom)
    with pytest.raises(ProviderError) as raised:
        await fresh.refresh(login.tokens, now=now)
    assert (raised.value.endpoint, raised.value.failure, raised.value.may_be_spent) == ("discovery", TRANSIENT, False)
    await party.close()
    await fresh.close()


async def test_a_call_can_be_held(stand: Stand, party: RelyingParty, login: Login, now: int) -> None:
    """A test can wait until a call has arrived, before or after the provider has heard it, and do something else meanwhile."""
    held = stand.faulty.hold("token")
    refreshing = asyncio.ensure_future(party.refresh(login.tokens, now=now))
    await held.arrived()
    assert not refreshing.done()
    held.release()
    after = await refreshing

    held = stand.faulty.hold("token", answered=True)
    refreshing = asyncio.ensure_future(party.refresh(after, now=now))
    await held.arrived()
    assert after.refresh_token is not None
    assert await party.revoke(after.refresh_token, "refresh_token", now=now)
    held.release()
    with pytest.raises(ProviderError) as raised:
        await party.refresh(await refreshing, now=now)
    assert raised.value.failure is TERMINAL


@pytest.mark.parametrize(
    ("fault", "failure", "why"),
    [
        (Fault(members={"issuer": "https://elsewhere.example"}), OPERATOR, "other_issuer"),
        (Fault(members={"token_endpoint": "http://elsewhere.example/token"}), OPERATOR, "insecure_token_endpoint"),
        (Fault(members={"jwks_uri": "https://user@elsewhere.example/jwks"}), OPERATOR, "insecure_jwks_uri"),
        (Fault(members={"authorization_endpoint": "javascript:alert(1)"}), OPERATOR, "insecure_authorization_endpoint"),
        (Fault(members={"token_endpoint": 7}), TRANSIENT, "unreadable"),
        (Fault(without=("jwks_uri",)), TRANSIENT, "unreadable"),
        (Fault(cuts=100), TRANSIENT, "unreadable"),
        (Fault(pads=300_000), TRANSIENT, "too_long"),
        (Fault(html=True), TRANSIENT, "unreadable"),
        (Fault(status=302, location="https://elsewhere.example/"), TRANSIENT, "redirect"),
        (Fault(status=404), OPERATOR, "not_for_us"),
        (Fault(status=503, retry_after="9"), TRANSIENT, "unavailable"),
    ],
)
async def test_hostile_metadata(stand: Stand, now: int, fault: Fault, failure: Failure, why: str) -> None:
    """Metadata of somebody else, or that would send secrets where they can be read, is not used; nor is it kept, so the next try works."""
    stand.faulty.next("discovery", fault)
    party = RelyingParty(stand.provider(), random_bytes=os.urandom)
    with pytest.raises(ProviderError) as raised:
        await party.begin(now=now)
    assert (raised.value.endpoint, raised.value.failure, raised.value.why) == ("discovery", failure, why)
    assert (await party.begin(now=now)).url.startswith(stand.faulty.url)
    await party.close()
