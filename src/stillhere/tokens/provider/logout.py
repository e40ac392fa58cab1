"""How a person is signed out at the provider, and how the provider says that they were signed out there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from stillhere.tokens.provider.id_token import LONGEST_SUB
from stillhere.tokens.provider.jose import BadToken
from stillhere.tokens.provider.login import with_query

if TYPE_CHECKING:
    from stillhere.tokens.provider.config import Provider
    from stillhere.tokens.provider.jose import Opened
    from stillhere.tokens.provider.metadata import Metadata

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"

TYPES: Final = ("logout+jwt", "application/logout+jwt")
"""Nothing else is signed with this type, so no ID token can be passed off as a logout (OpenID Connect Back-Channel Logout 1.0 section
2.4)."""

WINDOW: Final = 300_000
"""How old a logout token may be when it comes, in milliseconds: how long its `jti` has to be remembered depends on it."""


class LogoutNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A provider says that somebody was signed out there.

    Attributes:
        iss: which provider.
        sub: whom it means, or None if only a session is named.
        sid: which of their sessions at the provider, or None if all of them.
        jti: name of this notice. The same one must not count twice: note it until `replay_until_at`.
        replay_until_at: from then on this notice is too old to be believed.
    """

    iss: str
    sub: str | None
    sid: str | None
    jti: str
    replay_until_at: int


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    iss: str
    aud: str | tuple[str, ...]
    iat: float
    exp: float
    jti: str
    events: dict[str, Any]
    sub: str | None = None
    sid: str | None = None
    nonce: Any | msgspec.UnsetType = msgspec.UNSET


def end_session_url(provider: Provider, metadata: Metadata, *, state: str | None) -> str | None:
    """Write the address at which a person signs out at the provider (OpenID Connect RP-Initiated Logout 1.0).

    Without `id_token_hint`, which would carry a token through the browser: `client_id` tells the provider as well which addresses to
    return to are ours. It may ask the person to confirm.

    Args:
        provider: who we are there.
        metadata: the provider's.
        state: comes back with them; None for none.

    Returns:
        The address, or None if the provider has none.
    """
    if metadata.end_session_endpoint is None:
        return None
    asked = {"client_id": provider.client_id}
    if provider.post_logout_redirect_uri is not None:
        asked["post_logout_redirect_uri"] = provider.post_logout_redirect_uri
        if state is not None:
            asked["state"] = state
    return with_query(metadata.end_session_endpoint, asked)


def read_logout(opened: Opened, provider: Provider, *, now: int) -> LogoutNotice:
    """Hold a logout token to OpenID Connect Back-Channel Logout 1.0 section 2.6. Its signature was checked before.

    Args:
        opened: the token.
        provider: who it must be of, and who we are there.
        now: milliseconds since 1970.

    Raises:
        BadToken: that names the claim or header member at fault.
    """
    kind = opened.header.get("typ")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise BadToken("typ")
    try:
        claims = msgspec.json.decode(opened.payload, type=_Claims)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadToken("unreadable") from None
    for name, is_good in _conditions(claims, provider, now):
        if not is_good:
            raise BadToken(name)
    skew, lifetime = provider.clock_skew, min(claims.exp, claims.iat + WINDOW / 1000)
    return LogoutNotice(
        iss=claims.iss, sub=claims.sub, sid=claims.sid, jti=claims.jti, replay_until_at=round(min(lifetime, 2**53 / 1000) * 1000) + skew
    )


def _conditions(claims: _Claims, provider: Provider, now: int) -> tuple[tuple[str, bool], ...]:
    skew = provider.clock_skew
    audience = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
    names = [name for name in (claims.sub, claims.sid) if name is not None]
    return (
        ("iss", claims.iss == provider.issuer),
        ("aud", provider.client_id in audience),
        ("iat", (now - WINDOW - skew) / 1000 <= claims.iat <= (now + skew) / 1000),
        ("exp", claims.exp > (now - skew) / 1000),
        ("events", isinstance(claims.events.get(EVENT), dict)),
        ("nonce", claims.nonce is msgspec.UNSET),
        ("jti", 0 < len(claims.jti) <= LONGEST_SUB),
        ("sub", bool(names) and all(0 < len(name) <= LONGEST_SUB for name in names)),
    )
