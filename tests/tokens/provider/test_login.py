"""A login by authorization code: what is sent, what is remembered, and what of it must come back."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.paths import local_path
from stillhere.errors import StillhereError
from stillhere.testing import START
from stillhere.tokens.provider.failures import Failure, LoginRefused, ProviderError
from stillhere.tokens.provider.login import LOGIN_BYTES, new_transaction, read_transaction
from stillhere.tokens.provider.party import RelyingParty
from stillhere.tokens.provider.transport import NoReply
from tests.tokens.provider.doubles import ISSUER, REDIRECT_URI, Issuer, counting_bytes, json_reply, provider

if TYPE_CHECKING:
    from stillhere.tokens.provider.login import Login


def asked_by(url: str) -> dict[str, str]:
    """Tell what an address asks; nothing in it is said twice."""
    found = parse_qs(urlsplit(url).query, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values())
    return {name: values[0] for name, values in found.items()}


async def refusal(party: RelyingParty, query: str, transaction: bytes, *, now: int = START) -> str:
    """Finish a login in vain, and tell why it was refused."""
    with pytest.raises(LoginRefused) as refused:
        await party.finish(query, transaction, now=now)
    return refused.value.why


async def test_what_is_asked(issuer: Issuer, memory_party: RelyingParty) -> None:
    """A code with PKCE S256, a state and a nonce; what the endpoint's address had already stays there."""
    begun = await memory_party.begin(now=START)
    asked = asked_by(begun.url)
    kept = msgspec.json.decode(begun.transaction)
    assert begun.url.startswith(f"{ISSUER}/authorize?tenant=a&")
    assert asked == {
        "tenant": "a",
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": REDIRECT_URI,
        "scope": "openid offline_access",
        "state": kept["state"],
        "nonce": kept["nonce"],
        "code_challenge": urlsafe_b64encode(sha256(kept["verifier"].encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    assert kept["verifier"] not in begun.url
    assert len({kept["state"], kept["nonce"], kept["verifier"]}) == 3
    assert all(len(kept[name]) == 43 for name in ("state", "nonce", "verifier"))

    again = msgspec.json.decode((await memory_party.begin(now=START)).transaction)
    assert {kept["state"], kept["nonce"], kept["verifier"]}.isdisjoint({again["state"], again["nonce"], again["verifier"]})
    assert issuer.calls("/token") == []


async def test_what_else_can_be_asked(issuer: Issuer) -> None:
    """An audience, an age and parameters of the provider's; a call overrides the settings, and nothing overrides the login."""
    party = issuer.party(audience="https://api.example", authorize_parameters={"prompt": "consent", "ui_locales": "de"})
    hostile = {"state": "x", "request": "y", "redirect_uri": "https://elsewhere.example", "response_mode": "query"}
    begun = await party.begin(max_age=300_000, extra={"prompt": "login", **hostile}, now=START)
    asked = asked_by(begun.url)
    assert (asked["audience"], asked["max_age"], asked["prompt"], asked["ui_locales"]) == ("https://api.example", "300", "login", "de")
    assert asked["state"] == msgspec.json.decode(begun.transaction)["state"]
    assert asked["redirect_uri"] == REDIRECT_URI
    assert not {"request", "response_mode"} & set(asked)


async def test_what_is_exchanged(issuer: Issuer, memory_party: RelyingParty, signed_in: Login) -> None:
    """The code goes with the verifier and our proof; what comes back are tokens that count from when they were asked for."""
    form = issuer.form("/token")
    assert {name: form[name] for name in ("grant_type", "code", "redirect_uri")} == {
        "grant_type": "authorization_code",
        "code": "planted-code",
        "redirect_uri": REDIRECT_URI,
    }
    assert len(form["code_verifier"]) == 43
    assert issuer.calls("/token")[0].headers["Authorization"].startswith("Basic ")
    tokens = signed_in.tokens
    assert (tokens.access_token, tokens.refresh_token) == ("planted-access-1", "planted-refresh-1")
    assert (tokens.received_at, tokens.access_expires_at) == (START, START + 300_000)
    assert memory_party.refresh_at(tokens) == START + 210_000


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state": "x"}, "state"),
        ({"state": None}, "state"),
        ({"state": ""}, "state"),
        ({"state": "é"}, "state"),
        ({"iss": "https://elsewhere.example"}, "issuer"),
        ({"iss": f"{ISSUER}/"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"code": None}, "code"),
        ({"code": ""}, "code"),
        ({"error": "access_denied"}, "denied"),
        ({"error": "something_new"}, "denied"),
        ({"error": ""}, "denied"),
        ({"error": "login_required"}, "interaction_required"),
        ({"error": "consent_required"}, "interaction_required"),
        ({"error": "access_denied", "state": "x"}, "state"),
        ({"error": "access_denied", "iss": "https://elsewhere.example"}, "issuer"),
    ],
)
async def test_each_part_of_the_redirect_is_checked(
    issuer: Issuer, memory_party: RelyingParty, changes: dict[str, str | None], why: str
) -> None:
    """Before anything is believed, state and issuer fit; and a refusal is one only then. The provider is asked for no token."""
    begun = await memory_party.begin(now=START)
    assert await refusal(memory_party, issuer.approve(begun.url, **changes), begun.transaction) == why
    assert issuer.calls("/token") == []


async def test_a_provider_that_does_not_say_who_it_is(issuer: Issuer) -> None:
    """Without RFC 9207 no issuer comes back; a wrong one is wrong all the same."""
    issuer.metadata["authorization_response_iss_parameter_supported"] = False
    party = issuer.party()
    begun = await party.begin(now=START)
    assert await refusal(party, issuer.approve(begun.url, iss="https://elsewhere.example"), begun.transaction) == "issuer"
    assert (await party.finish(issuer.approve(begun.url, iss=None), begun.transaction, now=START)).identity.sub == "person"


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("server_error", Failure.TRANSIENT),
        ("temporarily_unavailable", Failure.TRANSIENT),
        ("invalid_scope", Failure.OPERATOR),
        ("unauthorized_client", Failure.OPERATOR),
        ("invalid_request", Failure.OPERATOR),
    ],
)
async def test_trouble_that_comes_back_with_a_person(issuer: Issuer, memory_party: RelyingParty, code: str, failure: Failure) -> None:
    """The provider's own trouble and wrong settings are no refusal of the person."""
    begun = await memory_party.begin(now=START)
    with pytest.raises(ProviderError) as raised:
        await memory_party.finish(issuer.approve(begun.url, error=code), begun.transaction, now=START)
    assert (raised.value.failure, raised.value.endpoint, raised.value.status_hint) == (failure, "authorization", 503)


@pytest.mark.parametrize(
    "query",
    [
        "{good}&state={state}",
        "{good}&code=another",
        "{good}&iss=https%3A%2F%2Felsewhere.example",
        "{good}&x=%ff",
        "{good}" + "&x=1" * 60,
        "{good}&x=" + "a" * 16_384,
    ],
)
async def test_queries_that_can_be_read_in_two_ways(issuer: Issuer, memory_party: RelyingParty, query: str) -> None:
    """What is said twice, is no text, or is too much is refused as a whole."""
    begun = await memory_party.begin(now=START)
    state = msgspec.json.decode(begun.transaction)["state"]
    assert await refusal(memory_party, query.format(good=issuer.approve(begun.url), state=state), begun.transaction) == "query"


async def test_a_login_takes_its_time_and_not_more(issuer: Issuer, memory_party: RelyingParty) -> None:
    """After fifteen minutes, or before it began, a redirect is for nothing."""
    begun = await memory_party.begin(now=START)
    query = issuer.approve(begun.url)
    for at in (START - 1, START + 900_000):
        assert await refusal(memory_party, query, begun.transaction, now=at) == "expired"
    issuer.now = START + 899_999
    assert (await memory_party.finish(query, begun.transaction, now=START + 899_999)).return_to == "/"


async def test_a_login_at_another_provider(issuer: Issuer, memory_party: RelyingParty) -> None:
    """A redirect is for the provider at which its login began (RFC 9700 section 4.4)."""
    other = Issuer()
    other.metadata["issuer"] = "https://other.example"
    begun = await other.party(issuer="https://other.example").begin(now=START)
    assert await refusal(memory_party, issuer.approve(begun.url), begun.transaction) == "issuer"


@pytest.mark.parametrize(
    ("changes", "is_good"),
    [
        ({}, True),
        ({"max_age": 1}, True),
        ({"extra": 1}, False),
        ({"state": None}, False),
        ({"issued_at": "now"}, False),
        ({"return_to": "//elsewhere.example"}, False),
        ({"return_to": ""}, False),
    ],
)
async def test_a_transaction_is_read_strictly(memory_party: RelyingParty, changes: dict[str, Any], is_good: bool) -> None:  # noqa: FBT001  # a column
    """Anything that we would not have written is refused, also where a seal was broken."""
    kept = msgspec.json.decode((await memory_party.begin(now=START)).transaction)
    document = msgspec.json.encode({**kept, **changes})
    if is_good:
        assert read_transaction(document).state == kept["state"]
    else:
        with pytest.raises(LoginRefused, match="transaction"):
            read_transaction(document)


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b"\xff", b"null"])
async def test_what_is_no_transaction(memory_party: RelyingParty, document: bytes) -> None:
    """A cookie of nothing, or of something else."""
    assert await refusal(memory_party, "", document) == "transaction"


@given(st.text(max_size=40) | st.sampled_from(["//elsewhere.example", "/\\elsewhere.example", "https://elsewhere.example"]))
def test_nobody_is_sent_elsewhere(return_to: str) -> None:
    """Whatever a browser asks to be sent back to: it is a path of ours, `/` if it asked for anything else."""
    made = new_transaction(provider(), random_bytes=b"x" * LOGIN_BYTES, return_to=return_to, max_age=None, now=START)
    assert made.return_to == (local_path(return_to) or "/")
    assert read_transaction(msgspec.json.encode(made)) == made


@pytest.mark.parametrize(
    ("said", "status", "why"),
    [("invalid_grant", 400, "code"), ("invalid_client", 401, None), ("temporarily_unavailable", 503, None)],
)
async def test_a_code_that_cannot_be_exchanged(issuer: Issuer, memory_party: RelyingParty, said: str, status: int, why: str | None) -> None:
    """A code that is refused is the end of that login; trouble is trouble."""
    begun = await memory_party.begin(now=START)
    query = issuer.approve(begun.url)
    issuer.answers["/token"].append(json_reply({"error": said}, status))
    with pytest.raises(StillhereError) as raised:
        await memory_party.finish(query, begun.transaction, now=START)
    assert isinstance(raised.value, ProviderError if why is None else LoginRefused)
    assert isinstance(raised.value, ProviderError | LoginRefused)
    assert raised.value.why == (why or said)


async def test_a_code_that_nobody_hears_of(issuer: Issuer, memory_party: RelyingParty) -> None:
    """A provider that does not answer is trouble: 503, begin again."""
    begun = await memory_party.begin(now=START)
    query = issuer.approve(begun.url)
    issuer.answers["/token"].append(NoReply("timeout", may_have_arrived=True))
    with pytest.raises(ProviderError) as raised:
        await memory_party.finish(query, begun.transaction, now=START)
    assert (raised.value.why, raised.value.status_hint) == ("timeout", 503)


def test_a_refusal_says_what_to_answer() -> None:
    """Denied is 403, the rest is 400."""
    assert (LoginRefused("denied").status_hint, LoginRefused("state").status_hint) == (403, 400)


async def test_random_bytes_are_drawn_as_needed() -> None:
    """A login takes 96 of them; none is drawn by the module itself."""
    drawn: list[int] = []
    source = counting_bytes()

    def draw(size: int) -> bytes:
        drawn.append(size)
        return source(size)

    await RelyingParty(provider(), random_bytes=draw, transport=Issuer()).begin(return_to=quote("/é"), now=START)
    assert drawn == [96]
