"""Keys that sign tokens, and the ring that holds them: one signs, all verify, so that a key can be replaced without refusing anybody.

The algorithms are few and fixed, and each key has exactly one (RFC 8725 sections 3.1 and 3.2; OWASP ASVS 5.0 items 9.1.2 and 9.1.3): what a
token's header says is compared with the key's, and chooses nothing. Sizes are enforced when a key is read; joserfc would only warn.

An error names the key by its `kid` at most and never shows it. What a library says of a key that it cannot read is dropped, for it may
quote it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from stillhere.errors import SettingsError
from stillhere.tokens import base64url
from stillhere.tokens.jws import read_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from joserfc.jwk import Key


class Algorithm(StrEnum):
    """How a key signs, as `alg` names it (RFC 7518 section 3.1, RFC 8037 section 3.1). There are no others."""

    EDDSA = "EdDSA"
    ES256 = "ES256"
    RS256 = "RS256"
    HS256 = "HS256"


SECRET_BYTES: Final = 32
"""Least length of a secret for HS256 (RFC 7518 section 3.2; RFC 8725 section 3.5)."""

RSA_BITS: Final = 2_048
"""Least size of an RSA key (RFC 7518 section 3.3)."""

NEW_RSA_BITS: Final = 3_072
"""Size of an RSA key that is made here; NIST SP 800-131A lets 2048 bits end with 2030."""

_LEAST_EXPONENT: Final = 65_537
"""FIPS 186-5 section 5.1."""

_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P256_DRAWN_BYTES: Final = 40
"""64 bits more than the order has, so that the remainder favours no key (FIPS 186-5 section A.2.1)."""

_KID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}\Z")

_MODELS: Final = {algorithm: JWSRegistry.algorithms[algorithm.value] for algorithm in Algorithm}

_KINDS: Final = "Ed25519, EC on P-256, or RSA of 2048 bits or more"

_Loaded = TypeVar("_Loaded")


class SigningKey:
    """One key with its one algorithm. Made by `read_key`, `read_pem`, `read_jwk`, `read_secret` or `draw_key`.

    Attributes:
        kid: its name, as tokens and JWKS say it.
        algorithm: the only one it is used with.
        can_sign: it has its private half.
    """

    __slots__ = ("_private", "_public", "algorithm", "can_sign", "kid")

    def __init__(self, algorithm: Algorithm, kid: str, *, private: Key | None, public: Key) -> None:
        """Keep a key that was checked.

        Raises:
            SettingsError: if the `kid` cannot be one.
        """
        if not _KID.match(kid):
            raise SettingsError(f"a kid is 1 to 128 letters, digits or any of . _ ~ -, not {kid[:40]!r}")
        self.kid = kid
        self.algorithm = algorithm
        self.can_sign = private is not None
        self._private = private
        self._public = public

    def __repr__(self) -> str:
        """Show the name and the algorithm only."""
        return f"SigningKey(kid={self.kid!r}, algorithm={self.algorithm.value!r})"

    def sign(self, data: bytes) -> bytes:
        """Sign.

        Raises:
            ValueError: if there is no private half.
        """
        if self._private is None:
            raise ValueError(f"key {self.kid!r} can only verify: it has no private half")
        signature: bytes = _MODELS[self.algorithm].sign(data, self._private)
        return signature

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Tell whether this key signed that."""
        return _MODELS[self.algorithm].verify(data, signature, self._public)

    def public_jwk(self) -> dict[str, Any] | None:
        """Write the public half as JWK (RFC 7517); None for a secret, which has none."""
        if self.algorithm is Algorithm.HS256:
            return None
        return {**self._public.as_dict(), "alg": self.algorithm.value, "kid": self.kid, "use": "sig"}

    def private_jwk(self) -> str:
        """Write the whole key as JWK, for the file that it is kept in. `read_key` reads it back.

        Raises:
            ValueError: if there is no private half.
        """
        if self._private is None:
            raise ValueError(f"key {self.kid!r} has no private half to write")
        members = {**self._private.as_dict(private=True), "alg": self.algorithm.value, "kid": self.kid, "use": "sig"}
        return _stable(members).decode("ascii")


class SigningKeys:
    """The ring: the first key signs, all of them verify.

    To replace a key, add the new one behind the old, wait until every server has it, put it first, and take the old one away once the
    last token it signed has expired.
    """

    __slots__ = ("_by_kid", "signing")

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        """Put keys on a ring, the newest first.

        Args:
            keys: at least one; the first has its private half.

        Raises:
            SettingsError: if there is none, two have the same `kid`, or the first cannot sign.
        """
        if not keys:
            raise SettingsError("a key ring needs a key that signs; make one with draw_key")
        self.signing: Final = keys[0]
        if not self.signing.can_sign:
            raise SettingsError(f"the first key of a ring signs, and {self.signing.kid!r} has no private half; put one that has it first")
        self._by_kid: Final = {key.kid: key for key in keys}
        if len(self._by_kid) != len(keys):
            raise SettingsError(f"each key of a ring needs a kid of its own, not {', '.join(key.kid for key in keys)}")

    def __repr__(self) -> str:
        """Show names and algorithms only."""
        return f"SigningKeys({list(self._by_kid.values())!r})"

    def find(self, kid: object) -> SigningKey | None:
        """Find a key by the name that a header gives, which may be anything; None if there is none."""
        return self._by_kid.get(kid) if isinstance(kid, str) else None

    def jwks(self) -> bytes:
        """Write the public halves as JWK Set (RFC 7517 section 5). A secret is never in it; the same ring gives the same bytes."""
        return _stable({"keys": [jwk for key in self._by_kid.values() if (jwk := key.public_jwk()) is not None]})


def read_key(text: str | bytes, *, kid: str | None = None) -> SigningKey:
    """Read a key as it is kept in a file: PEM without a password, or JWK.

    Args:
        text: the file's content.
        kid: its name. Default: that of the JWK, or the thumbprint (RFC 7638) of its public half.

    Raises:
        SettingsError: if it is neither, or too weak, or of a kind that is not used here.
    """
    raw = text.encode() if isinstance(text, str) else text
    return read_jwk(raw, kid=kid) if raw.lstrip().startswith(b"{") else read_pem(raw, kid=kid)


def read_pem(text: str | bytes, *, kid: str | None = None, password: bytes | None = None) -> SigningKey:
    """Read a private or public key in PEM (PKCS #8, PKCS #1, SEC 1, SubjectPublicKeyInfo).

    Args:
        text: the PEM.
        kid: its name. Default: the thumbprint (RFC 7638) of its public half.
        password: opens an encrypted one.

    Raises:
        SettingsError: if it cannot be read, or is too weak, or of a kind that is not used here.
    """
    raw = text.encode() if isinstance(text, str) else text
    found: object = _loaded(lambda: load_pem_private_key(raw, password)) or _loaded(lambda: load_pem_public_key(raw))
    if found is None:
        raise SettingsError(
            f"this is no key that can be read: give a private or public key in PEM ({_KINDS}) or as JWK, and its password if it has one"
        )
    return _asymmetric(found, kid)


def read_jwk(text: str | bytes, *, kid: str | None = None) -> SigningKey:
    """Read a key as JWK (RFC 7517).

    Args:
        text: one JSON object.
        kid: its name. Default: its `kid`, or the thumbprint (RFC 7638) of its public half; a secret (`oct`) must have one.

    Raises:
        SettingsError: if it cannot be read, contradicts itself, is too weak, or is meant for something else.
    """
    members = read_object(text.encode() if isinstance(text, str) else text)
    if members is None:
        raise SettingsError("this is no JWK: give one JSON object as RFC 7517 says; of a JWK Set give each key alone")
    named = kid if kid is not None else members.get("kid")
    if named is not None and not isinstance(named, str):
        raise SettingsError("the kid of a JWK is text")
    if members.get("kty") == "oct":
        key = _read_oct(members, named)
    else:
        # The binding is what reads; the key around it would warn of what is refused below.
        raw: object = _loaded(lambda: JWKRegistry.key_types[members["kty"]].binding.import_from_dict(members))
        if raw is None:
            raise SettingsError(f"this JWK is of no kind that is used here, or lacks a parameter of its kind; use {_KINDS}, or oct")
        key = _asymmetric(raw, named)
    _refuse_contradictions(members, key)
    return key


def read_secret(secret: bytes, *, kid: str) -> SigningKey:
    """Take bytes as the secret of HS256. Who can verify with it can sign with it, too; prefer a key with two halves.

    Args:
        secret: 32 random bytes or more.
        kid: its name. It has to be given: one made from a secret would tell of it.

    Raises:
        SettingsError: if it is too short, or is no secret but a key in PEM, JWK, DER or OpenSSH form.
    """
    if len(secret) < SECRET_BYTES:
        raise SettingsError(f"the secret of key {kid[:40]!r} must have {SECRET_BYTES * 8} random bits or more, not {len(secret) * 8}")
    is_other = b"-BEGIN" in secret or secret.startswith((b"ssh-", b"ecdsa-sha2-")) or read_object(secret) is not None
    # joserfc refuses what parses as a public key: whoever knows that could sign.
    key = None if is_other else _loaded(lambda: OctKey.import_key(secret))
    if key is None:
        raise SettingsError(f"the secret of key {kid[:40]!r} is a key in PEM, JWK, DER or OpenSSH form; read it with read_key")
    return SigningKey(Algorithm.HS256, kid, private=key, public=key)


def draw_key(algorithm: Algorithm, *, random_bytes: Callable[[int], bytes], kid: str | None = None) -> SigningKey:
    """Make a new key.

    Args:
        algorithm: what it is for.
        random_bytes: draws so many random bytes. RSA does not ask it: its primes are found by the library, with the system's randomness.
        kid: its name. Default: the thumbprint (RFC 7638) of its public half; a secret must have one.

    Raises:
        SettingsError: if a secret has no `kid`.
    """
    if algorithm is Algorithm.HS256:
        return read_secret(random_bytes(SECRET_BYTES), kid=_must_be_named(kid))
    if algorithm is Algorithm.EDDSA:
        return _asymmetric(Ed25519PrivateKey.from_private_bytes(random_bytes(32)), kid)
    if algorithm is Algorithm.ES256:
        number = int.from_bytes(random_bytes(_P256_DRAWN_BYTES), "big") % (_P256_ORDER - 1) + 1
        return _asymmetric(derive_private_key(number, SECP256R1()), kid)
    return _asymmetric(generate_private_key(_LEAST_EXPONENT, NEW_RSA_BITS), kid)


def _asymmetric(raw: object, kid: str | None) -> SigningKey:
    """Check a key of the library's. Both halves are built anew from it, so that nothing private can be in the public one."""
    private: Key | None = None
    public: Key
    if isinstance(raw, Ed25519PrivateKey | Ed25519PublicKey):
        algorithm = Algorithm.EDDSA
        private = OKPKey.import_key(raw) if isinstance(raw, Ed25519PrivateKey) else None
        public = OKPKey.import_key(raw.public_key() if isinstance(raw, Ed25519PrivateKey) else raw)
    elif isinstance(raw, EllipticCurvePrivateKey | EllipticCurvePublicKey) and isinstance(raw.curve, SECP256R1):
        algorithm = Algorithm.ES256
        private = ECKey.import_key(raw) if isinstance(raw, EllipticCurvePrivateKey) else None
        public = ECKey.import_key(raw.public_key() if isinstance(raw, EllipticCurvePrivateKey) else raw)
    elif isinstance(raw, RSAPrivateKey | RSAPublicKey):
        algorithm = Algorithm.RS256
        half = _strong(raw.public_key() if isinstance(raw, RSAPrivateKey) else raw)
        private = RSAKey.import_key(raw) if isinstance(raw, RSAPrivateKey) else None
        public = RSAKey.import_key(half)
    else:
        raise SettingsError(f"a key of this kind is not used here; use {_KINDS}")
    return SigningKey(algorithm, public.thumbprint() if kid is None else kid, private=private, public=public)


def _strong(key: RSAPublicKey) -> RSAPublicKey:
    if key.key_size < RSA_BITS or key.public_numbers().e < _LEAST_EXPONENT:
        raise SettingsError(
            f"an RSA key must have {RSA_BITS} bits or more, and the exponent {_LEAST_EXPONENT} or a larger one, "
            f"not {key.key_size} bits and {key.public_numbers().e}"
        )
    return key


def _read_oct(members: Mapping[str, Any], kid: str | None) -> SigningKey:
    written = members.get("k")
    secret = base64url.read(written) if isinstance(written, str) else None
    if secret is None:
        raise SettingsError("the k of an oct JWK is its secret in base64url without padding")
    return read_secret(secret, kid=_must_be_named(kid))


def _must_be_named(kid: str | None) -> str:
    if kid is None:
        raise SettingsError("a secret needs a kid; give it any name that tells it from the others, such as the month it was made in")
    return kid


def _refuse_contradictions(members: Mapping[str, Any], key: SigningKey) -> None:
    """Refuse a JWK that says it is for something else, or whose halves do not belong together, which joserfc does not see."""
    for name, wanted in (("alg", key.algorithm.value), ("use", "sig")):
        if members.get(name, wanted) != wanted:
            raise SettingsError(f"the {name} of JWK {key.kid!r} must be {wanted} or left away")
    wanted = "sign" if key.can_sign else "verify"
    operations = members.get("key_ops", [wanted])
    if not isinstance(operations, list) or wanted not in operations:
        raise SettingsError(f"the key_ops of JWK {key.kid!r} must have {wanted}, or be left away")
    public = key.public_jwk() or {}
    if any(members.get(name) != public[name] for name in ("x", "y", "n", "e") if name in public):
        raise SettingsError(f"the two halves of JWK {key.kid!r} do not belong together; write it anew from its private half")


def _loaded(load: Callable[[], _Loaded]) -> _Loaded | None:
    """Load a key, or give None. Raising from here would keep the library's words in reach."""
    try:
        return load()
    except Exception:  # noqa: BLE001  # whatever it is, it may quote the key
        return None


def _stable(members: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(members, order="sorted")
