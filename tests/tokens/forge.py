"""Tokens written by hand, with keys and signatures from outside the package, as a forger or another minter writes them."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from stillhere.core.ids import hash_secret, write_handle, write_id
from stillhere.core.policy import Policy, hours, minutes
from stillhere.core.rules import open_session
from stillhere.tokens.access import AccessTokens
from stillhere.tokens.keys import Algorithm, SigningKey, SigningKeys, read_pem, read_secret
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillhere.core.records import Session

ISSUER: Final = "https://app.example"
AUDIENCE: Final = "https://api.example"
NOW: Final = START
NOW_S: Final = START // 1000

POLICY: Final = Policy(idle_timeout=minutes(20), absolute_timeout=hours(24))
SECRET_ID: Final = write_id(write_handle(bytes(12)), bytes(range(32)))
HANDLE: Final = write_handle(bytes(12))
SESSION: Final[Session] = open_session(hash_secret(SECRET_ID), HANDLE, "reader@fund.example", {}, policy=POLICY, now=NOW)

HMAC_SECRET: Final = sha256(b"the only secret of these tests").digest()
ASYMMETRIC: Final = (Algorithm.EDDSA, Algorithm.ES256, Algorithm.RS256)


def kid_of(algorithm: Algorithm) -> str:
    """Tell the name of this algorithm's key."""
    return f"{algorithm.value.lower()}-1"


def raw_key(algorithm: Algorithm, which: str = "ours") -> Any:
    """Give the key of an algorithm as the library's; another name is another key."""
    return _made(algorithm, which)


@cache
def _made(algorithm: Algorithm, which: str) -> Any:
    seed = sha256(which.encode()).digest()
    if algorithm is Algorithm.EDDSA:
        return Ed25519PrivateKey.from_private_bytes(seed)
    if algorithm is Algorithm.ES256:
        return ec.derive_private_key(int.from_bytes(seed[:31], "big"), ec.SECP256R1())
    return rsa.generate_private_key(65_537, 2_048)


def private_pem(raw: Any) -> bytes:
    """Write a private key as people keep it."""
    written: bytes = raw.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return written


def public_bytes(raw: Any, encoding: Encoding = Encoding.PEM) -> bytes:
    """Write the public half of a key."""
    written: bytes = raw.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    return written


@cache
def key_of(algorithm: Algorithm, which: str = "ours", kid: str | None = None) -> SigningKey:
    """Load the key of an algorithm through the door that users have."""
    named = kid or kid_of(algorithm)
    if algorithm is Algorithm.HS256:
        return read_secret(HMAC_SECRET, kid=named)
    return read_pem(private_pem(raw_key(algorithm, which)), kid=named)


@cache
def tokens(first: Algorithm = Algorithm.EDDSA) -> AccessTokens:
    """Give a verifier whose ring has a key of every algorithm, of which the first signs."""
    ordered = sorted(Algorithm, key=lambda algorithm: algorithm is not first)
    return AccessTokens(SigningKeys([key_of(algorithm) for algorithm in ordered]), issuer=ISSUER, audience=AUDIENCE)


def signature(algorithm: Algorithm, data: bytes, which: str = "ours") -> bytes:
    """Sign with the libraries' primitives, as any other program would."""
    if algorithm is Algorithm.HS256:
        return hmac.digest(HMAC_SECRET, data, "sha256")
    raw = raw_key(algorithm, which)
    if algorithm is Algorithm.EDDSA:
        return bytes(raw.sign(data))
    if algorithm is Algorithm.ES256:
        r, s = decode_dss_signature(raw.sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return bytes(raw.sign(data, padding.PKCS1v15(), SHA256()))


def part(content: Any) -> str:
    """Write one part: bytes as they are, all else as JSON."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def header(algorithm: Algorithm = Algorithm.EDDSA, /, **changes: Any) -> dict[str, Any]:
    """Write a good header, but for the changes; a member that is changed to `...` is left away."""
    return _changed({"alg": algorithm.value, "kid": kid_of(algorithm), "typ": "at+jwt"}, changes)


def claims(**changes: Any) -> dict[str, Any]:
    """Write good claims, but for the changes; a claim that is changed to `...` is left away."""
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": NOW_S + 300,
        "iat": NOW_S,
        "sub": "reader@fund.example",
        "jti": "a-name-of-its-own",
        "sid": HANDLE,
        "sih": SESSION.id_hash,
        "auth_time": NOW_S,
        "rtn": 0,
    }
    return _changed(good, changes)


def forged(head: Any, body: Any, sign: Callable[[bytes], bytes]) -> str:
    """Write a token of whatever parts."""
    signing_input = f"{part(head)}.{part(body)}"
    return f"{signing_input}.{part(sign(signing_input.encode()))}"


def signed(head: Any = None, body: Any = None, algorithm: Algorithm = Algorithm.EDDSA, which: str = "ours") -> str:
    """Write a token that is truly signed, by default with what is good."""
    return forged(
        header(algorithm) if head is None else head, claims() if body is None else body, lambda data: signature(algorithm, data, which)
    )


def _changed(members: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **changes}.items() if value is not ...}
