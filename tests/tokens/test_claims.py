"""What a token has to say, each claim and each instant, in tokens that were truly signed."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from stillhere.tokens.access import CLOCKS_DIFFER_MS, RESERVED, AccessClaims, Refusal
from tests.tokens.forge import AUDIENCE, HANDLE, ISSUER, NOW, NOW_S, SESSION, claims, signed, tokens

AHEAD_S: Final = CLOCKS_DIFFER_MS // 1000


def read(body: Any, *, now: int = NOW) -> AccessClaims | Refusal:
    """Read a token with these claims, signed with a key of the ring."""
    return tokens().read(signed(body=body), now=now)


@pytest.mark.parametrize("name", claims())
def test_every_claim_has_to_be_there(name: str) -> None:
    """A token that leaves a claim away is refused (RFC 9068 section 2.2; OWASP ASVS 5.0 item 9.2)."""
    assert read(claims(**{name: ...})) is Refusal.CLAIMS


NO_TEXT: Final[list[Any]] = [None, 1, 1.5, True, [], {}, ["x"]]
NO_COUNT: Final[list[Any]] = [None, "1", str(NOW_S), 1.0, NOW_S + 0.5, True, False, [], {}, -1, 2**53, 10**400]

WRONG: Final[dict[str, list[Any]]] = {
    "iss": [*NO_TEXT, [ISSUER]],
    "aud": [None, 1, True, {}, [1], [AUDIENCE, 1], [None], [[AUDIENCE]], {AUDIENCE: 1}],
    "exp": NO_COUNT,
    "iat": NO_COUNT,
    "sub": [*NO_TEXT, "\ud800", "a\udfff\n"],
    "jti": [*NO_TEXT, "", "\ud800", "j" * 129],
    "sid": [*NO_TEXT, "", "h" * 65, "a.b", f"{HANDLE}\n", f" {HANDLE}", "../x", "{1}", "\u00e9", "a\0"],
    "sih": [*NO_TEXT, "", SESSION.id_hash[1:], f"{SESSION.id_hash}A", f"{SESSION.id_hash}\n", f"{SESSION.id_hash[1:]}="],
    "auth_time": NO_COUNT,
    "rtn": NO_COUNT,
    "nbf": NO_COUNT,
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values], ids=lambda v: ascii(v)[:40]
)
def test_every_claim_has_its_type(name: str, value: Any) -> None:
    """A claim of another type, or out of its range, is refused; nothing is converted."""
    assert read(claims(**{name: value})) is Refusal.CLAIMS


def test_the_table_leaves_no_claim_out() -> None:
    """Every claim that means something is in the tables above."""
    assert WRONG.keys() == RESERVED == claims().keys() | {"nbf"}


@pytest.mark.parametrize("body", [b" ", b"[]", b"1", b"null", b'"x"', b"{", b"\xff", b"{}", b"[" * 3_000])
def test_claims_are_one_object(body: bytes) -> None:
    """What was signed and is no object of claims is refused."""
    assert read(body) is Refusal.CLAIMS


def test_a_claim_is_made_once() -> None:
    """A claim that is made twice could be read in two ways (RFC 7519 section 4)."""
    assert read(b'{"sub":"someone.else",' + json.dumps(claims()).encode()[1:]) is Refusal.CLAIMS


@pytest.mark.parametrize("issuer", ["", "https://evil.example", f"{ISSUER}/", ISSUER.upper(), ISSUER[:-1], f"{ISSUER} ", AUDIENCE])
def test_only_our_issuer_counts(issuer: str) -> None:
    """The issuer is compared letter by letter (RFC 8725 section 3.8)."""
    assert read(claims(iss=issuer)) is Refusal.ISSUER


OTHERS: Final = [
    "",
    [],
    ["https://evil.example"],
    f"{AUDIENCE}/",
    AUDIENCE.upper(),
    f"{AUDIENCE} https://evil.example",
    [f"{AUDIENCE}/v1"],
    [""],
]


@pytest.mark.parametrize("audience", [*OTHERS, AUDIENCE[:-1], f"x{AUDIENCE}", ISSUER], ids=str)
def test_only_our_audience_counts(audience: Any) -> None:
    """A token for somebody else is refused: an audience is compared as a whole, never as a part (RFC 8725 section 3.9)."""
    assert read(claims(aud=audience)) is Refusal.AUDIENCE


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["https://other.example", AUDIENCE]], ids=str)
def test_an_audience_is_one_or_several(audience: Any) -> None:
    """Text or a list with ours in it is for us (RFC 7519 section 4.1.3)."""
    assert isinstance(read(claims(aud=audience)), AccessClaims)


@pytest.mark.parametrize(
    ("now", "found"),
    [(-1, AccessClaims), (0, Refusal), (1, Refusal), (999, Refusal), (CLOCKS_DIFFER_MS, Refusal)],
)
def test_a_token_is_over_at_its_very_end(now: int, found: type) -> None:
    """A millisecond before `exp` it counts, at `exp` it does not, and no leeway is given (RFC 7519 section 4.1.4)."""
    end = NOW_S + 300
    answer = read(claims(exp=end), now=end * 1000 + now)
    assert isinstance(answer, found)
    assert isinstance(answer, AccessClaims) or answer is Refusal.EXPIRED


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize(("ahead_ms", "found"), [(0, AccessClaims), (1, Refusal), (1000, Refusal), (-1, AccessClaims)])
def test_servers_clocks_may_differ(name: str, ahead_ms: int, found: type) -> None:
    """A token from a server whose clock is ahead by the leeway is read, one from a millisecond further on is not."""
    answer = read(claims(exp=NOW_S + 600, **{name: NOW_S + AHEAD_S}), now=NOW_S * 1000 - ahead_ms)
    assert isinstance(answer, found)
    assert isinstance(answer, AccessClaims) or answer is Refusal.NOT_YET


def test_expired_comes_before_not_yet() -> None:
    """A token that was over before it began is over."""
    assert read(claims(exp=NOW_S, iat=NOW_S + 3600)) is Refusal.EXPIRED


def test_the_largest_instants_do_no_harm() -> None:
    """An end in the far future is an end, and the session's own comes first."""
    assert isinstance(read(claims(exp=2**53 // 1000)), AccessClaims)


def test_claims_are_read_as_they_were_made() -> None:
    """Instants become milliseconds, what is the application's own is given apart, and the session is named as a secret id names it."""
    found = read(claims(rtn=7, role="reader", nested={"exp": 1}))
    assert found == AccessClaims(
        handle=HANDLE,
        id_hash=SESSION.id_hash,
        subject="reader@fund.example",
        jti="a-name-of-its-own",
        issued_at=NOW_S * 1000,
        expires_at=(NOW_S + 300) * 1000,
        signed_in_at=NOW_S * 1000,
        refresh=7,
        claims={"role": "reader", "nested": {"exp": 1}},
    )
    assert isinstance(found, AccessClaims)
    assert found.named == (HANDLE, SESSION.id_hash)
