"""How the token endpoint is asked, and what each of its answers means."""

from __future__ import annotations

from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from stillhere.testing import START
from stillhere.tokens.provider.endpoint import TokenAnswer, authenticate, error_code, read_tokens, refuse_failures
from stillhere.tokens.provider.failures import Failure, ProviderError
from stillhere.tokens.provider.transport import Reply
from tests.tokens.provider.doubles import ISSUER, json_reply, provider

URL = f"{ISSUER}/token"
FORM = {"grant_type": "refresh_token", "refresh_token": "a+b c&d=é"}
KEY = ECKey.generate_key("P-256")

GOOD: dict[str, Any] = {"access_token": "planted-access", "token_type": "Bearer"}


def posted(body: bytes) -> dict[str, str]:
    """Read a form."""
    return dict(parse_qsl(body.decode("ascii"), strict_parsing=True))


@given(name=st.text(min_size=1, max_size=20), secret=st.text(min_size=1, max_size=20))
def test_a_secret_in_the_header(name: str, secret: str) -> None:
    """Name and secret are written as in a form, then in base64 (RFC 6749 section 2.3.1), whatever is in them; the form has neither."""
    headers, body = authenticate(provider(client_id=name, client_secret=secret), URL, FORM, jti="x", now=START)
    kind, _, value = headers["Authorization"].partition(" ")
    told = b64decode(value).decode("ascii").split(":")
    assert (kind, [unquote_plus(part) for part in told]) == ("Basic", [name, secret])
    assert posted(body) == FORM
    assert headers["content-type"] == "application/x-www-form-urlencoded"


@given(name=st.text(min_size=1, max_size=20), secret=st.text(min_size=1, max_size=20))
def test_a_secret_in_the_form(name: str, secret: str) -> None:
    """Name and secret go into the form, and into no header."""
    settings = provider(client_id=name, client_secret=secret, client_authentication="client_secret_post")
    headers, body = authenticate(settings, URL, FORM, jti="x", now=START)
    assert posted(body) == {**FORM, "client_id": name, "client_secret": secret}
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    ("changes", "audience", "kid"),
    [({}, ISSUER, None), ({"assertion_audience": URL, "private_key_id": "ours"}, URL, "ours")],
)
def test_an_assertion(changes: dict[str, Any], audience: str, kid: str | None) -> None:
    """A signed note that says who we are, to whom, for a minute and with a name of its own (RFC 7523 section 3)."""
    settings = provider(client_secret=None, private_key=KEY.as_pem(private=True).decode(), **changes)
    headers, body = authenticate(settings, URL, FORM, jti="never-used", now=START)
    said = posted(body)
    assertion = jwt.decode(said.pop("client_assertion"), KEY, algorithms=["ES256"])
    assert said == {**FORM, "client_id": "app", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    assert assertion.header == {"alg": "ES256", "typ": "JWT", **({} if kid is None else {"kid": kid})}
    now_s = START // 1000
    assert assertion.claims == {"iss": "app", "sub": "app", "aud": audience, "iat": now_s, "exp": now_s + 60, "jti": "never-used"}
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (json_reply({"error": "invalid_grant"}, 400), "invalid_grant"),
        (Reply(status=400, headers={"content-type": "Application/JSON; charset=utf-8"}, body=b'{"error":"x"}'), "x"),
        (Reply(status=400, headers={"content-type": "text/html"}, body=b'{"error":"invalid_grant"}'), None),
        (Reply(status=400, headers={}, body=b'{"error":"invalid_grant"}'), None),
        (json_reply({"error": ["invalid_grant"]}, 400), None),
        (json_reply(["invalid_grant"], 400), None),
        (json_reply({}, 400), None),
        (Reply(status=400, headers={"content-type": "application/json"}, body=b"\xff"), None),
        (Reply(status=400, headers={"content-type": "application/json"}, body=b""), None),
    ],
)
def test_where_an_error_code_is_read(reply: Reply, code: str | None) -> None:
    """In JSON that says it is JSON, as text; a page that happens to have the words signs nobody out."""
    assert error_code(reply) == code


@pytest.mark.parametrize(
    ("reply", "failure", "why", "may_be_spent"),
    [
        (json_reply({"error": "invalid_grant"}, 200), Failure.TERMINAL, "invalid_grant", False),
        (json_reply({"error": "invalid_grant"}, 429), Failure.TRANSIENT, "invalid_grant", False),
        (json_reply({}, 401), Failure.OPERATOR, "not_for_us", True),
        (json_reply({}, 201), Failure.TRANSIENT, "unreadable", True),
        (json_reply({}, 204), Failure.TRANSIENT, "unreadable", True),
        (json_reply({}, 408), Failure.TRANSIENT, "unavailable", True),
        (json_reply({}, 599), Failure.TRANSIENT, "unavailable", True),
        (json_reply({}, 101), Failure.TRANSIENT, "unreadable", True),
    ],
)
def test_answers_that_give_nothing(reply: Reply, failure: Failure, why: str, may_be_spent: bool) -> None:  # noqa: FBT001  # a column
    """What it means, and whether the refresh token may be spent."""
    with pytest.raises(ProviderError) as raised:
        refuse_failures(reply, endpoint="token", now=START)
    assert (raised.value.failure, raised.value.why, raised.value.may_be_spent) == (failure, why, may_be_spent)


def test_answers_that_refuse_nothing() -> None:
    """A 200 without an error goes through, whatever else is in it."""
    refuse_failures(json_reply({}), endpoint="token", now=START)
    refuse_failures(Reply(status=200, headers={}, body=b"<html>"), endpoint="token", now=START)


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, {}),
        ({"token_type": "bearer"}, {}),
        ({"token_type": "BEARER"}, {}),
        ({"expires_in": 60}, {"lifetime": 60_000}),
        ({"expires_in": 0.5}, {"lifetime": 500}),
        ({"expires_in": "3600"}, {"lifetime": 3_600_000}),
        ({"expires_in": "\u0667"}, {}),
        ({"expires_in": "9" * 20}, {}),
        ({"expires_in": []}, {}),
        ({"expires_in": None}, {}),
        ({"expires_in": 10**12}, {"lifetime": 400 * 86_400_000}),
        ({"refresh_token": "planted-refresh"}, {"refresh_token": "planted-refresh"}),
        ({"refresh_token": ""}, {}),
        ({"refresh_token": None}, {}),
        ({"id_token": "a.b.c"}, {"id_token": "a.b.c"}),
        ({"id_token": 7}, {}),
        ({"scope": "openid"}, {"scope": "openid"}),
        ({"scope": ["openid"]}, {}),
        ({"unheard": "of"}, {}),
    ],
)
def test_tokens_are_read_for_what_can_be_used(changes: dict[str, Any], answer: dict[str, Any]) -> None:
    """What is untidy beside a good token does not cost it."""
    usual = {"access_token": "planted-access", "lifetime": 300_000, "refresh_token": None, "id_token": None, "scope": None}
    found = read_tokens(json_reply({**GOOD, **changes}), default_lifetime=300_000)
    assert found == TokenAnswer(**{**usual, **answer})
    assert "planted" not in repr(found)


@pytest.mark.parametrize(
    ("reply", "failure", "why"),
    [
        (json_reply({}), Failure.TRANSIENT, "no_tokens"),
        (json_reply({**GOOD, "access_token": ""}), Failure.TRANSIENT, "no_tokens"),
        (json_reply({**GOOD, "access_token": 7}), Failure.TRANSIENT, "no_tokens"),
        (json_reply({**GOOD, "access_token": "a\r\nset-cookie: b"}), Failure.TRANSIENT, "no_tokens"),
        (json_reply({**GOOD, "access_token": "a b"}), Failure.TRANSIENT, "no_tokens"),
        (json_reply({**GOOD, "access_token": "é"}), Failure.TRANSIENT, "no_tokens"),
        (json_reply({**GOOD, "access_token": "a" * 65_537}), Failure.TRANSIENT, "no_tokens"),
        (json_reply({**GOOD, "refresh_token": ["x"]}), Failure.TRANSIENT, "no_tokens"),
        (json_reply({**GOOD, "refresh_token": "a\n"}), Failure.TRANSIENT, "no_tokens"),
        (json_reply({**GOOD, "token_type": "DPoP"}), Failure.OPERATOR, "token_type"),
        (json_reply({**GOOD, "token_type": 7}), Failure.OPERATOR, "token_type"),
        (json_reply([]), Failure.TRANSIENT, "unreadable"),
        (Reply(status=200, headers={"content-type": "application/json"}, body=b"{"), Failure.TRANSIENT, "unreadable"),
        (Reply(status=200, headers={"content-type": "text/html"}, body=msgspec.json.encode(GOOD)), Failure.TRANSIENT, "not_json"),
        (Reply(status=200, headers={}, body=b""), Failure.TRANSIENT, "not_json"),
    ],
)
def test_answers_without_a_token_that_can_be_used(reply: Reply, failure: Failure, why: str) -> None:
    """They are trouble and no refusal, and the refresh token may be spent; what would break a header is no token."""
    with pytest.raises(ProviderError) as raised:
        read_tokens(reply, default_lifetime=1)
    assert (raised.value.failure, raised.value.why, raised.value.may_be_spent) == (failure, why, True)


@given(status=st.integers(100, 599), body=st.binary(max_size=60), kind=st.sampled_from(["application/json", "text/html", ""]))
def test_any_answer_is_tokens_or_a_failure(status: int, body: bytes, kind: str) -> None:
    """Nothing else is ever raised, and only words that say so end a session."""
    reply = Reply(status=status, headers={"content-type": kind}, body=body)

    def read() -> None:
        refuse_failures(reply, endpoint="token", now=START)
        read_tokens(reply, default_lifetime=1)

    with pytest.raises(ProviderError) as raised:
        read()
    assert raised.value.failure in {Failure.TRANSIENT, Failure.OPERATOR}
