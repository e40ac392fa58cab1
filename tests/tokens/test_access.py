"""Access tokens as they are minted, and what they prove of a session."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stillhere.core.ids import hash_secret, read_id, write_handle, write_id
from stillhere.core.policy import LONGEST_SPAN, minutes
from stillhere.core.records import Claim, EndedBy
from stillhere.core.rules import LONGEST_SUBJECT
from stillhere.errors import SettingsError
from stillhere.stores.memory import MemoryStore
from stillhere.tokens.access import RESERVED, TYPE, AccessClaims, AccessToken, AccessTokens, Refusal, looks_like
from stillhere.tokens.jws import LONGEST_TEXT
from stillhere.tokens.keys import Algorithm, SigningKeys
from tests.tokens.forge import AUDIENCE, HANDLE, ISSUER, NOW, NOW_S, SECRET_ID, SESSION, key_of, tokens

DOCUMENT = (Path(__file__).parents[2] / "docs" / "access-tokens.md").read_text("utf-8")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


def opened(token: AccessToken) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read header and claims as any other program would."""
    head, body, _ = token.text.split(".")
    read = [json.loads(urlsafe_b64decode(f"{part}==")) for part in (head, body)]
    return read[0], read[1]


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_token_says_what_it_is_and_whose(algorithm: Algorithm) -> None:
    """Every claim of the table is there, under the newest key's name and algorithm, and nothing else."""
    header, claims = opened(tokens(algorithm).mint(SESSION, now=NOW, jti="one", refresh=3, claims={"role": "reader"}))
    assert header == {"alg": algorithm.value, "kid": f"{algorithm.lower()}-1", "typ": TYPE}
    assert claims == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": NOW_S + 300,
        "iat": NOW_S,
        "sub": SESSION.subject,
        "jti": "one",
        "sid": HANDLE,
        "sih": SESSION.id_hash,
        "auth_time": NOW_S,
        "rtn": 3,
        "role": "reader",
    }


@given(
    algorithm=st.sampled_from(Algorithm),
    now=st.integers(0, 2**45),
    age=st.integers(0, 2**40),
    left=st.integers(1_000, LONGEST_SPAN),
    handle=st.binary(min_size=12, max_size=12).map(write_handle),
    random=st.binary(min_size=32, max_size=32),
    subject=st.text(max_size=60),
    jti=st.text(min_size=1, max_size=128),
    refresh=st.integers(0, 2**53 - 1),
    own=st.dictionaries(st.text(max_size=9).filter(lambda name: name not in RESERVED), JSON, max_size=3),
)
def test_what_is_minted_is_read(  # noqa: PLR0913  # one argument for each thing that varies
    algorithm: Algorithm,
    *,
    now: int,
    age: int,
    left: int,
    handle: str,
    random: bytes,
    subject: str,
    jti: str,
    refresh: int,
    own: dict[str, Any],
) -> None:
    """Whatever the session, the time and the claims: the token says them again, up to its end and not a moment longer."""
    secret = write_id(handle, random)
    session = replace(
        SESSION,
        handle=handle,
        id_hash=hash_secret(secret),
        subject=subject,
        created_at=max(0, now - age),
        absolute_end_at=now + left,
    )
    token = tokens(algorithm).mint(session, now=now, jti=jti, refresh=refresh, claims=own)
    assert looks_like(token.text)
    assert token.expires_at <= min(session.absolute_end_at, now + minutes(5))
    assert token.expires_at > min(session.absolute_end_at, now + minutes(5)) - 1000
    found = tokens().read(token.text, now=now)
    if token.expires_at <= now:
        assert found is Refusal.EXPIRED
        return
    assert isinstance(found, AccessClaims)
    assert found.named == read_id(secret)
    assert (found.subject, found.jti, found.refresh, found.claims) == (subject, jti, refresh, own)
    assert (found.issued_at, found.signed_in_at) == (now // 1000 * 1000, session.created_at // 1000 * 1000)
    assert found.expires_at == token.expires_at
    assert tokens().read(token.text, now=token.expires_at - 1) == found
    assert tokens().read(token.text, now=token.expires_at) is Refusal.EXPIRED


@given(data=st.data(), algorithm=st.sampled_from(Algorithm))
def test_a_changed_token_is_refused(data: st.DataObject, algorithm: Algorithm) -> None:
    """Change any one character to any other, leave one away, or put one in: it counts for nothing."""
    text = tokens(algorithm).mint(SESSION, now=NOW, jti="one", claims={"role": "reader"}).text
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw((st.sampled_from("ABCxyz019-_.=") | st.characters()).filter(lambda character: character != text[at]))
    for changed in (text[:at] + other + text[at + 1 :], text[:at] + text[at + 1 :], text[:at] + other + text[at:]):
        assert isinstance(tokens().read(changed, now=NOW), Refusal)


@given(
    text=st.text(max_size=300)
    | st.from_regex(r"\A[A-Za-z0-9_-]{1,99}\.[A-Za-z0-9_-]{1,99}\.[A-Za-z0-9_-]{0,99}\Z")
    | st.builds(lambda *parts: ".".join(json.dumps(part) for part in parts), JSON, JSON, JSON)
)
def test_no_text_is_a_token_by_chance(text: str) -> None:
    """Whatever a client sends is refused with a word, and breaks nothing."""
    assert isinstance(tokens().read(text, now=NOW), Refusal)


@pytest.mark.parametrize("left_ms", [1, 999, 1_000, 1_001, 299_999, 300_000, 300_001])
def test_a_token_never_outlives_its_session(left_ms: int) -> None:
    """However little is left of a session, its tokens end with it, or the part of a second before."""
    token = tokens().mint(replace(SESSION, absolute_end_at=NOW + left_ms), now=NOW, jti="one")
    assert token.expires_at == (NOW + min(left_ms, 300_000)) // 1000 * 1000
    assert tokens().read(token.text, now=NOW + left_ms) is Refusal.EXPIRED


async def test_a_token_is_worth_what_its_session_is() -> None:
    """A sign-out makes every token of the session worthless at once, and so does a new secret id: the store finds what a bearer finds."""
    store = MemoryStore()
    await store.create(SESSION)
    found = tokens().read(tokens().mint(SESSION, now=NOW, jti="one").text, now=NOW + 1)
    assert isinstance(found, AccessClaims)
    assert found.named == read_id(SECRET_ID)
    handle, id_hash = found.named
    claim = Claim(handle=handle, id_hash=id_hash)
    (alive,) = await store.beat([claim], visit_gap=1, touch_interval=0, now=NOW + 1)
    assert alive.session is not None
    assert alive.session.ended_at is None
    await store.rotate(handle, id_hash, hash_secret("the next one"), now=NOW + 2)
    (rotated,) = await store.beat([claim], visit_gap=1, touch_interval=0, now=NOW + 3)
    assert rotated.session is None
    await store.end(handle, EndedBy.SIGNED_OUT, now=NOW + 4)
    (ended,) = await store.beat([replace(claim, id_hash=hash_secret("the next one"))], visit_gap=1, touch_interval=0, now=NOW + 5)
    assert ended.session is not None
    assert ended.session.ended_by is EndedBy.SIGNED_OUT


def test_keys_are_replaced_without_refusing_anybody() -> None:
    """While both keys are on the ring the tokens of both count; new ones come from the first; what was taken off signs nothing."""
    old, new = key_of(Algorithm.HS256, kid="old"), key_of(Algorithm.EDDSA, kid="new")
    before, during, after = (AccessTokens(SigningKeys(ring), issuer=ISSUER, audience=AUDIENCE) for ring in ([old, new], [new, old], [new]))
    first, second = before.mint(SESSION, now=NOW, jti="one").text, during.mint(SESSION, now=NOW, jti="two").text
    for verifier in (before, during):
        assert isinstance(verifier.read(first, now=NOW), AccessClaims)
        assert isinstance(verifier.read(second, now=NOW), AccessClaims)
    assert after.read(first, now=NOW) is Refusal.KEY
    assert isinstance(after.read(second, now=NOW), AccessClaims)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_an_application_cannot_say_what_we_say(name: str) -> None:
    """A claim that means something already is not to be overwritten, not even with the same value."""
    with pytest.raises(ValueError, match=f"the claims {name} mean something already"):
        tokens().mint(SESSION, now=NOW, jti="one", claims={name: 1, "role": "reader"})


@pytest.mark.parametrize(
    "own",
    [
        {"x": float("nan")},
        {"x": float("inf")},
        {"x": b"bytes"},
        {"x": {1, 2}},
        {"x": "\ud800"},
        {(1, 2): "x"},
        {"1": 1, 1: 2},
        {"x": {"1": 1, 1: 2}},
    ],
    ids=ascii,
)
def test_what_is_no_json_is_not_minted(own: dict[Any, Any]) -> None:
    """What could not be written, or would come back as something else or not at all, is told at once."""
    with pytest.raises(ValueError, match=r"access token|would be refused"):
        tokens().mint(SESSION, now=NOW, jti="one", claims=own)


def test_claims_that_never_end_are_not_minted() -> None:
    """A claim that holds itself, or is nested without end, is told at once."""
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for claim in (endless, deep):
        with pytest.raises(ValueError, match="the claims of an access token are JSON"):
            tokens().mint(SESSION, now=NOW, jti="one", claims={"x": claim})


@pytest.mark.parametrize("jti", ["", "j" * 129])
def test_a_token_has_a_name(jti: str) -> None:
    """A `jti` that would be refused when the token comes back is refused when it is minted."""
    with pytest.raises(ValueError, match="would be refused"):
        tokens().mint(SESSION, now=NOW, jti=jti)


def test_a_rotation_is_counted_from_nought() -> None:
    """A negative count of rotations is refused when the token is minted."""
    with pytest.raises(ValueError, match="would be refused"):
        tokens().mint(SESSION, now=NOW, jti="one", refresh=-1)


def test_a_token_that_no_header_could_carry_is_not_minted() -> None:
    """The longest subject fits; claims without measure are told with what to do."""
    assert len(tokens(Algorithm.RS256).mint(replace(SESSION, subject="s" * LONGEST_SUBJECT), now=NOW, jti="one").text) <= LONGEST_TEXT
    with pytest.raises(ValueError, match="give it fewer claims"):
        tokens().mint(SESSION, now=NOW, jti="one", claims={"x": "x" * LONGEST_TEXT})


@pytest.mark.parametrize(("issuer", "audience"), [("", AUDIENCE), (ISSUER, "")])
def test_tokens_are_from_somebody_for_somebody(issuer: str, audience: str) -> None:
    """Without an issuer or an audience a token would pass everywhere."""
    with pytest.raises(SettingsError, match="need an issuer and an audience"):
        AccessTokens(SigningKeys([key_of(Algorithm.EDDSA)]), issuer=issuer, audience=audience)


@pytest.mark.parametrize("lifetime", [0, -1, 999, LONGEST_SPAN + 1, 1_000.0, True])
def test_a_lifetime_is_a_span(lifetime: Any) -> None:
    """Less than a second, more than 400 days or no whole number is refused at start."""
    with pytest.raises(SettingsError, match="the lifetime of an access token"):
        AccessTokens(SigningKeys([key_of(Algorithm.EDDSA)]), issuer=ISSUER, audience=AUDIENCE, lifetime=lifetime)


def test_a_secret_id_is_never_taken_for_a_token() -> None:
    """A bearer with a secret id has one full stop, a token two: neither is ever read as the other."""
    token = tokens().mint(SESSION, now=NOW, jti="one").text
    assert (looks_like(token), read_id(token)) == (True, None)
    assert (looks_like(SECRET_ID), read_id(SECRET_ID)) == (False, (HANDLE, SESSION.id_hash))
    assert not any(
        looks_like(text) for text in ("", "a.b", "a.b.c.d", "a.b.c\n", " a.b.c", "a.b.c=", "a.\u00e9.c", f"a.b.{'c' * LONGEST_TEXT}")
    )


@given(text=st.text() | st.from_regex(r"[A-Za-z0-9_.-]{0,200}"))
def test_no_text_is_both(text: str) -> None:
    """Whatever a bearer is, it is read in one way at most."""
    assert not (looks_like(text) and read_id(text))


def test_a_token_is_kept_out_of_logs() -> None:
    """What a log shows of a token, its verifier and its keys opens nothing."""
    token = tokens().mint(SESSION, now=NOW, jti="one")
    assert repr(token) == f"AccessToken(expires_at={token.expires_at})"
    assert token.text not in repr(tokens())


@pytest.mark.parametrize("refusal", Refusal)
def test_a_refusal_is_false(refusal: Refusal) -> None:
    """Who only asks whether there is something finds nothing; who counts has a word."""
    assert not refusal
    assert refusal == refusal.value.lower()


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a signature is compared by us and not by mathematics, the time tells nothing of where it differs."""
    compared: list[tuple[Any, Any]] = []
    compare = hmac.compare_digest

    def noted(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    text = tokens(Algorithm.HS256).mint(SESSION, now=NOW, jti="one").text
    assert isinstance(tokens().read(text, now=NOW), AccessClaims)
    assert tokens().read(f"{text[:-4]}AAAA", now=NOW) is Refusal.SIGNATURE
    assert [len(one) == len(other) == 32 for one, other in compared] == [True, True]


@pytest.mark.parametrize("word", [*sorted(RESERVED), *Refusal, *Algorithm])
def test_every_word_is_documented(word: str) -> None:
    """Claims, reasons and algorithms stand in docs/access-tokens.md."""
    assert f"`{word}`" in DOCUMENT
