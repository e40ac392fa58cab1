"""What an ID token must say to be believed (OpenID Connect Core 1.0, sections 3.1.3.7 and 12.2)."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final

import msgspec

from stillhere.tokens.provider.jose import BadToken, open_unproven
from stillhere.tokens.provider.records import Identity

if TYPE_CHECKING:
    from stillhere.tokens.provider.config import Provider
    from stillhere.tokens.provider.jose import Opened

LONGEST_SUB: Final = 255
"""Characters (section 2)."""

_LEFT_HALVES: Final = {
    "RS256": hashlib.sha256,
    "PS256": hashlib.sha256,
    "ES256": hashlib.sha256,
    "EdDSA": hashlib.sha512,
    "Ed25519": hashlib.sha512,
}


class IdClaims(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of an ID token that are checked. Times are seconds since 1970, as in the token.

    Attributes:
        iss: who made it.
        sub: whom it means.
        aud: for whom it is.
        exp: until when it is good.
        iat: when it was made.
        nonce: of the login that it belongs to.
        azp: who asked for it, where it is for several.
        at_hash: half of a hash of the access token that came with it.
        sid: the provider's session.
        auth_time: when the person proved who they are.
    """

    iss: str
    sub: str
    aud: str | tuple[str, ...]
    exp: float
    iat: float
    nonce: str | None = None
    azp: str | None = None
    at_hash: str | None = None
    sid: str | None = None
    auth_time: float | None = None


def read_claims(payload: bytes) -> IdClaims:
    """Read the claims of an ID token.

    Raises:
        BadToken: if one is missing or of another type.
    """
    try:
        return msgspec.json.decode(payload, type=IdClaims)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadToken("unreadable") from None


def identity_of(payload: bytes, claims: IdClaims) -> Identity:
    """Make the record of who somebody is from a token that was checked."""
    everything: dict[str, Any] = msgspec.json.decode(payload, type=dict[str, Any])
    return Identity(iss=claims.iss, sub=claims.sub, sid=claims.sid, claims=everything)


def check_login(opened: Opened, provider: Provider, *, nonce: str, access_token: str, max_age: int | None, now: int) -> IdClaims:
    """Hold the ID token of a login to the login (section 3.1.3.7). Its signature was checked before.

    Args:
        opened: the token.
        provider: who it must be of, and who we are there.
        nonce: what was sent with this login.
        access_token: what came with it.
        max_age: how long ago the person may have proven who they are, in milliseconds, or None if the login did not ask.
        now: milliseconds since 1970.

    Raises:
        BadToken: that names the claim at fault.
    """
    claims = read_claims(opened.payload)
    check_parties(claims, provider)
    check_times(claims, provider, now=now)
    if claims.nonce is None or not compare_digest(claims.nonce.encode(), nonce.encode()):
        raise BadToken("nonce")
    if claims.at_hash is not None and not compare_digest(claims.at_hash.encode(), left_half(access_token, opened.algorithm).encode()):
        raise BadToken("at_hash")
    if max_age is not None:
        earliest = (now - max_age - provider.clock_skew) / 1000
        if claims.auth_time is None or not earliest <= claims.auth_time <= (now + provider.clock_skew) / 1000:
            raise BadToken("auth_time")
    return claims


def check_parties(claims: IdClaims, provider: Provider) -> None:
    """Hold an ID token to who made it and for whom.

    Raises:
        BadToken: that names the claim at fault.
    """
    if claims.iss != provider.issuer:
        raise BadToken("iss")
    audience = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
    if provider.client_id not in audience:
        raise BadToken("aud")
    if claims.azp != provider.client_id and (claims.azp is not None or len(audience) > 1):
        raise BadToken("azp")
    if not 0 < len(claims.sub) <= LONGEST_SUB:
        raise BadToken("sub")


def check_times(claims: IdClaims, provider: Provider, *, now: int) -> None:
    """Hold an ID token to the time: made just now, and not over.

    Raises:
        BadToken: that names the claim at fault.
    """
    if claims.exp <= (now - provider.clock_skew) / 1000:
        raise BadToken("exp")
    if not (now - provider.login_lifetime - provider.clock_skew) / 1000 <= claims.iat <= (now + provider.clock_skew) / 1000:
        raise BadToken("iat")


def check_same_person(claims: IdClaims, last: str, provider: Provider) -> None:
    """Hold an ID token that came with a refresh to the one before it (section 12.2).

    Args:
        claims: of the new token.
        last: the text of the one before, as it was kept.
        provider: who it must be of, and who we are there.

    Raises:
        BadToken: that names the claim at fault.
    """
    check_parties(claims, provider)
    before = read_claims(open_unproven(last).payload)
    if claims.sub != before.sub:
        raise BadToken("sub")
    if claims.nonce is not None and before.nonce is not None and claims.nonce != before.nonce:
        raise BadToken("nonce")


def left_half(text: str, algorithm: str) -> str:
    """Write the left half of a text's hash, as `at_hash` does; the algorithm of the token says which hash (section 3.1.3.6)."""
    digest = _LEFT_HALVES[algorithm](text.encode("ascii")).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")
