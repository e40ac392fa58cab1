"""Tokens that try to be taken for ours: every known way to confuse a verifier, written by hand (RFC 8725 section 2)."""

from __future__ import annotations

import hmac
import json
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding

from stillhere.tokens.access import AccessClaims, AccessTokens, Refusal
from stillhere.tokens.jws import LONGEST_TEXT
from stillhere.tokens.keys import Algorithm, SigningKeys
from tests.tokens.forge import (
    ASYMMETRIC,
    AUDIENCE,
    HANDLE,
    ISSUER,
    NOW,
    claims,
    forged,
    header,
    key_of,
    kid_of,
    part,
    public_bytes,
    raw_key,
    signature,
    signed,
    tokens,
)

if TYPE_CHECKING:
    from collections.abc import Callable

EDDSA, ES256, RS256, HS256 = Algorithm
GOOD: Final = signed()


def read(text: str) -> AccessClaims | Refusal:
    """Read with a ring that has a key of every algorithm."""
    return tokens().read(text, now=NOW)


def always(proof: bytes) -> Callable[[bytes], bytes]:
    """Sign everything with this."""
    return lambda _: proof


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt"])
@pytest.mark.parametrize("algorithm", Algorithm)
def test_what_another_program_signed_with_our_key_is_read(algorithm: Algorithm, typ: str) -> None:
    """The forger of these tests writes good tokens, too: what the others are refused for is what they differ in."""
    found = read(signed(header(algorithm, typ=typ), algorithm=algorithm))
    assert isinstance(found, AccessClaims)
    assert found.handle == HANDLE


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", " none", "none\n", "", "null", "plain"])
def test_a_token_without_a_signature_is_none(alg: str) -> None:
    """However `none` is spelled, whatever key it names and whatever stands for a signature: nothing unsigned is read."""
    for kid, proof in product(("eddsa-1", "hs256-1", ...), (b"", b"\0", b"x" * 64)):
        assert read(forged(header(alg=alg, kid=kid), claims(), always(proof))) is Refusal.ALGORITHM


@pytest.mark.parametrize("alg", [..., None, 1, True, [], ["EdDSA"], {}, {"EdDSA": 1}], ids=str)
def test_an_algorithm_is_text(alg: Any) -> None:
    """A missing `alg`, or one of another type, is refused and breaks nothing."""
    assert read(signed(header(alg=alg))) is Refusal.ALGORITHM


@pytest.mark.parametrize("algorithm", Algorithm)
def test_algorithms_have_one_spelling(algorithm: Algorithm) -> None:
    """A true signature under another spelling of its algorithm is refused."""
    name = algorithm.value
    for alg in {name.lower(), name.upper(), name.swapcase(), f"{name} ", f" {name}", f"{name}\0", f"{name}\n"} - {name}:
        assert read(signed(header(algorithm, alg=alg), algorithm=algorithm)) is Refusal.ALGORITHM


@pytest.mark.parametrize(
    "alg", ["HS384", "HS512", "RS384", "RS512", "PS256", "PS384", "ES384", "ES512", "ES256K", "Ed25519", "Ed448", "dir"]
)
def test_there_are_four_algorithms(alg: str) -> None:
    """What the library could verify and we do not use is refused before any key is looked at."""
    for algorithm in Algorithm:
        assert read(signed(header(algorithm, alg=alg), algorithm=algorithm)) is Refusal.ALGORITHM


def test_a_key_is_used_in_one_way() -> None:
    """True signatures by our own keys, made in another way than the key's own, are none: PSS, SHA-384, HMAC with SHA-512."""
    pss = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)
    others = {
        RS256: (
            lambda data: raw_key(RS256).sign(data, pss, SHA256()),
            lambda data: raw_key(RS256).sign(data, padding.PKCS1v15(), SHA384()),
        ),
        ES256: (lambda data: raw_key(ES256).sign(data, ec.ECDSA(SHA256())), lambda data: raw_key(ES256).sign(data, ec.ECDSA(SHA384()))),
        HS256: (lambda data: hmac.digest(bytes(32), data, "sha512"), lambda data: hmac.digest(bytes(32), data, "sha384")),
    }
    for algorithm, ways in others.items():
        assert [read(forged(header(algorithm), claims(), way)) for way in ways] == [Refusal.SIGNATURE] * 2


@pytest.mark.parametrize("named", Algorithm)
def test_a_key_never_serves_another_algorithm(named: Algorithm) -> None:
    """Of all mixtures of algorithm, key named and key used, only those are read in which all three belong together."""
    for owner, signer in product(Algorithm, repeat=2):
        found = read(signed(header(named, kid=kid_of(owner)), algorithm=signer))
        if named is not owner:
            assert found is Refusal.ALGORITHM
        elif owner is not signer:
            assert found is Refusal.SIGNATURE
        else:
            assert isinstance(found, AccessClaims)


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_public_key_is_no_secret(algorithm: Algorithm) -> None:
    """Whoever has a public key, in whatever form, cannot sign with it as with a secret of HMAC."""
    pem, der = (public_bytes(raw_key(algorithm), encoding) for encoding in (Encoding.PEM, Encoding.DER))
    jwk = key_of(algorithm).public_jwk()
    jwks = SigningKeys([key_of(algorithm)]).jwks()
    for secret in (pem, pem.strip(), der, json.dumps(jwk).encode(), jwks, kid_of(algorithm).encode(), b""):
        with_hmac = partial(hmac.digest, secret, digest="sha256")
        assert read(forged(header(HS256, kid=kid_of(algorithm)), claims(), with_hmac)) is Refusal.ALGORITHM
        assert read(forged(header(algorithm), claims(), with_hmac)) is Refusal.SIGNATURE
        assert read(forged(header(HS256), claims(), with_hmac)) is Refusal.SIGNATURE


KIDS: Final = [
    "",
    "unknown",
    "EDDSA-1",
    " eddsa-1",
    "eddsa-1 ",
    "eddsa-1\0",
    "eddsa-1\n",
    "eddsa-1%00",
    "/dev/null",
    "../../../../dev/null",
    "..\\..\\key.pem",
    "file:///etc/passwd",
    "https://evil.example/key.pem",
    "' OR '1'='1",
    "x' UNION SELECT 'AA' --",
    "| whoami",
    "$(id)",
    "{{7*7}}",
    "*",
    "__class__",
    "ёddsa-1",
    "k" * 4000,
]


@pytest.mark.parametrize("kid", [*KIDS, ..., None, 0, 1, True, [], ["eddsa-1"], {}, {"eddsa-1": 1}], ids=lambda kid: ascii(kid)[:40])
def test_a_key_is_found_by_its_very_name(kid: Any) -> None:
    """A `kid` is looked up among the ring's names and nowhere else; even a true signature does not help one that is none of them."""
    for algorithm in (EDDSA, HS256):
        assert read(signed(header(algorithm, kid=kid), algorithm=algorithm)) is Refusal.KEY


@pytest.mark.parametrize("kid", ["/dev/null", "../../../../dev/null", "unknown", ""])
def test_an_empty_file_is_no_key(kid: str) -> None:
    """A `kid` that leads to a file or row of known content finds no key with that content."""
    for secret in (b"", b"\0", b"\n", b"AA"):
        assert read(forged(header(HS256, kid=kid), claims(), partial(hmac.digest, secret, digest="sha256"))) is Refusal.KEY


def test_another_key_of_the_ring_does_not_answer() -> None:
    """Of two keys of one algorithm only the one that is named verifies."""
    keys = SigningKeys([key_of(EDDSA, "new", "new"), key_of(EDDSA, "old", "old")])
    verifier = AccessTokens(keys, issuer=ISSUER, audience=AUDIENCE)
    assert isinstance(verifier.read(signed(header(kid="old"), which="old"), now=NOW), AccessClaims)
    assert verifier.read(signed(header(kid="old"), which="new"), now=NOW) is Refusal.SIGNATURE
    assert verifier.read(signed(header(kid="new"), which="old"), now=NOW) is Refusal.SIGNATURE


def embedded() -> dict[str, Any]:
    """Write what a token may bring along, all of the forger's own key."""
    jwk = key_of(EDDSA, "forger", "eddsa-1").public_jwk()
    return {
        "jwk": jwk,
        "jku": "https://evil.example/jwks.json",
        "x5u": "https://evil.example/chain.pem",
        "x5c": [part(public_bytes(raw_key(EDDSA, "forger"), Encoding.DER))],
        "x5t": part(b"x" * 20),
        "x5t#S256": part(b"x" * 32),
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
        "enc": "A256GCM",
        "cty": "JWT",
        "url": "https://evil.example",
        "nonce": "x",
        "exp": 1,
        "ALG": "none",
        "": "",
    }


@pytest.mark.parametrize(("member", "value"), embedded().items(), ids=embedded())
def test_a_token_brings_no_key_and_no_rules_along(member: str, value: Any) -> None:
    """Keys, addresses of keys, extensions and whatever else a header may hold are refused, even if our own key signed them."""
    for which in ("forger", "ours"):
        assert read(signed({**header(), member: value}, which=which)) is Refusal.HEADER


@pytest.mark.parametrize("critical", [[], ["exp"], ["b64"], ["alg"], ["unknown"], "exp", None, {}], ids=str)
def test_extensions_that_must_be_understood_are_not(critical: Any) -> None:
    """Any `crit` is refused, for there is no extension (RFC 7515 section 4.1.11)."""
    assert read(signed(header(crit=critical))) is Refusal.HEADER
    assert read(signed(header(crit=critical, b64=False, unknown=1))) is Refusal.HEADER


TYPES: Final = [
    "JWT",
    "jwt",
    "AT+JWT",
    "at+JWT",
    "at+jwt ",
    " at+jwt",
    "at+jwt\n",
    "application/jwt",
    "logout+jwt",
    "rt+jwt",
    "dpop+jwt",
    "JOSE",
    "",
]


@pytest.mark.parametrize("typ", [*TYPES, ..., None, 1, True, [], ["at+jwt"], {"at+jwt": 1}], ids=str)
def test_a_token_for_something_else_is_refused(typ: Any) -> None:
    """ID tokens, logout tokens and whatever else our keys may sign are no access tokens (RFC 8725 section 3.11)."""
    for algorithm in (EDDSA, HS256):
        assert read(signed(header(algorithm, typ=typ), algorithm=algorithm)) is Refusal.TYPE


@pytest.mark.parametrize("algorithm", Algorithm)
def test_only_a_whole_and_true_signature_counts(algorithm: Algorithm) -> None:
    """Empty, short, long, all zero, in another encoding, of another text or by another key: none of them is one."""
    true = signature(algorithm, b"another text")
    for proof in (b"", b"\0", bytes(len(true)), b"\xff" * len(true), true, true[:-1], true + b"\0", true[: len(true) // 2]):
        assert read(forged(header(algorithm), claims(), always(proof))) is Refusal.SIGNATURE
    head, body, proof_text = signed(algorithm=algorithm).split(".")
    assert read(f"{head}.{part(claims(sub='someone.else'))}.{proof_text}") is Refusal.SIGNATURE
    assert read(f"{part(header(algorithm, typ='application/at+jwt'))}.{body}.{proof_text}") is Refusal.SIGNATURE


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_strangers_key_signs_nothing(algorithm: Algorithm) -> None:
    """A key of the right kind under the right name that is not ours convinces nobody."""
    assert read(signed(algorithm=algorithm, which="forger")) is Refusal.SIGNATURE


HEAD, BODY, PROOF = GOOD.split(".")

FORMS: Final = {
    "nothing": "",
    "no stops": HEAD,
    "two parts": f"{HEAD}.{BODY}",
    "stops": "..",
    "no header": f".{BODY}.{PROOF}",
    "no payload": f"{HEAD}..{PROOF}",
    "a fourth part": f"{GOOD}.{PROOF}",
    "a trailing stop": f"{GOOD}.",
    "a leading stop": f".{GOOD}",
    "encrypted": f"{part({'alg': 'dir', 'enc': 'A256GCM', 'cty': 'JWT'})}..{part(bytes(12))}.{part(GOOD.encode())}.{part(bytes(16))}",
    "JSON": json.dumps({"protected": HEAD, "payload": BODY, "signature": PROOF}),
    "with its scheme": f"Bearer {GOOD}",
    "a space before": f" {GOOD}",
    "a space behind": f"{GOOD} ",
    "a line feed behind": f"{GOOD}\n",
    "a line feed within": f"{HEAD}\n.{BODY}.{PROOF}",
    "a tab within": f"{HEAD}.{BODY[:9]}\t{BODY[9:]}.{PROOF}",
    "NUL behind": f"{GOOD}\0",
    "padding": f"{HEAD}=.{BODY}.{PROOF}",
    "padded proof": f"{GOOD}==",
    "another alphabet": f"{HEAD}.{BODY}.{'+/' * 43}",
    "wide stops": GOOD.replace(".", "\uff0e"),
    "a wide letter": f"{GOOD[:-1]}\uff21",
    "a combining mark": f"{GOOD}\u0301",
    "half a character": f"{GOOD}\ud800",
    "a byte order mark": f"\ufeff{GOOD}",
    "a letter too many": f"{HEAD}.{BODY}.{'A' * 85}",
    "idle bits": f"{HEAD}.{BODY}.{'A' * 85}B",
    "too long": f"{HEAD}.{'A' * LONGEST_TEXT}.{PROOF}",
    "far too long": "a." * 1_000_000,
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_a_token_has_one_form(text: str) -> None:
    """What is not three parts of base64url, each with its one spelling, is refused before anything in it is read."""
    assert read(text) is Refusal.MALFORMED


HEADERS: Final = {
    "a list": b"[]",
    "text": b'"EdDSA"',
    "a number": b"1",
    "null": b"null",
    "nothing": b"",
    "half": json.dumps(header()).encode()[:-1],
    "two": json.dumps(header()).encode() * 2,
    "a tail": json.dumps(header()).encode() + b"x",
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(header()).encode(),
    "UTF-16": json.dumps(header()).encode("utf-16"),
    "Latin 1": json.dumps({"kid": "\xe9"}, ensure_ascii=False).encode("latin-1"),
    "two algorithms": b'{"alg":"none","alg":"EdDSA","kid":"eddsa-1","typ":"at+jwt"}',
    "two keys": b'{"alg":"EdDSA","kid":"hs256-1","kid":"eddsa-1","typ":"at+jwt"}',
    "two spellings": b'{"alg":"EdDSA","kid":"eddsa-1","typ":"JWT","\\u0074yp":"at+jwt"}',
    "not a number": b'{"alg":NaN}',
    "infinity": b'{"alg":-Infinity}',
    "deep": b'{"alg":' + b"[" * 3_000,
    "digits": b'{"alg":' + b"9" * 5_000 + b"}",
    "single quotes": b"{'alg':'EdDSA'}",
    "a comment": b'{"alg":"EdDSA"/**/}',
}


@pytest.mark.parametrize("head", HEADERS.values(), ids=HEADERS)
def test_a_header_is_one_object_that_says_each_thing_once(head: bytes) -> None:
    """What two readers could read in two ways is refused, whoever signed it (RFC 7515 section 4)."""
    assert read(signed(head)) is Refusal.MALFORMED


def test_a_token_in_a_token_is_none() -> None:
    """A token wrapped in another one is not unwrapped: a signature holds for what it is directly over."""
    assert read(signed(body=GOOD.encode())) is Refusal.CLAIMS
    assert read(signed(header(cty="JWT"), GOOD.encode())) is Refusal.HEADER
