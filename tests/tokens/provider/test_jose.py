"""Which key proves which token: our list of algorithms and the provider's keys decide, and nothing that the token says."""

from __future__ import annotations

import hmac
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.errors import UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from stillhere.tokens.provider.config import ALGORITHMS
from stillhere.tokens.provider.jose import MOST_KEYS, BadToken, _Allowed, open_unproven, prove, read_keys, wanted_key
from tests.tokens.provider.doubles import PrivateKey, base64url, sign

RSA = RSAKey.generate_key(2048, parameters={"kid": "rsa"})
EC = ECKey.generate_key("P-256", parameters={"kid": "ec"})
OKP = OKPKey.generate_key("Ed25519", parameters={"kid": "okp"})
OTHER = ECKey.generate_key("P-256", parameters={"kid": "other"})
PUBLIC = [key.as_dict(private=False) for key in (RSA, EC, OKP)]


def key_set(*keys: Any) -> bytes:
    """Write a key set."""
    return msgspec.json.encode({"keys": keys})


def unsigned(header: dict[str, Any], payload: object = None, signature: str = "") -> str:
    """Write a token by hand."""
    return f"{base64url(msgspec.json.encode(header))}.{base64url(msgspec.json.encode(payload or {'sub': 'x'}))}.{signature}"


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (OKP, "Ed25519")], ids=["RS256", "PS256", "ES256", "Ed25519"]
)
def test_good_tokens_are_believed(key: PrivateKey, algorithm: str) -> None:
    """A token of each algorithm, with and without the name of its key, is held to its signature and found good."""
    for header in ({"alg": algorithm, "kid": key.kid}, {"alg": algorithm}):
        opened = prove(sign({"sub": "x"}, key, header), read_keys(key_set(*PUBLIC)), ALGORITHMS)
        assert (opened.algorithm, opened.payload, wanted_key(opened)) == (algorithm, b'{"sub":"x"}', header.get("kid"))


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_the_old_name_of_ed25519_is_believed_without_a_warning() -> None:
    """Providers still write `EdDSA`."""
    text = sign({"sub": "x"}, OKP, {"alg": "EdDSA", "kid": "okp"})
    assert prove(text, read_keys(key_set(*PUBLIC)), ALGORITHMS).algorithm == "EdDSA"


def test_algorithms_that_are_not_on_our_list() -> None:
    """None, a shared secret, or a strong algorithm that was not agreed: the list decides."""
    keys = read_keys(key_set(*PUBLIC))
    pem = RSA.as_pem(private=False)
    confused = unsigned({"alg": "HS256", "kid": "rsa"}).rpartition(".")[0]
    signature = base64url(hmac.digest(pem, confused.encode(), "sha256"))
    for text in (
        unsigned({"alg": "none"}),
        unsigned({"alg": "None"}),
        unsigned({"alg": "nOnE", "kid": "ec"}),
        unsigned({"alg": ""}),
        unsigned({"alg": ["ES256"]}),
        f"{confused}.{signature}",
        sign({"sub": "x"}, RSA, {"alg": "RS512", "kid": "rsa"}),
    ):
        with pytest.raises(BadToken) as bad:
            prove(text, keys, ALGORITHMS)
        assert bad.value.why == "algorithm"
    with pytest.raises(BadToken) as bad:
        prove(sign({"sub": "x"}, RSA, {"alg": "RS256", "kid": "rsa"}), keys, ("ES256",))
    assert bad.value.why == "algorithm"


def test_keys_that_do_not_fit() -> None:
    """A key of another kind, another name, another purpose or another algorithm proves nothing."""
    ours = sign({"sub": "x"}, EC, {"alg": "ES256", "kid": "ec"})
    named = {**EC.as_dict(private=False)}
    for keys in (
        key_set(),
        key_set(OTHER.as_dict(private=False)),
        key_set({**RSA.as_dict(private=False), "kid": "ec"}),
        key_set({**named, "alg": "ES384"}),
        key_set({**named, "use": "enc"}),
        key_set({**named, "use": 7}),
        key_set({**named, "kid": 7}),
        key_set({name: value for name, value in named.items() if name != "kid"}),
        key_set({**ECKey.generate_key("P-384").as_dict(private=False), "kid": "ec"}),
    ):
        with pytest.raises(BadToken) as bad:
            prove(ours, read_keys(keys), ALGORITHMS)
        assert bad.value.why in {"unknown_key", "signature"}


def test_keys_that_a_token_brings_along_are_not_looked_at() -> None:
    """`jwk`, `jku`, `x5u`, `x5c` and a `kid` that is a path or a query lead nowhere (RFC 8725 section 3.5, OWASP ASVS 5.0 item 9.1.3)."""
    keys = read_keys(key_set(*PUBLIC))
    for more in (
        {"jwk": OTHER.as_dict(private=False)},
        {"jku": "https://elsewhere.example/jwks"},
        {"x5u": "https://elsewhere.example/cert"},
        {"kid": "../../dev/null"},
        {"kid": "ec' OR 1=1"},
    ):
        with pytest.raises(BadToken) as bad:
            prove(sign({"sub": "x"}, OTHER, {"alg": "ES256", "kid": "ec", **more}), keys, ALGORITHMS)
        assert bad.value.why == ("unknown_key" if "kid" in more else "signature")


def test_signatures_that_are_not_good() -> None:
    """Changed claims, a changed header, a signature that is cut, empty or somebody else's."""
    keys = read_keys(key_set(*PUBLIC))
    header, payload, signature = sign({"sub": "x"}, EC, {"alg": "ES256", "kid": "ec"}).split(".")
    for text in (
        f"{header}.{base64url(b'{}')}.{signature}",
        f"{base64url(msgspec.json.encode({'alg': 'ES256', 'kid': 'ec', 'typ': 'x'}))}.{payload}.{signature}",
        f"{header}.{payload}.{signature[:40]}",
        f"{header}.{payload}.",
        f"{header}.{payload}.{'A' * 86}",
        f"{header}.{payload}.!!!!",
        sign({"sub": "x"}, OTHER, {"alg": "ES256", "kid": "ec"}),
        sign({"sub": "x"}, OTHER, {"alg": "ES256"}),
        sign({"sub": "x"}, EC, {"alg": "ES256", "kid": "ec"}) + "A",
    ):
        with pytest.raises(BadToken) as bad:
            prove(text, keys, ALGORITHMS)
        assert bad.value.why == "signature"


def test_what_must_be_understood_is_refused() -> None:
    """A header that says that an extension must be understood (`crit`) is refused: we know none."""
    text = unsigned({"alg": "ES256", "kid": "ec", "crit": ["exp"], "exp": 1}, signature="AAAA")
    with pytest.raises(BadToken):
        prove(text, read_keys(key_set(*PUBLIC)), ALGORITHMS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "é.é.é",
        f"{base64url(b'[]')}.{base64url(b'{}')}.AAAA",
        f"{base64url(b'7')}.{base64url(b'{}')}.AAAA",
        f"{base64url(b'{}')}.{base64url(b'{}')}.AAAA",
        f"{base64url(b'not json')}.{base64url(b'{}')}.AAAA",
        "A" * 70_000,
        f"{base64url(b'{' + b' ' * 3000 + b'}')}.{base64url(b'{}')}.AAAA",
    ],
)
def test_what_is_no_token(text: str) -> None:
    """Whatever is not a signed token is one word, and its text is not in the error."""
    with pytest.raises(BadToken, match="the provider's token is not to be believed: unreadable") as bad:
        open_unproven(text)
    assert (bad.value.why, bad.value.status_hint) == ("unreadable", 400)


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}", fullmatch=True))
def test_any_text_is_a_token_or_is_refused(text: str) -> None:
    """Nothing else is ever raised, and nothing made up is believed."""
    with pytest.raises(BadToken):
        prove(text, read_keys(key_set(*PUBLIC)), ALGORITHMS)


def test_key_sets_of_all_kinds() -> None:
    """Good keys are taken, whatever stands beside them."""
    bad: list[Any] = [
        {},
        {"kty": 7},
        {"kty": ["RSA"]},
        {"kty": "oct", "k": base64url(b"s" * 32)},
        {"kty": "EC"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": "A" * 400, "e": 7},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {**PUBLIC[0], "use": "enc"},
        OctKey.generate_key(256).as_dict(),
    ]
    assert [key.kid for key in read_keys(key_set(*bad, *PUBLIC))] == ["rsa", "ec", "okp"]
    assert len(read_keys(key_set(*[PUBLIC[1]] * (MOST_KEYS + 5)))) == MOST_KEYS


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [7]}', b"\xff", b"<html>"])
def test_what_is_no_key_set(document: bytes) -> None:
    """It is refused as a whole."""
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        read_keys(document)


def test_the_list_holds_wherever_an_algorithm_is_looked_up() -> None:
    """Also below the verifier nothing but the list is to be had; without a list, nothing."""
    assert _Allowed(algorithms=("ES256",)).get_alg("ES256").name == "ES256"
    for allowed in (("ES256",), (), None):
        for name in ("none", "HS256", "RS256"):
            with pytest.raises(UnsupportedAlgorithmError):
                _Allowed(algorithms=allowed).get_alg(name)
