"""What a provider says of itself is believed as far as it agrees with the settings, fetched when needed, and kept for a while."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stillhere.testing import START
from stillhere.tokens.provider.failures import Failure, ProviderError
from stillhere.tokens.provider.jose import BadToken
from stillhere.tokens.provider.metadata import Cached, metadata_url
from stillhere.tokens.provider.transport import Call, NoReply, Reply
from tests.tokens.provider.doubles import ISSUER, Issuer, json_reply, provider

PATH = "/.well-known/openid-configuration"
DOWN = Reply(status=503, headers={"retry-after": "9"}, body=b"")


@pytest.mark.parametrize(
    ("changes", "failure", "why"),
    [
        ({"issuer": "https://elsewhere.example"}, Failure.OPERATOR, "other_issuer"),
        ({"issuer": f"{ISSUER}/"}, Failure.OPERATOR, "other_issuer"),
        ({"issuer": None}, Failure.TRANSIENT, "unreadable"),
        ({"token_endpoint": "http://login.example/token"}, Failure.OPERATOR, "insecure_token_endpoint"),
        ({"jwks_uri": "file:///etc/passwd"}, Failure.OPERATOR, "insecure_jwks_uri"),
        ({"authorization_endpoint": "javascript:alert(1)"}, Failure.OPERATOR, "insecure_authorization_endpoint"),
        ({"revocation_endpoint": "http://10.0.0.1/"}, Failure.OPERATOR, "insecure_revocation_endpoint"),
        ({"end_session_endpoint": "https://login.example#x"}, Failure.OPERATOR, "insecure_end_session_endpoint"),
        ({"token_endpoint": None}, Failure.TRANSIENT, "unreadable"),
        ({"scopes_supported": "openid"}, Failure.TRANSIENT, "unreadable"),
    ],
)
async def test_hostile_metadata(issuer: Issuer, changes: dict[str, Any], failure: Failure, why: str) -> None:
    """Of another issuer, or leading where secrets may be read: it is not used, whatever is asked."""
    issuer.metadata |= changes
    with pytest.raises(ProviderError) as raised:
        await issuer.party().metadata(now=START)
    assert (raised.value.endpoint, raised.value.failure, raised.value.why) == ("discovery", failure, why)
    assert len(issuer.asked) == 1


async def test_bytes_that_are_no_text(issuer: Issuer) -> None:
    """Neither metadata nor keys need be text."""
    issuer.answers[PATH].append(Reply(status=200, headers={}, body=b"\xff"))
    issuer.answers["/jwks"].append(Reply(status=200, headers={}, body=b"\xff"))
    party = issuer.party()
    for endpoint in ("discovery", "jwks"):
        with pytest.raises(ProviderError) as raised:
            await party.read_logout_token("x", now=START)
        assert (raised.value.endpoint, raised.value.why) == (endpoint, "unreadable")


@pytest.mark.parametrize("url", [ISSUER, f"{ISSUER}/"])
def test_where_metadata_is(url: str) -> None:
    """One slash, whether or not the issuer ends with one (OpenID Connect Discovery section 4)."""
    assert metadata_url(url) == f"{ISSUER}{PATH}"


async def test_it_is_fetched_once_and_kept_for_a_while(issuer: Issuer) -> None:
    """However many ask at the same time, and for five minutes, the provider is asked once; also if the clock stepped back."""
    party = issuer.party()
    found = await asyncio.gather(*(party.metadata(now=START) for _ in range(50)))
    assert len({id(one) for one in found}) == 1
    await party.metadata(now=START + 299_999)
    assert len(issuer.calls(PATH)) == 1
    await party.metadata(now=START + 300_000)
    assert len(issuer.calls(PATH)) == 2
    await party.metadata(now=START)
    assert len(issuer.calls(PATH)) == 3


async def test_failures_are_not_kept(issuer: Issuer) -> None:
    """All who wait get the same failure, and the next one asks again."""
    issuer.answers[PATH].append(DOWN)
    party = issuer.party()
    failed = await asyncio.gather(*(party.metadata(now=START) for _ in range(5)), return_exceptions=True)
    assert [(type(one), getattr(one, "retry_after", None)) for one in failed] == [(ProviderError, 9)] * 5
    assert (await party.metadata(now=START)).issuer == ISSUER
    assert len(issuer.calls(PATH)) == 2


async def test_what_was_good_a_day_ago_serves_while_the_provider_is_away(issuer: Issuer) -> None:
    """An outage of the metadata stops no refresh; a change of issuer does, and so does a day."""
    party = issuer.party()
    known = await party.metadata(now=START)
    issuer.answers[PATH].extend([DOWN, NoReply("timeout", may_have_arrived=True), DOWN])
    assert await party.metadata(now=START + 300_000) is known
    assert await party.metadata(now=START + 86_399_999) is known
    with pytest.raises(ProviderError):
        await party.metadata(now=START + 86_400_000)
    issuer.metadata["issuer"] = "https://elsewhere.example"
    with pytest.raises(ProviderError) as raised:
        await party.metadata(now=START + 300_000)
    assert raised.value.why == "other_issuer"


async def test_who_gives_up_waiting_takes_it_from_nobody(issuer: Issuer) -> None:
    """One that is cancelled cancels no other, and if all are, the next one still finds the answer."""
    hung = asyncio.Event()
    answered = issuer.send

    async def send(call: Call) -> Reply:
        await hung.wait()
        return await answered(call)

    issuer.send = send  # type: ignore[method-assign]  # it hangs
    party = issuer.party()
    first, second = (asyncio.ensure_future(party.metadata(now=START)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    hung.set()
    assert (await second).issuer == ISSUER
    assert first.cancelled()
    assert len(issuer.asked) == 1


async def test_a_failure_nobody_waits_for_disturbs_nobody() -> None:
    """It is looked at, so that no one is warned of an exception that was never retrieved; nor does the end of the loop hurt."""
    hung = asyncio.Event()

    async def fetch(now: int) -> str:
        await hung.wait()
        raise ProviderError(Failure.TRANSIENT, endpoint="jwks", why=str(now))

    cached = Cached(fetch, 1_000)
    waiting = asyncio.ensure_future(cached.get(START))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    hung.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    hung.clear()
    waiting = asyncio.ensure_future(cached.get(START))
    await asyncio.sleep(0)
    task = cached._task
    assert task is not None
    task.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert cached._task is None


async def test_keys_are_fetched_anew_for_a_new_name(issuer: Issuer) -> None:
    """A token of a key that is not there has the keys fetched once more, but not for every made-up name."""
    party = issuer.party()
    await party.read_logout_token(issuer.logout_token(), now=START)
    assert len(issuer.calls("/jwks")) == 1

    made_up = issuer.logout_token(header={"kid": "made up"})
    for _ in range(20):
        with pytest.raises(BadToken) as bad:
            await party.read_logout_token(made_up, now=START + 10_000)
        assert bad.value.why == "unknown_key"
    assert len(issuer.calls("/jwks")) == 1

    issuer.keys = [{**issuer.keys[0], "kid": "second"}]
    rotated = issuer.logout_token(header={"kid": "second"})
    for _ in range(3):
        await party.read_logout_token(rotated, now=START + 30_000)
        with pytest.raises(BadToken):
            await party.read_logout_token(made_up, now=START + 30_000)
    assert len(issuer.calls("/jwks")) == 2

    issuer.answers["/jwks"].append(DOWN)
    with pytest.raises(ProviderError):
        await party.read_logout_token(made_up, now=START + 60_000)
    with pytest.raises(BadToken):
        await party.read_logout_token(made_up, now=START + 60_001)
    assert len(issuer.calls("/jwks")) == 3


async def test_a_token_of_a_foreign_algorithm_asks_nobody(issuer: Issuer) -> None:
    """What could not be believed with any key has no keys fetched."""
    party = issuer.party()
    await party.read_logout_token(issuer.logout_token(), now=START)
    with pytest.raises(BadToken) as bad:
        await party.read_logout_token("eyJhbGciOiJub25lIn0.e30.", now=START + 40_000)
    assert bad.value.why == "algorithm"
    assert len(issuer.calls("/jwks")) == 1


async def test_where_provider_and_settings_do_not_fit(issuer: Issuer) -> None:
    """Each mismatch is a sentence; what the provider does not say is no mismatch."""
    assert (await issuer.party().metadata(now=START)).problems(provider()) == []
    issuer.metadata |= {
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "code_challenge_methods_supported": ["plain"],
        "id_token_signing_alg_values_supported": ["HS256"],
        "scopes_supported": ["openid"],
        "revocation_endpoint": None,
        "end_session_endpoint": None,
    }
    found = (await issuer.party().metadata(now=START)).problems(provider())
    assert [sentence.partition(";")[0].partition(":")[0] for sentence in found] == [
        "client_authentication is client_secret_basic",
        "the provider does not say that it knows PKCE with S256",
        "algorithms are RS256, PS256, ES256, EdDSA, Ed25519",
        "the provider does not name scope `offline_access` as one it knows",
        "the provider cannot revoke tokens",
        "the provider has no page to sign out",
    ]
    issuer.metadata |= {
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "id_token_signing_alg_values_supported": ["RS256", "HS256"],
        "scopes_supported": ["openid", "offline_access"],
    }
    assert len((await issuer.party().metadata(now=START)).problems(provider())) == 2


async def test_how_metadata_is_asked_for(issuer: Issuer) -> None:
    """A plain GET with the time-outs of the settings, and nothing that names us."""
    await issuer.party(read_timeout=7_000).metadata(now=START)
    call = issuer.asked[0]
    assert (call.method, call.url, call.body) == ("GET", f"{ISSUER}{PATH}", b"")
    assert (call.connect_timeout, call.read_timeout, call.total_timeout, call.longest_answer) == (3_000, 7_000, 15_000, 262_144)
    assert call.headers == {"accept": "application/json"}


async def test_keys_that_are_refused(issuer: Issuer) -> None:
    """No keys, no login: 503, and nobody is asked to sign in again and again."""
    issuer.answers["/jwks"].append(json_reply({}, status=403))
    begun = await issuer.party().begin(now=START)
    with pytest.raises(ProviderError) as raised:
        await issuer.party().finish(issuer.approve(begun.url), begun.transaction, now=START)
    assert (raised.value.endpoint, raised.value.failure, raised.value.status_hint) == ("jwks", Failure.OPERATOR, 503)
    assert issuer.calls("/token") == []
