"""Access tokens: JWTs that name a session (RFC 9068), minted and verified with one fixed idea of what one is.

A token carries the session's handle and the hash of its secret id, just what a bearer with the secret id gives. So a request is judged by
the session and not by the token: a sign-out bites at once, and a rotated id makes the tokens of the old one worthless (OWASP ASVS 5.0
item 7.4.1). What a token proves by itself is only that we wrote it, for this audience, and not long ago.

The verifier has one idea of a token and refuses all else: what the header says is compared, never obeyed (RFC 8725 section 3). Keys that a
token brings along (`jwk`, `jku`, `x5u`, `x5c`) and extensions (`crit`) are not looked at, for a header with more than `alg`, `kid` and
`typ` is refused.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from stillhere.core.policy import LONGEST_SPAN, minutes
from stillhere.errors import SettingsError
from stillhere.tokens.jws import LONGEST_TEXT, looks_like, read_compact, read_object, write_compact
from stillhere.tokens.keys import Algorithm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillhere.core.records import Session
    from stillhere.tokens.keys import SigningKey, SigningKeys

__all__ = ["CLOCKS_DIFFER_MS", "RESERVED", "TYPE", "AccessClaims", "AccessToken", "AccessTokens", "Refusal", "looks_like"]

TYPE: Final = "at+jwt"
"""What `typ` says, so that no other token of ours, such as a logout token, passes for one (RFC 8725 section 3.11)."""

CLOCKS_DIFFER_MS: Final = 30_000
"""How far ahead of ours the clock of the server that minted a token may be. An end has no such leeway: there the earlier clock wins."""

SHORTEST_LIFETIME: Final = 1_000
"""Tokens tell their times in whole seconds."""

_TYPES: Final = (TYPE, f"application/{TYPE}")  # RFC 9068 section 4 allows both
_ALGORITHMS: Final = tuple(Algorithm)
_HEADER: Final = frozenset({"alg", "kid", "typ"})

_Instant = Annotated[int, msgspec.Meta(ge=0, le=2**53 // 1000)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
_WHOLE: Final = r"^[^\ud800-\udfff]*\Z"
"""JSON can escape half a character, which no database, log or header could take."""


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What every token says; `spec/glossary.md` and `docs/access-tokens.md` say what it means. Instants are seconds (RFC 7519)."""

    iss: str
    aud: str | list[str]
    exp: _Instant
    iat: _Instant
    sub: Annotated[str, msgspec.Meta(pattern=_WHOLE)]
    jti: Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=_WHOLE)]
    sid: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}(?!\n)$")]
    sih: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}(?!\n)$")]
    auth_time: _Instant
    rtn: _Count
    nbf: _Instant = 0


RESERVED: Final = frozenset(_Claims.__struct_fields__)
"""Claims that mean something here. An application's own have other names."""


class Refusal(StrEnum):
    """Why a token was refused: a word for logs and counters. To whoever sent it all are the same, no session. It is false."""

    MALFORMED = "malformed"
    """It is no signed token in compact form, or too long for one."""
    HEADER = "header"
    """The header has members other than `alg`, `kid` and `typ`."""
    TYPE = "type"
    """It is a token for something else."""
    ALGORITHM = "algorithm"
    """It is not signed in one of our ways, or not in the way of the key that it names."""
    KEY = "key"
    """It names no key of the ring."""
    SIGNATURE = "signature"
    """The key that it names did not sign it."""
    CLAIMS = "claims"
    """A claim is missing, or is not what it should be."""
    ISSUER = "issuer"
    """Somebody else issued it."""
    AUDIENCE = "audience"
    """It is for somebody else."""
    EXPIRED = "expired"
    """It is over."""
    NOT_YET = "not_yet"
    """It comes from the future, by more than clocks differ."""

    def __bool__(self) -> bool:
        """Be false, so that whoever only asks whether there is something finds nothing."""
        return False


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was minted.

    Attributes:
        text: for the `Authorization` header. Keep it out of logs.
        expires_at: when it is over, milliseconds since 1970; a whole second.
    """

    text: str
    expires_at: int

    def __repr__(self) -> str:
        """Show the end only."""
        return f"AccessToken(expires_at={self.expires_at})"


class AccessClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token said that was verified. It says nothing of whether the session lives: ask for that with `named`.

    Attributes:
        handle: the session's.
        id_hash: hash of the secret id that the session had then.
        subject: whom the session belongs to.
        jti: the token's own name.
        issued_at: when it was minted, milliseconds since 1970, whole seconds like the other instants.
        expires_at: when it is over.
        signed_in_at: when its person last proved who they are: when the session began, or later in it.
        refresh: which rotation of the refresh token it came with; 0 for none.
        claims: the application's own.
    """

    handle: str
    id_hash: str
    subject: str
    jti: str
    issued_at: int
    expires_at: int
    signed_in_at: int
    refresh: int
    claims: dict[str, Any]

    @property
    def named(self) -> tuple[str, str]:
        """What `core.ids.read_id` gives for a secret id: the handle, and the hash that proves it."""
        return self.handle, self.id_hash


class AccessTokens:
    """Mints access tokens and reads them."""

    __slots__ = ("_audience", "_issuer", "_keys", "_lifetime")

    def __init__(self, keys: SigningKeys, *, issuer: str, audience: str, lifetime: int = minutes(5)) -> None:
        """Say whose tokens they are.

        Args:
            keys: the ring.
            issuer: `iss` of every token; commonly the application's URL.
            audience: `aud` of every token; who it is for. Two applications never share one.
            lifetime: how long a token may be used, milliseconds; counted in whole seconds. Default 5 minutes.

        Raises:
            SettingsError: if issuer or audience is empty, or the lifetime is no span from a second to 400 days.
        """
        if not issuer or not audience:
            raise SettingsError("access tokens need an issuer and an audience; use the application's URL for both if there is but one")
        if type(lifetime) is not int or not SHORTEST_LIFETIME <= lifetime <= LONGEST_SPAN:
            raise SettingsError(
                f"the lifetime of an access token is {SHORTEST_LIFETIME} to {LONGEST_SPAN} whole milliseconds, not {lifetime!r}"
            )
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime

    @property
    def lifetime(self) -> int:
        """How long a token may be used, milliseconds."""
        return self._lifetime

    @property
    def keys(self) -> SigningKeys:
        """The ring; its `jwks()` is what others may know of it."""
        return self._keys

    def mint(  # what a token says, all by keyword but whose it is
        self,
        session: Session,
        *,
        now: int,
        jti: str,
        refresh: int = 0,
        auth_at: int | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> AccessToken:
        """Write a token for a session that the caller found alive.

        Args:
            session: whose; the token is never valid past its absolute end.
            now: milliseconds since 1970.
            jti: the token's own name, random, at most 128 characters.
            refresh: which rotation of the refresh token it comes with.
            auth_at: when its person last proved who they are, milliseconds since 1970. Default: when the session began.
            claims: the application's own, JSON. They are signed, not hidden: whoever holds the token can read them.

        Raises:
            ValueError: if a claim has a reserved name, something is no JSON or out of range, or the token would get too long.
        """
        own = {} if claims is None else dict(claims)
        if taken := RESERVED & own.keys():
            raise ValueError(f"the claims {', '.join(sorted(taken))} mean something already; give yours other names")
        expires = min(now + self._lifetime, session.absolute_end_at) // 1000
        standard = {
            "iss": self._issuer,
            "aud": self._audience,
            "exp": expires,
            "iat": now // 1000,
            "sub": session.subject,
            "jti": jti,
            "sid": session.handle,
            "sih": session.id_hash,
            "auth_time": (session.created_at if auth_at is None else auth_at) // 1000,
            "rtn": refresh,
        }
        text = write_compact(_written({**standard, **own}), self._keys.signing, header={"typ": TYPE})
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"an access token has at most {LONGEST_TEXT} characters, and this one {len(text)}; give it fewer claims")
        return AccessToken(text=text, expires_at=expires * 1000)

    def read(self, text: str, *, now: int, also_expired: bool = False) -> AccessClaims | Refusal:
        """Verify a token.

        Args:
            text: what a client sent; anything.
            now: milliseconds since 1970.
            also_expired: read one that is over, too. It gives access to nothing; it may be told why.

        Returns:
            What it says, or why it counts for nothing. To the client both an unknown session and every refusal are the same 401.
        """
        payload = self._verified(text)
        if isinstance(payload, Refusal):
            return payload
        found = _read_claims(payload)
        if found is None:
            return Refusal.CLAIMS
        claims, own = found
        refusal = self._refused(claims, now=now)
        if refusal is not None and not (also_expired and refusal is Refusal.EXPIRED):
            return refusal
        return AccessClaims(
            handle=claims.sid,
            id_hash=claims.sih,
            subject=claims.sub,
            jti=claims.jti,
            issued_at=claims.iat * 1000,
            expires_at=claims.exp * 1000,
            signed_in_at=claims.auth_time * 1000,
            refresh=claims.rtn,
            claims=own,
        )

    def _verified(self, text: str) -> bytes | Refusal:
        """Give what was signed, if a key of the ring signed it for this purpose."""
        compact = read_compact(text)
        if compact is None:
            return Refusal.MALFORMED
        key = self._key_of(compact.header)
        if isinstance(key, Refusal):
            return key
        return compact.payload if key.verify(compact.signing_input, compact.signature) else Refusal.SIGNATURE

    def _key_of(self, header: Mapping[str, Any]) -> SigningKey | Refusal:
        """Give the key that a header names, if the header says what one of ours says. Its members are of any type."""
        if not header.keys() <= _HEADER:
            return Refusal.HEADER
        if header.get("typ") not in _TYPES:
            return Refusal.TYPE
        if header.get("alg") not in _ALGORITHMS:
            return Refusal.ALGORITHM
        key = self._keys.find(header.get("kid"))
        if key is None:
            return Refusal.KEY
        return key if header["alg"] == key.algorithm else Refusal.ALGORITHM

    def _refused(self, claims: _Claims, *, now: int) -> Refusal | None:
        if claims.iss != self._issuer:
            return Refusal.ISSUER
        if self._audience != claims.aud and (isinstance(claims.aud, str) or self._audience not in claims.aud):
            return Refusal.AUDIENCE
        if now >= claims.exp * 1000:
            return Refusal.EXPIRED
        if max(claims.iat, claims.nbf) * 1000 > now + CLOCKS_DIFFER_MS:
            return Refusal.NOT_YET
        return None


def _written(claims: Mapping[str, Any]) -> bytes:
    """Write claims as JSON that will be read."""
    try:
        payload = json.dumps(claims, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the claims of an access token are JSON: {error}") from error
    if _read_claims(payload) is None:
        raise ValueError(
            "this would be refused when it comes back: jti, refresh, the session's record or a claim's name is not what it should be"
        )
    return payload


def _read_claims(payload: bytes) -> tuple[_Claims, dict[str, Any]] | None:
    members = read_object(payload)
    if members is None:
        return None
    try:
        claims = msgspec.convert(members, _Claims)
    except msgspec.ValidationError:
        return None
    return claims, {name: value for name, value in members.items() if name not in RESERVED}
