"""Keys and their ring: what is taken, what is refused, and that no error shows one."""

from __future__ import annotations

import json
import secrets
import warnings
from base64 import b64encode, urlsafe_b64encode
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import KeySet, RSAKey

from stillhere.errors import SettingsError
from stillhere.tokens import base64url
from stillhere.tokens.keys import (
    NEW_RSA_BITS,
    SECRET_BYTES,
    Algorithm,
    SigningKey,
    SigningKeys,
    draw_key,
    read_jwk,
    read_key,
    read_pem,
    read_secret,
)
from tests.tokens.forge import ASYMMETRIC, HMAC_SECRET, key_of, private_pem, public_bytes, raw_key, signature

if TYPE_CHECKING:
    from collections.abc import Callable

EDDSA, ES256, RS256, HS256 = Algorithm
TEXT: Final = b"what is signed"


def private_members(algorithm: Algorithm, **changes: Any) -> str:
    """Write a private JWK, but for the changes; a member that is changed to `...` is left away."""
    members = {**json.loads(key_of(algorithm).private_jwk()), **changes}
    return json.dumps({name: value for name, value in members.items() if value is not ...})


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_key_is_read_as_people_keep_it(algorithm: Algorithm) -> None:
    """PEM of either half, text or bytes, and JWK are the same key under the same name, which is the thumbprint of its public half."""
    raw = raw_key(algorithm)
    whole = read_key(private_pem(raw))
    half = read_key(public_bytes(raw).decode())
    assert (whole.kid, whole.algorithm, whole.can_sign) == (half.kid, algorithm, True)
    assert not half.can_sign
    assert len(whole.kid) == 43
    assert half.verify(TEXT, whole.sign(TEXT))
    assert half.verify(TEXT, signature(algorithm, TEXT))
    for text in (whole.private_jwk(), f" \n{whole.private_jwk()}", whole.private_jwk().encode()):
        assert read_key(text).public_jwk() == whole.public_jwk() == half.public_jwk()
    assert read_key(json.dumps(half.public_jwk())).can_sign is False


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("algorithm", [ES256, RS256])
def test_older_forms_are_read(algorithm: Algorithm, form: PrivateFormat) -> None:
    """What openssl wrote in its own forms is the same key."""
    pem = raw_key(algorithm).private_bytes(Encoding.PEM, form, NoEncryption())
    assert read_key(pem).kid == read_key(private_pem(raw_key(algorithm))).kid


def test_an_encrypted_key_asks_for_its_password() -> None:
    """With its password it is read; without, or with another, one is told what to give."""
    pem = raw_key(EDDSA).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"correct horse"))
    assert read_pem(pem, password=b"correct horse").sign(TEXT) == signature(EDDSA, TEXT)
    for password in (None, b"", b"wrong"):
        with pytest.raises(SettingsError, match="its password if it has one"):
            read_pem(pem, password=password)


def test_a_key_is_called_as_told() -> None:
    """A given name wins over the JWK's own, and that over the thumbprint."""
    assert read_key(private_pem(raw_key(EDDSA)), kid="mine").kid == "mine"
    assert read_key(private_members(EDDSA, kid="own")).kid == "own"
    assert read_key(private_members(EDDSA, kid="own"), kid="mine").kid == "mine"
    assert read_key(private_members(EDDSA, kid=...)).kid == read_key(private_pem(raw_key(EDDSA))).kid
    assert read_jwk(private_members(HS256), kid="mine").kid == "mine"


@pytest.mark.parametrize("kid", ["", "k" * 129, "a b", "a/b", "../x", "k\n", "k\0", "\u00e9", '"', "x'--"])
def test_a_kid_is_plain(kid: str) -> None:
    """A name that could mean something elsewhere is refused when the key is read."""
    with pytest.raises(SettingsError, match="a kid is"):
        read_pem(private_pem(raw_key(EDDSA)), kid=kid)
    with pytest.raises(SettingsError, match="a kid is"):
        read_secret(HMAC_SECRET, kid=kid)


EXAMPLE: Final = '{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'


def test_the_name_of_an_example_key_is_that_of_the_standard() -> None:
    """The thumbprint is RFC 7638's: that of RFC 8037 appendix A.3 for the key of its appendix A.2."""
    assert read_key(EXAMPLE).kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def weak_rsa(bits: int, exponent: int) -> rsa.RSAPrivateKey:
    """Make an RSA key that is too weak."""
    return rsa.generate_private_key(exponent, bits)


WEAK: Final[dict[str, Callable[[], SigningKey]]] = {
    "RSA of 1024 bits": lambda: read_key(private_pem(weak_rsa(1024, 65_537))),
    "RSA of 2040 bits": lambda: read_key(private_pem(weak_rsa(2040, 65_537))),
    "RSA with a small exponent": lambda: read_key(private_pem(weak_rsa(2048, 3))),
    "a public RSA of 1024 bits": lambda: read_key(public_bytes(weak_rsa(1024, 65_537))),
    "a JWK of 1024 bits": lambda: read_key(
        json.dumps(RSAKey.binding.convert_raw_key_to_dict(weak_rsa(1024, 65_537), True) | {"kty": "RSA"})
    ),
    "no secret": lambda: read_secret(b"", kid="k"),
    "a short secret": lambda: read_secret(bytes(range(100, 100 + SECRET_BYTES - 1)), kid="k"),
    "a password": lambda: read_secret(b"correct horse battery staple", kid="k"),
    "a short secret in a JWK": lambda: read_key(private_members(HS256, k=base64url.write(bytes(range(31))))),
    "an empty secret in a JWK": lambda: read_key(private_members(HS256, k="")),
}


@pytest.mark.parametrize("weak", WEAK.values(), ids=WEAK)
def test_a_weak_key_is_an_error(weak: Callable[[], SigningKey]) -> None:
    """Sizes are enforced when a key is read, not warned of when it signs (RFC 8725 section 3.5)."""
    with warnings.catch_warnings(record=True) as warned, pytest.raises(SettingsError, match=r"must have (2048|256)"):
        weak()
    assert not warned


def pem_of(raw: Any) -> bytes:
    """Write a key of any kind."""
    return bytes(raw.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


OTHER_KINDS: Final[dict[str, Callable[[], Any]]] = {
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "Ed448": ed448.Ed448PrivateKey.generate,
    "X25519": x25519.X25519PrivateKey.generate,
    "DSA": lambda: dsa.generate_private_key(2048),
}


@pytest.mark.parametrize("make", OTHER_KINDS.values(), ids=OTHER_KINDS)
def test_a_key_of_another_kind_is_refused(make: Callable[[], Any]) -> None:
    """What is fit for no algorithm of ours is told at once, with what is."""
    with pytest.raises(SettingsError, match="not used here; use Ed25519, EC on P-256, or RSA of 2048 bits or more"):
        read_key(pem_of(make()))


def ssh_key() -> bytes:
    """Write a public key as OpenSSH does."""
    return bytes(raw_key(EDDSA).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))


NO_SECRETS: Final[dict[str, Callable[[], bytes]]] = {
    **{f"private {algorithm}": partial(private_pem, raw_key(algorithm)) for algorithm in ASYMMETRIC},
    **{f"public {algorithm}": partial(public_bytes, raw_key(algorithm)) for algorithm in ASYMMETRIC},
    "after a comment": lambda: b"the key:\n" + public_bytes(raw_key(RS256)),
    "DER": lambda: public_bytes(raw_key(RS256), Encoding.DER),
    "OpenSSH": ssh_key,
    "half an OpenSSH": lambda: ssh_key()[:50],
    "half an OpenSSH of a curve": lambda: b"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHA=",
    "half a PEM": lambda: private_pem(raw_key(ES256))[:90],
    "JWK": lambda: json.dumps(key_of(RS256).public_jwk()).encode(),
    "JWK Set": lambda: SigningKeys([key_of(RS256)]).jwks(),
}


@pytest.mark.parametrize("text", NO_SECRETS.values(), ids=NO_SECRETS)
def test_a_key_is_no_secret(text: Callable[[], bytes]) -> None:
    """A key with two halves is not taken for a secret: whoever knows the public one could sign."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in production, where a library's warning stops nothing
        with pytest.raises(SettingsError, match="read it with read_key"):
            read_secret(text(), kid="k")


@given(secret=st.binary(min_size=SECRET_BYTES, max_size=80))
def test_random_bytes_are_a_secret(secret: bytes) -> None:
    """Whatever bits are drawn, they are taken, and what they sign only they verify."""
    key = read_secret(secret, kid="k")
    assert (key.algorithm, key.can_sign) == (HS256, True)
    assert key.verify(TEXT, key.sign(TEXT))
    assert not read_secret(bytes(byte ^ 1 for byte in secret), kid="k").verify(TEXT, key.sign(TEXT))


NO_KEYS: Final = {
    "nothing": "",
    "words": "a key",
    "half a PEM": private_pem(raw_key(EDDSA)).decode()[:80],
    "a PEM of nonsense": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "no JSON": "{kty: oct}",
    "a JWK Set": json.dumps({"keys": []}),
    "no kty": "{}",
    "kty of another type": '{"kty":["OKP"]}',
    "an unknown kty": '{"kty":"AKP"}',
    "half a JWK": '{"kty":"OKP","crv":"Ed25519"}',
    "a JWK off its curve": json.dumps({"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}),
    "a JWK of an unknown curve": json.dumps({"kty": "OKP", "crv": "Ed25519000", "x": "A" * 43}),
    "a kty twice": '{"kty":"oct","kty":"OKP"}',
}


@pytest.mark.parametrize("text", NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_no_key_is_told_with_what_is(text: str) -> None:
    """Whatever it is, the error says what to give instead."""
    with pytest.raises(SettingsError, match=r"give a private or public key|give one JSON object|use Ed25519"):
        read_key(text)


CONTRADICTIONS: Final[dict[str, tuple[Algorithm, dict[str, Any], str]]] = {
    "another algorithm": (EDDSA, {"alg": "RS256"}, "the alg of JWK 'eddsa-1' must be EdDSA"),
    "an algorithm of nobody": (HS256, {"alg": "HS512"}, "must be HS256"),
    "an RSA for PSS": (RS256, {"alg": "PS256"}, "must be RS256"),
    "for encryption": (ES256, {"use": "enc"}, "the use of JWK 'es256-1' must be sig"),
    "to verify only": (EDDSA, {"key_ops": ["verify"]}, "the key_ops of JWK 'eddsa-1' must have sign"),
    "to wrap": (HS256, {"key_ops": ["wrapKey"]}, "must have sign"),
    "key_ops as text": (HS256, {"key_ops": "sign"}, "must have sign"),
    "key_ops as a number": (HS256, {"key_ops": 1}, "must have sign"),
    "a strange half": (EDDSA, {"x": base64url.write(bytes(32))}, "do not belong together"),
    "no public half": (EDDSA, {"x": ...}, "do not belong together"),
    "a kid of another type": (EDDSA, {"kid": 1}, "the kid of a JWK is text"),
    "a secret without a name": (HS256, {"kid": ...}, "a secret needs a kid"),
    "a secret that is no text": (HS256, {"k": 1}, "the k of an oct JWK"),
    "no secret": (HS256, {"k": ...}, "the k of an oct JWK"),
    "a padded secret": (HS256, {"k": urlsafe_b64encode(HMAC_SECRET).decode()}, "the k of an oct JWK"),
    "a public key as secret": (HS256, {"k": base64url.write(public_bytes(raw_key(RS256)))}, "read it with read_key"),
}


@pytest.mark.parametrize(("algorithm", "changes", "says"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_jwk_that_contradicts_itself_is_refused(algorithm: Algorithm, changes: dict[str, Any], says: str) -> None:
    """A key meant for something else, or whose halves are of two keys, is refused when it is read."""
    with pytest.raises(SettingsError, match=says):
        read_key(private_members(algorithm, **changes))


def test_the_halves_of_a_curve_belong_together() -> None:
    """A point that is not the private number's is refused, for EC as for Ed25519."""
    other = key_of(ES256, "another").public_jwk() or {}
    with pytest.raises(SettingsError):
        read_key(private_members(ES256, x=other["x"], y=other["y"]))


@pytest.mark.parametrize("operations", [["sign"], ["sign", "verify"]])
def test_what_a_jwk_says_of_its_use_is_heard(operations: list[str]) -> None:
    """A key that says it is for signatures is taken."""
    assert read_key(private_members(EDDSA, key_ops=operations, use="sig")).can_sign
    public = {**(key_of(EDDSA).public_jwk() or {}), "key_ops": ["verify"]}
    assert not read_key(json.dumps(public)).can_sign


def chain(error: BaseException | None) -> str:
    """Write an error with all that led to it, as a crash report would."""
    return "" if error is None else f"{error!r} {error.args} {vars(error)} {chain(error.__cause__)} {chain(error.__context__)}"


def planted() -> dict[str, tuple[Callable[[], object], str]]:
    """List ways to give a key wrongly, each with what must not be seen of it."""
    line = private_pem(raw_key(ES256)).decode().splitlines()[1]
    d = json.loads(key_of(EDDSA).private_jwk())["d"]
    k = base64url.write(HMAC_SECRET)
    short = "short but secret"
    return {
        "a broken PEM": (lambda: read_key(f"-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----"), line),
        "a PEM without its frame": (lambda: read_key(line), line),
        "a JWK with a broken half": (lambda: read_key(private_members(EDDSA, x="!")), d),
        "a JWK of two keys": (lambda: read_key(private_members(EDDSA, x=base64url.write(bytes(32)))), d),
        "a JWK of another kind": (lambda: read_key(private_members(EDDSA, crv="X448")), d),
        "a secret with padding": (lambda: read_key(private_members(HS256, k=f"{k}=")), k),
        "a secret for something else": (lambda: read_key(private_members(HS256, alg="HS512")), k),
        "a short secret": (lambda: read_secret(short.encode(), kid="k"), short),
        "a key as secret": (lambda: read_secret(private_pem(raw_key(ES256)), kid="k"), line),
        "a ring of two secrets": (lambda: SigningKeys([key_of(HS256), key_of(HS256)]), k),
    }


@pytest.mark.parametrize(("give", "secret"), planted().values(), ids=planted())
def test_no_error_shows_a_key(give: Callable[[], object], secret: str) -> None:
    """Neither an error nor what led to it holds a byte of the key that it is about."""
    with pytest.raises(SettingsError) as caught:
        give()
    assert secret not in chain(caught.value)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_key_shows_its_name_only(algorithm: Algorithm) -> None:
    """What a log shows of a key or a ring is name and algorithm."""
    key = key_of(algorithm)
    assert repr(key) == str(key) == f"SigningKey(kid={key.kid!r}, algorithm={algorithm.value!r})"
    assert repr(SigningKeys([key])) == f"SigningKeys([{key!r}])"
    assert not hasattr(key, "__dict__")


def test_a_half_key_signs_nothing() -> None:
    """A public key can verify, and says what it lacks when more is asked."""
    half = read_key(public_bytes(raw_key(EDDSA)), kid="half")
    with pytest.raises(ValueError, match="key 'half' can only verify"):
        half.sign(TEXT)
    with pytest.raises(ValueError, match="key 'half' has no private half"):
        half.private_jwk()


@pytest.mark.parametrize("algorithm", [EDDSA, ES256, HS256])
def test_a_key_is_drawn_from_the_bytes_given(algorithm: Algorithm) -> None:
    """The same bytes make the same key, others another; it is read back as it was written."""
    one, again = (draw_key(algorithm, random_bytes=lambda count: b"a" * count, kid="k") for _ in range(2))
    other = draw_key(algorithm, random_bytes=lambda count: b"b" * count, kid="k")
    assert one.private_jwk() == again.private_jwk() != other.private_jwk()
    assert one.algorithm is algorithm
    assert read_key(one.private_jwk()).verify(TEXT, one.sign(TEXT))


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_drawn_key_is_fit(algorithm: Algorithm) -> None:
    """A new key of every algorithm signs, and only it verifies what it signed."""
    key = draw_key(algorithm, random_bytes=secrets.token_bytes, kid="k")
    assert key.verify(TEXT, key.sign(TEXT))
    assert not key_of(algorithm).verify(TEXT, key.sign(TEXT))
    if algorithm is RS256:
        assert len(key.sign(TEXT)) * 8 == NEW_RSA_BITS


@given(drawn=st.binary(min_size=40, max_size=40))
def test_any_bytes_make_a_key_of_the_curve(drawn: bytes) -> None:
    """Whatever is drawn, all zero and all one included, the number is one of the curve's."""
    assert draw_key(ES256, random_bytes=lambda _: drawn).can_sign


def test_a_drawn_secret_needs_a_name() -> None:
    """A secret's name is not made from the secret."""
    with pytest.raises(SettingsError, match="a secret needs a kid"):
        draw_key(HS256, random_bytes=secrets.token_bytes)
    assert len(draw_key(EDDSA, random_bytes=secrets.token_bytes).kid) == 43


def test_a_ring_has_one_that_signs() -> None:
    """An empty ring, one whose first key cannot sign, and one with a name twice are refused at start."""
    half = read_key(public_bytes(raw_key(ES256)), kid="half")
    for keys, says in (
        ([], "needs a key that signs"),
        ([half, key_of(EDDSA)], "'half' has no private half"),
        ([key_of(EDDSA), key_of(HS256, kid="eddsa-1")], "a kid of its own, not eddsa-1, eddsa-1"),
    ):
        with pytest.raises(SettingsError, match=says):
            SigningKeys(keys)
    ring = SigningKeys([key_of(EDDSA), half])
    assert ring.signing is key_of(EDDSA)
    assert ring.find("half") is half
    others: list[object] = ["", "other", None, 1, [], {}]
    assert [ring.find(kid) for kid in others] == [None] * 6


def test_the_key_set_is_public() -> None:
    """JWKS has the public half of every key with two, in order, under name, use and algorithm; of a secret it has nothing."""
    ring = SigningKeys([key_of(algorithm) for algorithm in (HS256, *ASYMMETRIC)])
    published = json.loads(ring.jwks())["keys"]
    assert [(key["kid"], key["alg"], key["use"]) for key in published] == [(f"{name.lower()}-1", name, "sig") for name in ASYMMETRIC]
    assert [key.keys() - {"kid", "alg", "use", "kty"} for key in published] == [{"crv", "x"}, {"crv", "x", "y"}, {"n", "e"}]
    everything = ring.jwks().decode()
    for algorithm in Algorithm:
        private = json.loads(key_of(algorithm).private_jwk())
        assert not any(private[name] in everything for name in ("d", "p", "q", "dp", "dq", "qi", "k") if name in private)
    assert b64encode(HMAC_SECRET).decode() not in everything
    assert SigningKeys([key_of(HS256)]).jwks() == b'{"keys":[]}'


def test_the_key_set_is_the_same_each_time() -> None:
    """The same keys give the same bytes, from whatever form they were read, so that caches can compare them."""
    one = SigningKeys([key_of(algorithm) for algorithm in ASYMMETRIC])
    other = SigningKeys([read_key(key_of(algorithm).private_jwk()) for algorithm in ASYMMETRIC])
    halves = [read_key(json.dumps(key_of(algorithm).public_jwk())) for algorithm in (ES256, RS256)]
    assert one.jwks() == other.jwks() == SigningKeys([key_of(EDDSA), *halves]).jwks()
    first, _, rest = (
        SigningKeys([key_of(HS256), read_key(EXAMPLE, kid="k")]).jwks().decode().partition("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    )
    assert (first, rest) == ('{"keys":[{"alg":"EdDSA","crv":"Ed25519","kid":"k","kty":"OKP","use":"sig","x":"', '"}]}')


def test_others_can_verify_by_the_key_set() -> None:
    """A general library reads what is published and verifies with it what we signed."""
    published = KeySet.import_key_set(json.loads(SigningKeys([key_of(algorithm) for algorithm in ASYMMETRIC]).jwks()))
    found = published.get_by_kid("eddsa-1").raw_value
    assert not isinstance(found, Ed25519PrivateKey)
    assert [key.kid for key in published] == ["eddsa-1", "es256-1", "rs256-1"]
    assert not any(key.is_private for key in published)
