"""Signed tokens of a provider: which key proves which, and nothing about what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from stillhere.errors import StillhereError
from stillhere.tokens.provider.config import SMALLEST_RSA_BITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from joserfc._rfc7515.model import JWSAlgModel

PublicKey = RSAKey | ECKey | OKPKey

MOST_KEYS: Final = 100
"""A key set that is longer is not looked at to its end."""

LONGEST_TOKEN: Final = 65_536
"""Characters. Real ID tokens have one or two thousand."""

_CLASSES: Final[dict[Any, type[PublicKey]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


class BadToken(StillhereError):
    """A signed token that is not to be believed. Its text is not kept.

    Attributes:
        why: what is wrong: `unreadable`, `algorithm`, `unknown_key`, `signature`, or the name of the claim or header member at fault.
    """

    status_hint = 400

    def __init__(self, why: str) -> None:
        """Keep the reason."""
        super().__init__(f"the provider's token is not to be believed: {why}")
        self.why = why


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was taken apart.

    Attributes:
        header: its header.
        payload: its claims, as JSON.
        algorithm: what it says it is signed with.
    """

    header: dict[str, Any]
    payload: bytes
    algorithm: str


class _Allowed(jws.JWSRegistry):
    """Algorithms on our list, whatever the token says; `EdDSA` without the warning about its name."""

    def get_alg(self, name: str) -> JWSAlgModel:
        if not self.allowed or name not in self.allowed:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


def read_keys(document: bytes) -> list[PublicKey]:
    """Read a JWK set (RFC 7517 section 5). Keys that are not for us are left out: symmetric, for encryption, too short, unreadable.

    Args:
        document: JSON.

    Raises:
        ValueError: if it is no key set at all.
    """
    members = msgspec.json.decode(document, type=_KeySet).keys
    return [key for member in members[:MOST_KEYS] if (key := _read_key(member)) is not None]


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


def _read_key(member: dict[str, Any]) -> PublicKey | None:
    kind = _CLASSES.get(member.get("kty") if isinstance(member.get("kty"), str) else None)
    if kind is None or member.get("use", "sig") != "sig":
        return None
    if kind is RSAKey and len(str(member.get("n"))) * 6 < SMALLEST_RSA_BITS:
        return None
    try:
        return kind.import_key(member)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def open_unproven(text: str) -> Opened:
    """Take a token apart without asking who signed it.

    Raises:
        BadToken: if it is none.
    """
    if len(text) > LONGEST_TOKEN or not text.isascii():
        raise BadToken("unreadable")
    try:
        found = jws.extract_compact(text.encode("ascii"), None, _Allowed(strict_check_header=False))
        header = found.headers()
    except (JoseError, ValueError, TypeError, AttributeError):
        raise BadToken("unreadable") from None
    return Opened(header=header, payload=found.payload, algorithm=str(header.get("alg")))


def wanted_key(opened: Opened) -> str | None:
    """Tell which key a token says it is signed with, or None if it does not say."""
    kid = opened.header.get("kid")
    return kid if isinstance(kid, str) else None


def candidates(opened: Opened, keys: Sequence[PublicKey]) -> list[PublicKey]:
    """Tell which keys may have signed a token: those of its name and kind. Keys that the token brings along are not looked at."""
    wanted = wanted_key(opened)
    return [key for key in keys if (wanted is None or key.kid == wanted) and _fits(opened.algorithm, key)]


def _fits(algorithm: str, key: PublicKey) -> bool:
    try:
        _Allowed(algorithms=(algorithm,)).get_alg(algorithm).check_key(key)
    except (JoseError, KeyError):
        return False
    return True


def prove(text: str, keys: Sequence[PublicKey], algorithms: Sequence[str]) -> Opened:
    """Take a token apart and hold it to its signature.

    Args:
        text: the token.
        keys: the provider's keys.
        algorithms: what it may be signed with. Our list decides, not the token (RFC 8725 section 3.1).

    Raises:
        BadToken: if nobody of these signed it.
    """
    opened = open_unproven(text)
    if opened.algorithm not in algorithms:
        raise BadToken("algorithm")
    fitting = candidates(opened, keys)
    if not fitting:
        raise BadToken("unknown_key")
    registry = _Allowed(algorithms=algorithms, strict_check_header=False)
    if not any(_is_signed(text, key, registry) for key in fitting):
        raise BadToken("signature")
    return opened


def _is_signed(text: str, key: PublicKey, registry: _Allowed) -> bool:
    try:
        jws.deserialize_compact(text.encode("ascii"), key, registry=registry)
    except (JoseError, ValueError, TypeError):
        return False
    return True
